import subprocess
import sys

import pytest

from recsys_tasks.steps.cost import Cost


def test_memory_of_a_child_counts():
    hold = "b = bytearray(200 << 20); import time; time.sleep(1.0)"
    with Cost() as cost:
        subprocess.run([sys.executable, "-c", hold], check=True)
    assert cost.peak_mb > 200


def test_an_error_in_the_body_passes_through_and_the_time_is_known():
    cost = Cost()
    with pytest.raises(ValueError, match="boom"), cost:
        raise ValueError("boom")
    assert cost.seconds >= 0
