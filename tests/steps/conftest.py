"""Models are slow to make: the steps behind them share one small night, each test module a copy of its own."""

import shutil
from pathlib import Path

import pytest

from recsys_tasks.steps import encoder_training
from recsys_tasks.training import finetune
from tests.steps.list_night import ListJob, list_job, reopened


@pytest.fixture(scope="session")
def modelled_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a night whose vectors, towers, ranker and index are made; only to be copied."""
    folder = tmp_path_factory.mktemp("modelled")
    list_job(folder)
    return folder


@pytest.fixture(scope="module")
def job(modelled_night: Path, tmp_path_factory: pytest.TempPathFactory) -> ListJob:
    """A copy of that night."""
    folder = tmp_path_factory.mktemp("night") / "home"
    shutil.copytree(modelled_night, folder)
    return reopened(folder)


@pytest.fixture
def training_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders are trained here, not in a process that would load everything anew."""
    monkeypatch.setattr(encoder_training, "launch", lambda module, folder, nodes: finetune.main(folder))
