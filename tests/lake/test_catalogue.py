from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from recsys_tasks.lake.catalogue import catalogue_at, count_changes, versions_of
from recsys_tasks.schema import Catalogue, ItemVersions
from tests.lake.builders import items

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
TUESDAY = MONDAY + timedelta(days=1)


def first() -> pl.DataFrame:
    return versions_of(items(tent="tent", bag="bag"), ItemVersions.create_empty(), MONDAY, proven=True)


def test_the_first_snapshot_is_all_new_and_assumed():
    versions = ItemVersions.validate(first())
    assert versions["assumed"].all()
    assert count_changes(versions, ItemVersions.create_empty()).added == 2


@pytest.mark.parametrize(
    ("why", "listed", "found"),
    [
        ("nothing happened", {"tent": "tent", "bag": "bag"}, []),
        ("another text", {"tent": "red tent", "bag": "bag"}, [("tent", "red tent", False)]),
        ("gone", {"bag": "bag"}, [("tent", "tent", True)]),
        ("new", {"tent": "tent", "bag": "bag", "mat": "mat"}, [("mat", "mat", False)]),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_later_snapshot_adds_only_what_differs(why, listed, found):
    versions = versions_of(items(**listed), first(), TUESDAY, proven=True)
    assert versions.select("item_id", "text", "removed").rows() == found
    assert not versions["assumed"].any()


def test_an_empty_field_that_stays_empty_is_no_change():
    again = versions_of(items(tent="tent", bag="bag"), first(), TUESDAY, proven=True)
    assert again.is_empty()


def test_the_night_before_does_not_see_the_next_nights_snapshot():
    history = pl.concat([first(), versions_of(items(tent="tent", mat="mat"), first(), TUESDAY, proven=True)])
    just_before = catalogue_at(history, TUESDAY - timedelta(microseconds=1))
    assert Catalogue.validate(just_before)["item_id"].to_list() == ["bag", "tent"]
    assert catalogue_at(history, TUESDAY)["item_id"].to_list() == ["mat", "tent"]
