import dataframely as dy
import polars as pl
import pytest

from recsys_tasks import schema
from recsys_tasks.schema import Events, Items, ItemVersions, Recommendations
from tests.pairs.shop import log

CONTRACTS = [kind for kind in vars(schema).values() if isinstance(kind, type) and issubclass(kind, dy.Schema)]
CONTRACTS = [kind for kind in CONTRACTS if kind is not dy.Schema]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.__name__)
def test_an_empty_frame_keeps_every_contract_and_explains_itself(contract):
    assert contract.is_valid(contract.create_empty())
    assert contract.__doc__


def test_one_word_means_one_type_everywhere():
    kinds: dict[str, set[pl.DataType]] = {}
    for contract in CONTRACTS:
        for name, column in contract.columns().items():
            kinds.setdefault(name, set()).add(column.dtype)
    assert {name: found for name, found in kinds.items() if len(found) > 1} == {}


def event(**changed: object) -> pl.DataFrame:
    return log(("ann", "tent", "view", 1)).with_columns(**{k: pl.lit(v).alias(k) for k, v in changed.items()})


def test_an_ordinary_event_is_one():
    assert Events.is_valid(event())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("user_id", ""),
        ("user_id", "an\x00n"),
        ("item_id", "tent\n"),
        ("item_id", "x" * 513),
        ("event_type", ""),
        ("session_id", "\x07"),
        ("propensity", 0.0),
        ("propensity", 1.5),
    ],
)
def test_a_broken_event_is_refused(column, value):
    with pytest.raises(dy.exc.ValidationError, match=column):
        Events.validate(event(**{column: value}))


@pytest.mark.parametrize("column", ["user_id", "item_id", "event_type", "occurred_at"])
def test_what_an_event_cannot_lack(column):
    with pytest.raises(dy.exc.ValidationError, match=column):
        Events.validate(event().with_columns(pl.lit(None, event().schema[column]).alias(column)))


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(dy.exc.SchemaError, match="occurred_at"):
        Events.validate(event().with_columns(pl.col("occurred_at").dt.replace_time_zone(None)))


def test_ids_and_texts_of_every_script_are_welcome():
    assert Events.is_valid(event(user_id="Zoë 李", item_id="палатка/№1"))


def items(*rows: dict[str, object], contract: type[dy.Schema] = Items) -> pl.DataFrame:
    fields = {name: column.dtype for name, column in contract.columns().items()}
    plain = {"kind": "product", "title": "Tent", "text": "Tent. Two people"}
    return pl.DataFrame([plain | row for row in rows], schema=fields)


@pytest.mark.parametrize(
    "row",
    [{"kind": "banana"}, {"text": "nul \x00"}, {"price": -1.0}, {"text": "x" * 20_001}, {"text": None}],
    ids=lambda row: next(iter(row)),
)
def test_a_broken_item_is_refused(row):
    assert Items.is_valid(items({"item_id": "tent"}))
    assert not Items.is_valid(items({"item_id": "tent", **row}))


def test_an_item_stands_once_in_a_catalogue_and_once_per_instant_in_its_history():
    assert not Items.is_valid(items({"item_id": "tent"}, {"item_id": "tent"}))
    when = log(("ann", "tent", "view", 1), ("ann", "tent", "view", 2))["occurred_at"].to_list()
    flags = {"assumed": False, "proven": True, "removed": False, "item_id": "tent"}
    twice = [{"valid_from": when[0], **flags}, {"valid_from": when[1], **flags}]
    assert ItemVersions.is_valid(items(*twice, contract=ItemVersions))
    assert not ItemVersions.is_valid(items(twice[0], twice[0], contract=ItemVersions))


def lists(*rows: tuple[str, int, str]) -> pl.DataFrame:
    fields = {name: column.dtype for name, column in Recommendations.columns().items()}
    return pl.DataFrame(
        [(*row, 1.0, "popular", "popular this week") for row in rows], schema=fields, orient="row"
    )


@pytest.mark.parametrize(
    ("why", "rows"),
    [
        ("one rank twice", [("ann", 1, "tent"), ("ann", 1, "bag")]),
        ("one item twice", [("ann", 1, "tent"), ("ann", 2, "tent")]),
        ("ranks count from one", [("ann", 0, "tent")]),
    ],
)
def test_a_list_is_refused_when(why, rows):
    assert not Recommendations.is_valid(lists(*rows))


def test_two_shoppers_may_share_an_item():
    assert Recommendations.is_valid(lists(("ann", 1, "tent"), ("bob", 1, "tent"), ("ann", 2, "bag")))
