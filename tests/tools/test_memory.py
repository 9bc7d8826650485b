import subprocess
import sys
import time

import psutil

from tools import memory
from tools.memory import PeakMemory, proportional_mb, tree

HOLD = """
import sys, time
block = bytearray(100 << 20)
sys.stdout.write("ready\\n")
sys.stdout.flush()
time.sleep(60)
"""


def tree_mb(*roots):
    return proportional_mb(tree(roots))


def test_children_count_and_only_once():
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        me = psutil.Process()
        alone = tree_mb(psutil.Process(child.pid))
        together = tree_mb(me, psutil.Process(child.pid))
        both = tree_mb(me)
        child.kill()
    assert alone > 100
    assert abs(together - both) < 20


def test_the_peak_is_kept(monkeypatch):
    """And asked for no more often than memory grows: it is what costs time."""
    asked: list[float] = []
    monkeypatch.setattr(memory, "SAMPLE_SECONDS", 0.01)
    monkeypatch.setattr(memory, "proportional_mb", lambda some: asked.append(0) or proportional_mb(some))
    with PeakMemory(lambda: [psutil.Process()]) as peak:
        time.sleep(0.5)
        before, block = peak.peak_mb, bytearray(100 << 20)
        time.sleep(0.5)
        del block
        time.sleep(0.5)
    assert before > 10
    assert peak.peak_mb > before + 90
    assert len(asked) < 20
