import json
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_tasks.calendar import days_between
from recsys_tasks.errors import SchemaMismatch, SettingsError
from recsys_tasks.extract.events import extract_events
from recsys_tasks.schema import Events
from tests.extract.builders import (
    COLUMNS,
    DAY,
    NEW_YORK,
    column,
    database,
    event_source,
    extracted,
    parquet,
    row,
    sql_source,
)

EVERY_COLUMN = {
    **COLUMNS,
    "value": "paid",
    "session_id": "visit",
    "surface": "list",
    "position": "place",
    "propensity": "p",
}


def test_a_row_is_mapped_to_our_words(tmp_path):
    full = row(who=7.0, paid="9.50", visit=11, list=" home ", place=3, p=0.5)
    found = extracted(tmp_path, full, columns=EVERY_COLUMN)
    Events.validate(found.clean)
    at = datetime(2026, 3, 2, 17, tzinfo=UTC)
    assert found.clean.rows() == [("7", "tent", "purchase", at, 9.5, "11", "home", 3, 0.5)]
    assert (found.read, found.rejected, found.filtered) == (1, {}, {})


def test_one_type_for_all_rows_needs_no_column(tmp_path):
    columns = {name: theirs for name, theirs in COLUMNS.items() if name != "event_type"}
    found = extracted(tmp_path, row(), columns=columns, event_types={}, event_type="purchase")
    assert column(found.clean, "event_type") == ["purchase"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"who": None}, "user_id|nullability"),
        ({"who": " "}, "user_id|min_length"),
        ({"who": "a" * 513}, "user_id|max_length"),
        ({"who": "a\x00b"}, "user_id|regex"),
        ({"what": None}, "item_id|nullability"),
        ({"what": "te\nnt"}, "item_id|regex"),
        ({"did": "gift"}, "event_type|unknown"),
        ({"did": None}, "event_type|nullability"),
        ({"at": "yesterday"}, "occurred_at|unreadable"),
        ({"at": None}, "occurred_at|nullability"),
        ({"paid": "a lot"}, "value|unreadable"),
        ({"paid": "inf"}, "value|inf"),
        ({"visit": "a\x00"}, "session_id|regex"),
        ({"list": "x" * 65}, "surface|max_length"),
        ({"place": -1}, "position|min"),
        ({"p": 0.0}, "propensity|min_exclusive"),
        ({"p": 1.5}, "propensity|max"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_row_that_breaks_a_contract_is_quarantined_with_its_reason(tmp_path, bad, reason):
    good = row(who="bob", paid="1", visit="v", list="home", place=0, p=1.0)
    found = extracted(tmp_path, good, {**good, "who": "ann", **bad}, columns=EVERY_COLUMN)
    assert column(found.clean, "user_id") == ["bob"]
    assert found.rejected == {reason: 1}
    assert json.loads(found.rejects["row"][0]) == {**good, "who": "ann", **bad}


def test_many_unknown_words_are_one_reason(tmp_path):
    found = extracted(tmp_path, *(row(did=f"word {n}") for n in range(50)))
    assert found.rejected == {"event_type|unknown": 50}


def test_a_row_counts_under_the_first_filter_it_fails_and_unknown_fails(tmp_path):
    filters = {"cancelled": "did <> 'cancel'", "nothing bought": "n > 0"}
    rows = [
        row(n=1),
        row(n=0, did="cancel"),
        row(n=0),
        row(n=None),
        row(n=-1, who=None),  # left out before any contract is asked
    ]
    found = extracted(tmp_path, *rows, filters=filters)
    assert found.filtered == {"cancelled": 1, "nothing bought": 3}
    assert (found.read, found.clean.height, found.rejected) == (5, 1, {})


def test_exact_duplicates_are_one_event(tmp_path):
    found = extracted(tmp_path, row(), row(), row(at="2026-03-02T17:00:01Z"), row(note="unmapped"))
    assert found.clean.height == 2
    assert found.filtered == {"exact duplicate": 2}


def test_a_source_that_answers_with_another_day_is_not_believed(tmp_path):
    times = ("2026-03-02T04:59:59Z", "2026-03-02T05:00:00Z", "2026-03-03T04:59:59Z", "2026-03-03T05:00:00Z")
    url = database(tmp_path / "shop.db", [row(at=at) for at in times])
    everything = "SELECT * FROM log WHERE :start < :end"
    found = extract_events(sql_source(url, query=everything), DAY, DAY, NEW_YORK)
    assert column(found.clean, "occurred_at") == [
        datetime(2026, 3, 2, 5, tzinfo=UTC),
        datetime(2026, 3, 3, 4, 59, 59, tzinfo=UTC),
    ]
    assert found.rejected == {"occurred_at|outside the night": 2}


def test_counts_are_kept_by_business_day(tmp_path):
    rows = [
        row(),
        row(at="2026-03-03T17:00:00Z"),
        row(at="2026-03-03T17:00:00Z"),
        row(at="2026-03-03T18:00:00Z", did="gift"),
    ]
    source = event_source(parquet(tmp_path, rows))
    days = extract_events(source, DAY, DAY + timedelta(days=2), NEW_YORK).days
    assert [(facts.read, facts.rejected, facts.filtered) for facts in days.values()] == [
        (1, {}, {}),
        (3, {"event_type|unknown": 1}, {"exact duplicate": 1}),
        (0, {}, {}),
    ]


def test_no_rows_at_all_keep_the_contract(tmp_path):
    found = extracted(tmp_path, row(at="2020-01-01"))
    Events.validate(found.clean)
    assert (found.read, found.clean.height, found.rejects.height) == (0, 0, 0)


def test_a_missing_column_is_named_with_file_key_and_what_was_found(tmp_path):
    with pytest.raises(SchemaMismatch) as refused:
        extracted(tmp_path, row(), columns={**COLUMNS, "user_id": "customer"})
    message = str(refused.value)
    for part in ("log.parquet", "'customer'", "who, what, did, at", "sources.events.columns.user_id"):
        assert part in message


def test_a_filter_over_a_missing_column_names_the_filter(tmp_path):
    with pytest.raises(SchemaMismatch, match=r"no column 'n'.*sources\.events\.filters\.nothing bought"):
        extracted(tmp_path, row(), filters={"nothing bought": "n > 0"})


@pytest.mark.parametrize("condition", ["n >", "who > 3"])
def test_a_filter_that_makes_no_sense_is_a_fault_of_the_settings(tmp_path, condition):
    with pytest.raises(SettingsError, match=r"sources\.events\.filters"):
        extracted(tmp_path, row(n=1), filters={"odd": condition})


def test_a_number_is_no_time(tmp_path):
    with pytest.raises(SchemaMismatch, match=r"'at' holds Int64.*sources\.events\.columns\.occurred_at"):
        extracted(tmp_path, row(at=1_767_225_600))


AT = st.datetimes(datetime(2026, 3, 7), datetime(2026, 3, 10)).map(
    lambda at: at.replace(microsecond=0).isoformat()
)
ROW = st.builds(
    row, who=st.sampled_from(["ann", "bob"]), did=st.sampled_from(["sale", "page", "gift"]), at=AT
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, min_size=1, max_size=10))
def test_day_by_day_gives_what_one_range_gives(rows, tmp_path_factory):
    source = event_source(parquet(tmp_path_factory.mktemp("log"), rows), time_zone="America/New_York")
    first, last = date(2026, 3, 7), date(2026, 3, 9)
    whole = extract_events(source, first, last, NEW_YORK)
    parts = [extract_events(source, day, day, NEW_YORK) for day in days_between(first, last)]
    assert sorted(whole.clean.rows()) == sorted(event for part in parts for event in part.clean.rows())
    assert whole.days == {day: facts for part in parts for day, facts in part.days.items()}
    assert whole.read == sum(part.read for part in parts)
