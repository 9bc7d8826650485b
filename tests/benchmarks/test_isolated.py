import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from benchmarks.isolated import measured
from recsys_tasks.errors import DataError, TrainingFailed


def work(megabytes: int) -> int:
    block = np.ones(megabytes * 2**17)
    time.sleep(0.5)
    return int(os.getpid() + 0 * block[0])


def fail(why: str) -> None:
    raise DataError(why)


def die() -> None:
    os._exit(1)


def test_seconds_and_memory_are_those_of_the_call_alone():
    held_here = np.ones(2**25)  # 256 MB of this process
    small, large = measured(work, 1), measured(work, 300)
    assert small.result != os.getpid()
    assert small.seconds >= 0.5
    assert 200 < large.peak_mb - small.peak_mb < 400
    assert held_here[0] == 1


def test_an_error_comes_through_and_a_killed_process_is_told():
    with pytest.raises(DataError, match="no such column"):
        measured(fail, "no such column")
    with pytest.raises(TrainingFailed, match="killed"):
        measured(die)


def test_the_process_ends_with_the_one_that_asked():
    asks = (
        f"from benchmarks.isolated import measured; import {__name__} as here; measured(here.tell_and_wait)"
    )
    with subprocess.Popen([sys.executable, "-c", asks], stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout.readline() == "began\n"
        asking.send_signal(signal.SIGKILL)
        # The end of its output comes when nobody holds it open any more.
        assert asking.stdout.read() == ""


def tell_and_wait() -> None:
    os.write(1, b"began\n")
    time.sleep(20)
    os.write(1, b"went on\n")
    die()
