import os
from pathlib import Path
from typing import Any, ClassVar

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


class Accelerator:
    """Notes what it is asked for."""

    process_index, num_processes, device = 0, 1, "cpu"
    asked: ClassVar[dict[str, Any]] = {}

    def __init__(self, **options):
        self.asked.update(options)

    def init_trackers(self, project, init_kwargs):
        self.asked.update(project=project, own=init_kwargs, mlflow=os.environ["MLFLOW_TRACKING_URI"])
        self.asked["curves_are_there"] = Path(init_kwargs["wandb"]["dir"]).is_dir()


@pytest.mark.parametrize("server", [None, "http://mlflow:5000"])
def test_what_trackers_write_lies_under_the_curves(tmp_path, monkeypatch, server):
    # Set before it is taken away, so that the test's end restores the environment whatever was set in between.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server or "")
    if server is None:
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.setattr("accelerate.Accelerator", Accelerator)
    night = tmp_path / "curves" / "night"
    Processes.join(tmp_path, ("wandb", "mlflow"), night)
    assert Accelerator.asked["log_with"] == ["wandb", "mlflow"]
    assert Accelerator.asked["own"]["wandb"] == {"name": "night", "dir": str(night)}
    assert Accelerator.asked["own"]["mlflow"] == {"run_name": "night"}
    assert Accelerator.asked["curves_are_there"]
    assert Accelerator.asked["mlflow"] == (server or f"sqlite:///{tmp_path / 'curves' / 'mlflow.db'}")


def test_without_trackers_nothing_is_written(tmp_path):
    processes = Processes.join(tmp_path, (), tmp_path / "curves")
    processes.track(0, {"loss": 1.0})
    processes.leave()
    assert list(tmp_path.iterdir()) == []
    assert (processes.rank, processes.world) == (0, 1)
