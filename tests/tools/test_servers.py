import json
import os
import sys
import time

import psutil
import pytest

from tools import servers

# A server with a child of its own, as the scheduler has its workers.
PARENT = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
time.sleep(60)
"""


@pytest.fixture
def pid_file(tmp_path):
    file = tmp_path / "server.pid"
    yield file
    servers.stop(file)


def started(pid_file, code="import time; time.sleep(60)"):
    log = pid_file.with_suffix(".log")
    number = servers.start([sys.executable, "-c", code], env=os.environ, log=log, pid_file=pid_file)
    return psutil.Process(number)


def test_a_started_server_runs_until_it_is_stopped(pid_file):
    process = started(pid_file)
    assert servers.running(pid_file) == process
    assert servers.stop(pid_file)
    assert not process.is_running()
    assert servers.running(pid_file) is None


def test_its_children_end_with_it(pid_file):
    process = started(pid_file, PARENT)
    deadline = time.monotonic() + 10
    while not (children := process.children()) and time.monotonic() < deadline:
        time.sleep(0.05)
    servers.stop(pid_file)
    assert children
    assert not any(child.is_running() for child in children)


def test_stopping_twice_is_harmless(pid_file):
    started(pid_file)
    assert servers.stop(pid_file)
    assert not servers.stop(pid_file)


def test_a_pid_that_somebody_else_has_now_is_left_alone(pid_file):
    myself = psutil.Process()
    pid_file.write_text(json.dumps({"pid": myself.pid, "began": myself.create_time() - 100}))
    assert servers.running(pid_file) is None
    assert not servers.stop(pid_file)
    assert myself.is_running()


@pytest.mark.parametrize("text", ["", "{"])
def test_a_broken_pid_file_means_not_running(pid_file, text):
    pid_file.write_text(text)
    assert servers.running(pid_file) is None


def test_what_a_server_says_is_kept(pid_file):
    started(pid_file, "print('hello', flush=True); import time; time.sleep(60)")
    log = pid_file.with_suffix(".log")
    deadline = time.monotonic() + 10
    while "hello" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "hello" in log.read_text()
