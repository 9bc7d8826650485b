"""A step is a process of its own: what it imports before it works, a night pays for at every step."""

import subprocess
import sys

from recsys_tasks.steps import NIGHT_STEPS

# They encode and train: the encoder's cache is named by what torch would compute in.
HEAVY_STEPS = ("finetune_encoder", "encode_items", "train_towers")
# Seconds each, and of use only where something is fitted, drawn or asked of a ranker.
HEAVY = {"torch", "transformers", "lightgbm", "sklearn", "pandas", "matplotlib", "scipy.stats"}
OTHERS = [*(step for step in NIGHT_STEPS if step not in HEAVY_STEPS), "measure", "rollback"]


PROBE = """
import sys
from importlib import import_module
for step in {steps!r}:
    before = set(sys.modules)
    import_module("recsys_tasks.steps." + step)
    for module in sorted({heavy!r} & set(sys.modules) - before):
        print(step, "imports", module)
"""


def test_steps_that_may_find_their_work_done_import_nothing_heavy_before():
    probe = PROBE.format(steps=OTHERS, heavy=HEAVY)
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert answer.stdout == "", "import it inside the function that needs it"
