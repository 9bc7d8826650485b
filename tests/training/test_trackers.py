import os
import sys

import pytest

from recsys_tasks.errors import SettingsError
from recsys_tasks.training import finetune, job_folder
from recsys_tasks.training.encoder_steps import HistorySteps
from recsys_tasks.training.processes import Processes
from recsys_tasks.training.tracker_runs import Mlflow, Run, Wandb
from recsys_tasks.training.trackers import require
from tests.tiny_encoder import tiny_encoder
from tests.training import fake_trackers, text_shop
from tests.training.encoder_job import job

FIGURES = {"loss": 0.5, "gradient_norm": 2.0}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Trackers set variables; each test begins and leaves without them."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "WANDB_"))]:
        del os.environ[name]


def test_a_tracker_that_is_not_installed_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "wandb" else object())
    require(["tensorboard", "mlflow"])
    require([])
    with pytest.raises(SettingsError, match=r"encoder\.trackers: wandb is not installed; pip install wandb"):
        require(["tensorboard", "wandb"])


def night(tmp_path, name="job", **changes):
    """A job whose curves lie in ``curves/night``."""
    base = tmp_path / "tiny"
    if not base.exists():
        tiny_encoder(base, words=text_shop.WORDS)
    places = job_folder.Places(
        checkpoints=str(tmp_path / "checkpoints"), curves=str(tmp_path / "curves" / "night")
    )
    sizes = {"steps": 12, "checkpoint_steps": 3, "trackers": ["tensorboard"]}
    return job(tmp_path / name, base, places=places, **{**sizes, **changes})[0]


def boards(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folders = sorted((tmp_path / "curves" / "night").glob("encoder-*"))
    return [EventAccumulator(str(folder)).Reload() for folder in folders]


def test_tensorboard_is_told_the_settings_and_every_step(tmp_path):
    folder = night(tmp_path)
    finetune.main(folder)
    (found,) = boards(tmp_path)
    assert set(found.Tags()["scalars"]) == {"loss", "gradient_norm", "learning_rate"}
    losses = [point.value for point in found.Scalars("loss")]
    assert [point.step for point in found.Scalars("loss")] == list(range(12))
    assert losses == pytest.approx(job_folder.read_losses(folder))
    (settings,) = found.Tensors("settings/text_summary")
    assert "| learning_rate | 0.001 |" in settings.tensor_proto.string_val[0].decode()


def test_a_training_that_goes_on_tells_no_step_twice(tmp_path, monkeypatch):
    whole = HistorySteps.loss

    def breaks(steps, step, encode):
        if step == 8:
            raise ValueError("broken off")
        return whole(steps, step, encode)

    folder = night(tmp_path)
    monkeypatch.setattr(HistorySteps, "loss", breaks)
    with pytest.raises(ValueError, match="broken off"):
        finetune.main(folder)
    monkeypatch.setattr(HistorySteps, "loss", whole)
    finetune.main(folder)
    (found,) = boards(tmp_path)
    assert [point.step for point in found.Scalars("loss")] == list(range(12))


def test_two_trainings_of_one_night_have_a_curve_each(tmp_path):
    finetune.main(night(tmp_path, "warm", steps=4))
    finetune.main(night(tmp_path, "cold", steps=5))
    assert sorted(len(found.Scalars("loss")) for found in boards(tmp_path)) == [4, 5]


def test_only_the_first_process_tells(tmp_path, monkeypatch):
    monkeypatch.setattr(Processes, "join", lambda folder: Processes(rank=1))
    finetune.main(night(tmp_path))
    assert not (tmp_path / "curves").exists()


def test_what_is_shown_is_what_decides_one_value_a_name(tmp_path):
    shown = job_folder.shown_settings(night(tmp_path))
    assert (shown["learning_rate"], shown["contrast.objective"], shown["seed"]) == (1e-3, "info_nce", 1)
    assert all(isinstance(value, str | int | float | None) for value in shown.values())
    # A retry may run otherwise, and MLflow takes no second value.
    assert not {"trackers", "nodes", "rendezvous", "checkpoint_steps"} & shown.keys()


def run_of(tmp_path, request="a" * 64, settings=None):
    return Run(tmp_path / "curves" / "night", request, settings or {"steps": 12})


@pytest.fixture(params=["fake", "real"])
def mlflow(request, monkeypatch):
    """The client, of the real package where it is installed."""
    if request.param == "fake":
        fake_trackers.install_mlflow(monkeypatch)
    else:
        pytest.importorskip("mlflow")
    return sys.modules["mlflow"].MlflowClient


def told(run, steps, status=None):
    tracker = Mlflow()
    tracker.begin(run, steps[0])
    for step in steps:
        tracker.tell(step, {**FIGURES, "loss": 1.0 / (step + 1)})
    if status is not None:
        tracker.end(status)


def runs_in(client, name="encoder"):
    return client.search_runs([client.get_experiment_by_name(name).experiment_id])


def test_mlflow_has_one_run_of_a_training_that_was_broken_off(tmp_path, mlflow):
    told(run_of(tmp_path), range(8))
    client = mlflow(f"sqlite:///{tmp_path / 'curves' / 'mlflow.db'}")
    assert [run.info.status for run in runs_in(client)] == ["RUNNING"]
    told(run_of(tmp_path), range(6, 12), "FINISHED")
    (run,) = runs_in(client)
    assert (run.info.run_name, run.info.status) == ("night", "FINISHED")
    assert run.data.params == {"steps": "12"}
    points = client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in points] == [(step, 1.0 / (step + 1)) for step in range(12)]
    told(run_of(tmp_path, request="b" * 64), range(2), "FAILED")
    assert {run.info.status for run in runs_in(client)} == {"FINISHED", "FAILED"}


def test_a_run_that_failed_is_running_again_while_its_retry_trains(tmp_path, mlflow):
    told(run_of(tmp_path), range(8), "FAILED")
    told(run_of(tmp_path), range(6, 9))
    (run,) = runs_in(mlflow(f"sqlite:///{tmp_path / 'curves' / 'mlflow.db'}"))
    assert run.info.status == "RUNNING"


def test_mlflow_takes_more_settings_than_one_call_and_long_ones(tmp_path, mlflow):
    settings = {f"setting_{number}": "x" * 7000 for number in range(150)}
    told(run_of(tmp_path, settings=settings), range(1))
    (run,) = runs_in(mlflow(f"sqlite:///{tmp_path / 'curves' / 'mlflow.db'}"))
    assert run.data.params == dict.fromkeys(settings, "x" * 500)


@pytest.mark.parametrize("server", [None, "http://mlflow:5000"])
def test_mlflow_keeps_its_files_beside_the_curves_where_no_server_is_named(tmp_path, monkeypatch, server):
    fake_trackers.install_mlflow(monkeypatch)
    if server is not None:
        os.environ["MLFLOW_TRACKING_URI"] = server
    os.environ["MLFLOW_EXPERIMENT_NAME"] = "shop"
    told(run_of(tmp_path), range(1))
    ((address, store),) = fake_trackers.MlflowClient.stores.items()
    beside = tmp_path / "curves"
    assert address == (server or f"sqlite:///{beside / 'mlflow.db'}")
    files = store.experiments["shop"].artifact_location
    assert files == (None if server else (beside / "mlruns").as_uri())


def test_a_variable_that_an_operator_has_set_stays(tmp_path, monkeypatch):
    fake_trackers.install_mlflow(monkeypatch)
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "60"
    told(run_of(tmp_path), range(1))
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "60"
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "3"


def wandb_told(tmp_path, monkeypatch, fake, steps, status="FINISHED"):
    monkeypatch.setitem(sys.modules, "wandb", fake)
    tracker = Wandb()
    tracker.begin(run_of(tmp_path), steps[0])
    for step in steps:
        tracker.tell(step, FIGURES)
    tracker.end(status)


def test_wandb_takes_up_a_run_behind_what_it_has_been_told(tmp_path, monkeypatch):
    fake = fake_trackers.Wandb(step=8)
    wandb_told(tmp_path, monkeypatch, fake, range(6, 12))
    assert [step for step, _ in fake.logged] == [8, 9, 10, 11]
    (asked,) = fake.asked
    assert (asked["id"], asked["resume"], asked["name"]) == ("night-aaaaaaaa", "allow", "night")
    assert asked["dir"] == str(tmp_path / "curves" / "night")
    assert (tmp_path / "curves" / "night").is_dir()
    assert asked["config"] == {"steps": 12}


def test_wandb_goes_to_the_operators_project_and_waits_no_longer_than_a_night_can(tmp_path, monkeypatch):
    fake = fake_trackers.Wandb()
    os.environ["WANDB_PROJECT"] = "shop"
    wandb_told(tmp_path, monkeypatch, fake, range(1))
    assert fake.asked[0]["project"] == "shop"
    waits = [os.environ[name] for name in ("WANDB_INIT_TIMEOUT", "WANDB_FINISH_TIMEOUT")]
    assert waits == ["30", "60"]


@pytest.mark.parametrize(("status", "code"), [("FINISHED", 0), ("FAILED", 1), ("KILLED", 255)])
def test_wandb_is_told_how_it_ended(tmp_path, monkeypatch, status, code):
    fake = fake_trackers.Wandb()
    wandb_told(tmp_path, monkeypatch, fake, range(1), status)
    assert fake.exit_code == code


def test_wandb_without_a_key_or_a_network_keeps_the_run_in_files(tmp_path, monkeypatch, caplog):
    fake = fake_trackers.Wandb(broken=fake_trackers.WandbError("No API key configured"))
    wandb_told(tmp_path, monkeypatch, fake, range(3))
    assert [asked["mode"] for asked in fake.asked] == [None, "offline"]
    assert fake.torn_down == 1
    assert len(fake.logged) == 3
    (warning,) = caplog.messages
    assert "wandb sync" in warning
    assert "No API key configured" in warning
