import subprocess
import sys

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


def test_the_peak_is_kept():
    with PeakMemory(lambda: [psutil.Process()]) as peak:
        pass
    assert peak.peak_mb > 10


def test_shared_pages_are_asked_for_only_where_memory_has_grown(monkeypatch):
    sizes, asked = iter([100, 100, 90, 200, 150]), []
    monkeypatch.setattr(memory, "_resident", lambda _: next(sizes))
    monkeypatch.setattr(memory, "tree", lambda roots: set(roots))
    monkeypatch.setattr(memory, "proportional_mb", lambda _: asked.append(0) or 10.0 * len(asked))
    peak = PeakMemory(lambda: [psutil.Process()])
    for _ in range(5):
        peak.look()
    assert (peak.peak_mb, len(asked)) == (20.0, 2)
