import subprocess
import sys

import psutil

from tools.memory import PeakMemory, tree_mb

HOLD = """
import sys, time
block = bytearray(100 << 20)
sys.stdout.write("ready\\n")
sys.stdout.flush()
time.sleep(60)
"""


def test_children_count_and_only_once():
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        me = psutil.Process()
        alone = tree_mb([psutil.Process(child.pid)])
        together = tree_mb([me, psutil.Process(child.pid)])
        both = tree_mb([me])
        child.kill()
    assert alone > 100
    assert abs(together - both) < 20


def test_the_peak_is_kept():
    with PeakMemory(lambda: [psutil.Process()]) as memory:
        pass
    assert memory.peak_mb > 10
