"""What the shop's backend sees, from a process of its own, while lists come, go and come back."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import polars as pl

from recsys_tasks.settings import StoreSettings
from tests.store.builders import MONDAY, TOP_K, candidate, lists

ROOT = Path(__file__).parents[2]
SHOPPERS = 100

READER = """
import json, sys
from pathlib import Path
from sqlalchemy import text
from recsys_tasks.store.store import open_store

store, stop, shoppers, top_k = open_store(sys.argv[1], Path(".")), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
everything = text("SELECT item_id, run_id, night, rank FROM recommendations")
one = text("SELECT item_id, run_id, night, rank FROM recommendations WHERE user_id = :user AND surface = 'for_you'")
facts = {"reads": 0, "errors": [], "mixtures": 0, "torn": 0, "runs": []}

def read(connection, query, expected, **asked):
    rows = connection.execute(query, asked).all()
    seen = {(row.item_id.split()[0], row.run_id, row.night) for row in rows}
    facts["mixtures"] += len(seen) > 1 or any(item != run for item, run, _ in seen)
    facts["torn"] += len(rows) != expected or {row.rank for row in rows} != set(range(1, top_k + 1))
    if rows and rows[0].run_id not in facts["runs"]:
        facts["runs"].append(rows[0].run_id)

print("ready", flush=True)
last = False
while not last:
    last = stop.exists()
    try:
        with store.engine.connect() as connection:
            read(connection, everything, shoppers * top_k)
            # The pool of a backend keeps a transaction open for several reads.
            for n in range(5):
                read(connection, one, top_k, user=str((facts["reads"] + n) % shoppers))
    except Exception as error:  # whatever a backend would have met counts: the test wants none
        facts["errors"].append(repr(error))
    facts["reads"] += 6
print(json.dumps(facts))
"""


@contextmanager
def reading(database: str, stop: Path) -> Iterator[dict[str, object]]:
    """A reader that reads as long as the body runs; what it saw is in the yielded facts afterwards."""
    facts: dict[str, object] = {}
    command = [sys.executable, "-c", READER, database, str(stop), str(SHOPPERS), str(TOP_K)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        try:
            yield facts
        finally:
            stop.touch()
        facts.update(json.loads(reader.stdout.readline()))
    assert reader.returncode == 0


def shop_lists(run: str) -> pl.DataFrame:
    """A hundred lists that name their run in every row."""
    return lists(map(str, range(SHOPPERS)), (f"{run} tea", f"{run} milk", f"{run} rye"))


def publish(store, number: int) -> None:
    run = f"r{number}"
    night = MONDAY + timedelta(days=number)
    settings = StoreSettings(keep_generations=2, max_churn=1.0)
    assert store.publish(candidate(night, run_id=run), [shop_lists(run)], settings).switched


def test_the_view_always_answers_with_the_lists_of_one_generation(store, database, tmp_path):
    publish(store, 0)
    with reading(database, tmp_path / "stop") as seen:
        for number in range(1, 7):
            publish(store, number)
            if number % 2 == 0:
                there = store.live().id
                back = store.rollback(why="to be read", who="test").id
                assert back < there
                store.rollback(there, why="to be read", who="test")
        store.prune(1)
    assert (seen["errors"], seen["mixtures"], seen["torn"]) == ([], 0, 0)
    assert len(seen["runs"]) > 1
    assert seen["reads"] > 30
    assert [g.state for g in store.generations()].count("ready") == 1
