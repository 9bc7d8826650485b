from datetime import UTC, datetime

import pytest

from recsys_tasks.errors import SchemaMismatch
from recsys_tasks.schema import MAX_TEXT_CHARS, Items
from tests.extract.builders import catalogue, column

FULL = {
    "item_id": "sku",
    "category": "dept",
    "brand": "maker",
    "price": "price",
    "image_uri": "picture",
    "available_from": "since",
    "available_until": "until",
}


def test_an_item_is_mapped_to_our_words(tmp_path):
    product = {
        "sku": 12.0,
        "name": "Tent",
        "dept": "Camping",
        "maker": " ",
        "price": "99.50",
        "picture": "s3://a/b.jpg",
        "since": "2026-01-01",
        "until": None,
    }
    found = catalogue(
        tmp_path,
        product,
        columns=FULL,
        text="{name}. {maker}. {dept}",
        title="{name}",
        time_zone="Europe/Paris",
    )
    since = datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert Items.validate(found.clean).rows() == [
        ("12", "product", "Tent", "Tent. Camping", "Camping", None, 99.5, "s3://a/b.jpg", since, None)
    ]


def test_the_title_is_the_text_where_none_is_given(tmp_path):
    found = catalogue(tmp_path, {"sku": "a", "name": "Tent"})
    assert (found.clean["title"][0], found.clean["text"][0]) == ("Tent", "Tent")


def test_the_last_row_of_an_item_wins(tmp_path):
    found = catalogue(
        tmp_path, {"sku": "a", "name": "old"}, {"sku": "b", "name": "mat"}, {"sku": "a", "name": "new"}
    )
    assert found.clean.select("item_id", "text").rows() == [("a", "new"), ("b", "mat")]
    assert found.filtered == {"repeated item_id": 1}


def test_a_filtered_row_does_not_win(tmp_path):
    found = catalogue(
        tmp_path,
        {"sku": "a", "name": "Tent"},
        {"sku": "a", "name": None},
        filters={"no description": "name IS NOT NULL"},
    )
    assert column(found.clean, "text") == ["Tent"]
    assert found.filtered == {"no description": 1}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"sku": None}, "item_id|nullability"),
        ({"sku": "b\x00"}, "item_id|regex"),
        ({"name": "Tent\x00"}, "title|regex"),
        ({"price": "a lot"}, "price|unreadable"),
        ({"price": "-1"}, "price|min"),
        ({"since": "soon"}, "available_from|unreadable"),
        ({"kind": "thing"}, "kind|check"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_an_item_that_breaks_a_contract_is_quarantined_with_its_reason(tmp_path, bad, reason):
    good = {"sku": "a", "name": "Mat", "price": "1", "since": "2026-01-01", "kind": "ad"}
    columns = {"item_id": "sku", "price": "price", "available_from": "since", "kind": "kind"}
    found = catalogue(tmp_path, good, {**good, "sku": "b", **bad}, columns=columns)
    assert column(found.clean, "item_id") == ["a"]
    assert found.rejected == {reason: 1}


def test_several_items_without_id_are_several_rejects(tmp_path):
    found = catalogue(
        tmp_path, {"sku": None, "name": "a"}, {"sku": None, "name": "b"}, {"sku": "c", "name": "c"}
    )
    assert found.rejected == {"item_id|nullability": 2}


def test_an_item_without_text_is_kept_and_noted(tmp_path):
    found = catalogue(tmp_path, {"sku": "a", "name": None}, {"sku": "b", "name": "Mat"})
    assert column(found.clean, "text") == ["", "Mat"]
    assert found.noted == {"no text": 1}


def test_a_text_beyond_the_limit_is_cut_and_noted(tmp_path):
    found = catalogue(tmp_path, {"sku": "a", "name": "x" * (MAX_TEXT_CHARS + 1)})
    assert len(found.clean["text"][0]) == MAX_TEXT_CHARS
    assert found.noted == {"text cut": 1}


@pytest.mark.parametrize("key", ["text", "title"])
def test_a_template_over_a_missing_column_names_its_key(tmp_path, key):
    with pytest.raises(SchemaMismatch, match=rf"no column 'nam'.*sources\.items\.{key}"):
        catalogue(tmp_path, {"sku": "a", "name": "Tent"}, **{"text": "{name}", key: "{nam}"})


def test_a_number_is_no_launch_date(tmp_path):
    with pytest.raises(SchemaMismatch, match=r"available_from"):
        catalogue(
            tmp_path,
            {"sku": "a", "name": "Tent", "since": 5},
            columns={"item_id": "sku", "available_from": "since"},
        )
