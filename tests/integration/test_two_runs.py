"""A night run twice at the same time, by two real processes: one stops with a clear message, never do both write."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.integration.conftest import ROOT, command, manifests
from tests.shop import make_shop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory, encoder):
    """Too young to train anything: a whole night takes seconds."""
    made = make_shop(tmp_path_factory.mktemp("twice") / "shop", encoder=encoder, shoppers=60, days=20)
    command(made, "init")
    command(made, "ingest", made.first.isoformat(), made.night(1))
    return made


def started(shop, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "recsys_tasks", "--shop", str(shop.file), *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "OMP_WAIT_POLICY": "PASSIVE"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_kept(shop, night):
    """Until some process keeps the night."""
    lock = shop.folder / "home" / "records" / night / ".night.lock"
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if lock.exists():
            with lock.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
        time.sleep(0.02)
    raise AssertionError(f"nobody keeps night {night}")


def test_the_second_run_of_a_night_stops_and_the_first_is_whole(shop):
    night = shop.night()
    first = started(shop, "night", night)
    wait_until_kept(shop, night)
    # However quick it is, it stands still while the others come.
    first.send_signal(signal.SIGSTOP)
    try:
        second = command(shop, "night", night, "--start", "scratch", code=6)
        one_step = command(shop, "build-pairs", night, code=6)
    finally:
        first.send_signal(signal.SIGCONT)
    for refused in (second, one_step):
        message = " ".join(refused.stderr.split())
        assert f"Busy: another process works on night {night} (process {first.pid} on " in message
        assert "wait for it or end it, then run again" in message
    _, words = first.communicate(timeout=120)
    assert first.returncode == 0, words[-2000:]
    assert {night} == {made.split("/")[1] for made in manifests(shop)}
    status = json.loads(command(shop, "status", "--json").stdout)
    assert (status["live"]["night"], status["live"]["generation"]) == (night, 1)


def test_the_night_is_free_again_when_its_process_is_killed(shop):
    night = shop.night(2)
    killed = started(shop, "night", night)
    wait_until_kept(shop, night)
    killed.kill()
    killed.communicate()
    assert f"lists/{night}" not in manifests(shop)
    command(shop, "night", night)
    assert f"lists/{night}" in manifests(shop)
