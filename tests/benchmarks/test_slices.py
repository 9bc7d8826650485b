from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from benchmarks.slices import item_facts, slices
from recsys_tasks.lake.snapshot import Snapshot

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


def snapshot(*rows: tuple[str, str, float]) -> Snapshot:
    """(user, item, days before the cut)."""
    told = [(user, item, "purchase", AS_OF - timedelta(days=days)) for user, item, days in rows]
    events = pl.DataFrame(
        told,
        schema={
            "user_id": pl.String,
            "item_id": pl.String,
            "event_type": pl.String,
            "occurred_at": pl.Datetime("us", "UTC"),
        },
        orient="row",
    )
    return Snapshot(AS_OF, events.sort("occurred_at"), pl.DataFrame())


def facts_of(snap: Snapshot, *offered: str) -> dict[str, dict[str, object]]:
    facts = item_facts(snap, pl.Series(sorted(offered)), ["purchase"])
    return {row["item_id"]: row for row in facts.iter_rows(named=True)}


@pytest.mark.parametrize(("days", "launched"), [(27, True), (28, True), (29, False)])
def test_an_item_is_launched_for_28_days(days, launched):
    assert facts_of(snapshot(("ann", "tent", days)), "tent")["tent"]["launched"] is launched


def test_an_old_item_that_sells_today_is_no_launch():
    assert not facts_of(snapshot(("ann", "tent", 90), ("bob", "tent", 1)), "tent")["tent"]["launched"]


def test_an_item_nobody_touched_has_no_history_and_counts_as_launched():
    told = facts_of(snapshot(("ann", "tent", 90)), "tent", "bag")["bag"]
    assert (told["item_has_history"], told["launched"], told["tier"]) == (False, True, "tail")


def test_tiers_are_shares_of_the_offer_by_buyers_of_28_days():
    letters = "abcdefghij"
    rows = [(f"u{n}", item, 3) for place, item in enumerate(letters) for n in range(10 - place)]
    told = facts_of(snapshot(*rows, *[(f"v{n}", "j", 60) for n in range(99)]), *letters)
    assert "".join(item for item in letters if told[item]["tier"] == "head") == "a"
    assert "".join(item for item in letters if told[item]["tier"] == "mid") == "bcde"
    assert "".join(item for item in letters if told[item]["tier"] == "tail") == "fghij"


def test_slices_part_what_was_taken():
    snap = snapshot(("ann", "old", 90), ("ann", "young", 3))
    facts = item_facts(snap, pl.Series(["old", "young"]), ["purchase"])
    wanted = pl.DataFrame(
        [("ann", "old", False, True), ("ann", "young", True, True), ("new", "old", True, False)],
        schema=["user_id", "item_id", "is_new", "has_history"],
        orient="row",
    )
    found = {name: set(rows.iter_rows()) for name, _, rows in slices(wanted, facts)}
    assert found["all"] == {("ann", "old"), ("ann", "young"), ("new", "old")}
    assert found["new"] == {("ann", "young"), ("new", "old")}
    assert found["all/known shoppers"] | found["all/new shoppers"] == found["all"]
    assert found["new/new shoppers"] == {("new", "old")}
    assert found["new/launched"] == {("ann", "young")}
    assert found["all/older"] == {("ann", "old"), ("new", "old")}
    assert "all/items without history" not in found
