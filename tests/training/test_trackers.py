import pytest

from recsys_tasks.errors import SettingsError
from recsys_tasks.training import finetune, job_folder
from recsys_tasks.training.processes import Processes
from recsys_tasks.training.trackers import require
from tests.tiny_encoder import tiny_encoder
from tests.training import text_shop
from tests.training.encoder_job import job


def test_a_tracker_that_is_not_installed_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "wandb" else object())
    require(["tensorboard", "mlflow"])
    require([])
    with pytest.raises(SettingsError, match=r"encoder\.trackers: wandb is not installed; pip install wandb"):
        require(["tensorboard", "wandb"])


def test_tensorboard_is_told_every_step(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    base = tiny_encoder(tmp_path / "tiny", words=text_shop.WORDS)
    places = job_folder.Places(curves=str(tmp_path / "curves" / "night"))
    folder, _ = job(tmp_path / "job", base, places=places, steps=12, trackers=["tensorboard"])
    finetune.main(folder)
    found = EventAccumulator(str(tmp_path / "curves" / "night" / "encoder")).Reload()
    assert set(found.Tags()["scalars"]) == {"loss", "gradient_norm", "learning_rate"}
    losses = [point.value for point in found.Scalars("loss")]
    assert [point.step for point in found.Scalars("loss")] == list(range(12))
    assert sum(losses[:10]) / 10 == pytest.approx(job_folder.read_report(folder).loss_first, abs=1e-4)


def test_without_trackers_nothing_is_written(tmp_path):
    processes = Processes.join(tmp_path, (), tmp_path / "curves")
    processes.track(0, {"loss": 1.0})
    processes.leave()
    assert list(tmp_path.iterdir()) == []
    assert (processes.rank, processes.world) == (0, 1)
