"""kill -9 before everything that a publish, its pruning and a rollback do: readers see one whole night."""

import os

import pytest
from sqlalchemy import text

from recsys_tasks.store.connect import is_postgresql
from recsys_tasks.store.store import Store
from recsys_tasks.store.view import RECOMMENDATIONS
from tests.faults.children import KILLED, ended, killed_everywhere
from tests.faults.work import KEEP_ONE, candidate_of, lists_of, publish, roll_back

STAGES = {
    "sqlite": [
        "COPY, before the list of bob",
        "INSERT INTO moves",
        "UPDATE live",
        "DELETE FROM recomm",
        "COMMIT",
    ],
    "postgresql": [
        "COPY, before the list of bob",
        "ADD CONSTRAINT",
        "ATTACH PARTITION",
        "INSERT INTO moves",
        "UPDATE live",
        "DETACH PARTITION",
        "DROP TABLE",
        "COMMIT",
    ],
}


def seen(store: Store) -> list[tuple[str, int, str]]:
    """Everything that readers of the view see."""
    with store.engine.connect() as connection:
        rows = connection.execute(RECOMMENDATIONS.select()).all()
    return sorted((row.user_id, row.rank, row.item_id) for row in rows)


def whole(number: int) -> list[tuple[str, int, str]]:
    return sorted(lists_of(number).select("user_id", "rank", "item_id").rows())


def kept(store: Store) -> set[str]:
    """Partitions of lists that are there."""
    if not is_postgresql(store.engine):
        return set()
    found = text("SELECT relname FROM pg_class WHERE relname ~ '^coded_lists_g[0-9]+$'")
    visible = f"{found.text} AND pg_table_is_visible(oid) AND relkind = 'r'"
    with store.engine.connect() as connection:
        return set(connection.execute(text(visible)).scalars())


def publish_again(store: Store, number: int) -> None:
    store.publish(candidate_of(number), [lists_of(number)], KEEP_ONE)


@pytest.mark.slow
def test_killed_before_any_statement_of_a_publish(store, database, tmp_path):
    url, points = os.environ.get(database), []
    publish_again(store, 0)
    for number, note in killed_everywhere(tmp_path):
        code = ended(publish, number, note, database, url, number)
        assert code in (0, KILLED)
        assert seen(store) in (whole(number - 1), whole(number)), f"killed at {note.read_text()}"
        publish_again(store, number)
        assert seen(store) == whole(number)
        assert store.live().rows == 9
        if code == 0:
            break
        points.append(note.read_text())
    for stage in STAGES[store.engine.dialect.name]:
        assert any(stage in point for point in points), f"never killed at {stage}"


def test_what_killed_publishes_leave_behind_the_next_one_takes_away(store, database, tmp_path):
    url = os.environ.get(database)
    publish_again(store, 0)
    for number in range(1, 4):
        # Late enough to be loaded, or being pruned.
        assert ended(publish, 25 + number, tmp_path / "note", database, url, number) == KILLED
    publish_again(store, 4)
    states = [generation.state for generation in store.generations()]
    assert states.count("ready") <= 2, "the live one and one to go back to"
    ready = {f"coded_lists_g{g.id}" for g in store.generations() if g.state != "pruned"}
    assert kept(store) <= ready


def test_killed_before_any_statement_of_a_rollback(store, database, tmp_path):
    url = os.environ.get(database)
    for number, note in killed_everywhere(tmp_path):
        for night in (2 * number, 2 * number + 1):
            store.publish(candidate_of(night), [lists_of(night)])
        code = ended(roll_back, number, note, database, url)
        assert code in (0, KILLED)
        before, after = whole(2 * number + 1), whole(2 * number)
        assert seen(store) == (after if code == 0 else before)
        if code == 0:
            break
        store.rollback(why="for a test", who="test")
        assert seen(store) == after
