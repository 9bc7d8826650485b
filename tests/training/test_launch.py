"""Real processes: what is promised here is about the operating system."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from recsys_tasks.errors import SettingsError, TrainingFailed
from recsys_tasks.training.launch import launch
from tests.training.children import BEHAVIOUR, PROCESS_ID, WOKE

MODULE = "tests.training.children"
PATIENCE_SECONDS = 90

pytestmark = pytest.mark.slow


def folder_that(tmp_path: Path, behaviour: str) -> Path:
    (tmp_path / BEHAVIOUR).write_text(behaviour)
    return tmp_path


def launching_process(folder: Path) -> subprocess.Popen[bytes]:
    """A process that waits in ``launch`` for a training that sleeps."""
    code = (
        "import sys; from pathlib import Path; from recsys_tasks.training.launch import launch; "
        "launch(sys.argv[1], Path(sys.argv[2]), 1)"
    )
    return subprocess.Popen([sys.executable, "-c", code, MODULE, str(folder)], cwd=Path(__file__).parents[2])


# As Airflow's task process: its handler calls the task's on_kill and returns, so that the task goes on.
AIRFLOW_TASK = """
import signal, sys
from pathlib import Path
from recsys_tasks.errors import TrainingFailed
from recsys_tasks.training.launch import launch

signal.signal(signal.SIGTERM, lambda number, frame: sys.stdout.write("on_kill "))
try:
    launch(sys.argv[1], Path(sys.argv[2]), 2)
except TrainingFailed:
    sys.stdout.write("raised")
"""
# What Airflow grants a task between SIGTERM and SIGKILL.
AIRFLOW_SECONDS = 5.0


def eventually(true) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.1)
    return False


def running(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_every_line_of_the_training_reaches_the_log(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        launch(MODULE, folder_that(tmp_path, "say"), processes=2)
    lines = [record.message for record in caplog.records]
    assert {"worker 0 of 2 says say", "worker 1 of 2 says say"} <= set(lines)


def test_a_warning_of_the_training_is_logged_as_one(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        launch(MODULE, folder_that(tmp_path, "warn"), processes=2)
    told = [(record.levelname, record.message) for record in caplog.records]
    warned = [words for level, words in told if level == "WARNING"]
    assert warned == ["the tracker is away;", "the training goes on"], "once: the first process alone tells"
    assert ("INFO", "a line") in told


def test_a_failed_training_raises_with_its_last_lines(tmp_path):
    with pytest.raises(TrainingFailed) as failure:
        launch(MODULE, folder_that(tmp_path, "fail"), processes=1)
    assert f"{MODULE} ended with exit code 1" in str(failure.value)
    assert "the last line of a failed training" in str(failure.value)


def test_what_the_settings_got_wrong_is_told_apart_as_a_retry_would_not_help(tmp_path):
    with pytest.raises(SettingsError) as failure:
        launch(MODULE, folder_that(tmp_path, "refuse"), processes=1)
    assert "SettingsError: shop.yaml asks for what cannot be" in str(failure.value)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_the_training_ends_with_the_process_that_started_it(tmp_path, sign):
    folder = folder_that(tmp_path, "sleep")
    parent = launching_process(folder)
    noted = folder / PROCESS_ID
    try:
        assert eventually(lambda: noted.exists() and noted.read_text())
        worker = int(noted.read_text())
        torchrun = psutil.Process(worker).ppid()
        os.kill(parent.pid, sign)
        assert parent.wait(PATIENCE_SECONDS) == -sign
        assert eventually(lambda: not running(worker) and not running(torchrun))
    finally:
        parent.kill()
        parent.wait()


class TimedOut(Exception):
    """As Airflow raises it in a task whose execution_timeout is over: out of a signal's handler."""


def test_a_task_that_is_timed_out_ends_its_training(tmp_path):
    def time_is_up(_number, _frame):
        raise TimedOut

    folder = folder_that(tmp_path, "sleep")
    noted, before = folder / PROCESS_ID, signal.signal(signal.SIGALRM, time_is_up)
    watch = threading.Thread(
        target=lambda: (
            eventually(lambda: noted.exists() and noted.read_text()) and os.kill(os.getpid(), signal.SIGALRM)
        )
    )
    watch.start()
    try:
        with pytest.raises(TimedOut):
            launch(MODULE, folder, processes=1)
    finally:
        watch.join()
        signal.signal(signal.SIGALRM, before)
    assert eventually(lambda: not running(int(noted.read_text())))
    assert not (folder / WOKE).exists(), "it was not waited for"


def test_airflow_s_sigterm_ends_the_training_and_the_step_with_it(tmp_path):
    folder = folder_that(tmp_path, "sleep")
    command = [sys.executable, "-c", AIRFLOW_TASK, MODULE, str(folder)]
    task = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True)
    noted = folder / PROCESS_ID
    try:
        assert eventually(lambda: noted.exists() and noted.read_text())
        training = psutil.Process(task.pid).children(recursive=True)
        assert len(training) >= 3, "torchrun and its two workers"
        asked = time.monotonic()
        task.terminate()
        said, _ = task.communicate(timeout=PATIENCE_SECONDS)
        assert time.monotonic() - asked < AIRFLOW_SECONDS
        assert said == "on_kill raised"
        assert eventually(lambda: not any(running(process.pid) for process in training))
    finally:
        task.kill()
        task.wait()
