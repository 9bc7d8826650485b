"""
Frame contracts: the columns and types of every frame that crosses a step.

One vocabulary for the whole house. Optional columns are nullable, never absent.
"""

import dataframely as dy
import polars as pl

MAX_ID_CHARS = 512
MAX_TEXT_CHARS = 20_000
# A control character in an id is always an accident, and PostgreSQL cannot store NUL at all.
CLEAN_ID = r"^[^\x00-\x1f\x7f]+$"
NO_NUL = r"^[^\x00]*$"


class Events(dy.Schema):
    """One row per thing a shopper did. Total order: occurred_at, user_id, item_id, event_type."""

    user_id = dy.String(nullable=False, min_length=1, max_length=MAX_ID_CHARS, regex=CLEAN_ID)
    item_id = dy.String(nullable=False, min_length=1, max_length=MAX_ID_CHARS, regex=CLEAN_ID)
    event_type = dy.String(nullable=False, min_length=1, max_length=64, regex=CLEAN_ID)
    occurred_at = dy.Datetime(nullable=False, time_unit="us", time_zone="UTC")
    value = dy.Float64(nullable=True)
    session_id = dy.String(nullable=True, max_length=MAX_ID_CHARS, regex=CLEAN_ID)
    surface = dy.String(nullable=True, max_length=64, regex=CLEAN_ID)
    position = dy.Int32(nullable=True, min=0)
    propensity = dy.Float64(nullable=True, min_exclusive=0.0, max=1.0)


class Items(dy.Schema):
    """One row per item as a night knows it."""

    item_id = dy.String(primary_key=True, min_length=1, max_length=MAX_ID_CHARS, regex=CLEAN_ID)
    kind = dy.String(nullable=False, check=lambda c: c.is_in(["product", "ad", "content"]))
    title = dy.String(nullable=False, max_length=MAX_TEXT_CHARS, regex=NO_NUL)
    text = dy.String(nullable=False, max_length=MAX_TEXT_CHARS, regex=NO_NUL)
    category = dy.String(nullable=True, max_length=MAX_ID_CHARS, regex=NO_NUL)
    brand = dy.String(nullable=True, max_length=MAX_ID_CHARS, regex=NO_NUL)
    price = dy.Float64(nullable=True, min=0.0)
    image_uri = dy.String(nullable=True, max_length=4096, regex=NO_NUL)
    available_from = dy.Datetime(nullable=True, time_unit="us", time_zone="UTC")
    available_until = dy.Datetime(nullable=True, time_unit="us", time_zone="UTC")


class Catalogue(Items):
    """The items as a night knows them (at most one row an item), and how surely."""

    # False where only a later snapshot tells that the item was in the catalogue at that time: to count such
    # an item as offered would tell the future (see Snapshot.eligible).
    proven = dy.Bool(nullable=False)


class ItemVersions(Items):
    """The catalogue's history: a row is valid from ``valid_from`` until the item's next row."""

    item_id = dy.String(primary_key=True, min_length=1, max_length=MAX_ID_CHARS, regex=CLEAN_ID)
    valid_from = dy.Datetime(primary_key=True, time_unit="us", time_zone="UTC")
    # The first snapshot counts as valid before its ``valid_from`` too, although nobody saw it then.
    assumed = dy.Bool(nullable=False)
    # The source was read about when ``valid_from`` was. A catalogue read today proves nothing of a night last year.
    proven = dy.Bool(nullable=False)
    # The source stopped listing the item.
    removed = dy.Bool(nullable=False)


class Rejects(dy.Schema):
    """A quarantined row: what it was, and the first reason it was refused for."""

    source = dy.String(nullable=False)
    row = dy.String(nullable=False)
    reason = dy.String(nullable=False)


class Pairs(dy.Schema):
    """anchor -> positive: two items one shopper wanted close together in time."""

    user_id = dy.String(nullable=False)
    anchor_id = dy.String(nullable=False)
    positive_id = dy.String(nullable=False)
    weight = dy.Float32(nullable=False, min_exclusive=0.0)
    # When the positive happened: what the time audit looks at.
    occurred_at = dy.Datetime(nullable=False, time_unit="us", time_zone="UTC")


class Negatives(dy.Schema):
    """An item sampled for an anchor that its shopper has never touched."""

    user_id = dy.String(nullable=False)
    anchor_id = dy.String(nullable=False)
    negative_id = dy.String(nullable=False)


class Examples(dy.Schema):
    """
    One training example of the towers: what a shopper took in one target period.

    The history is not stored: it is every event of the shopper before ``history_until``.
    """

    user_id = dy.String(nullable=False)
    # Histories and popularity of the example end here (exclusive).
    history_until = dy.Datetime(nullable=False, time_unit="us", time_zone="UTC")
    positive_ids = dy.List(dy.String(nullable=False), nullable=False, min_length=1)
    # The last event among the positives: must lie before train_until.
    positives_until = dy.Datetime(nullable=False, time_unit="us", time_zone="UTC")
    # Whether each positive was new to the shopper at history_until.
    is_new = dy.List(dy.Bool(nullable=False), nullable=False, min_length=1)


class PurchasePairs(dy.Schema):
    """What the purchase classifier reads of a (shopper, item), and what it is to say."""

    user_id = dy.String(primary_key=True)
    # The texts of the shopper's newest items before the label days, newest first.
    history = dy.String(nullable=False)
    # The item's.
    text = dy.String(primary_key=True)
    purchased = dy.Bool(nullable=False)
    # Whether the shopper had no event with an item of that text before.
    first_time = dy.Bool(nullable=False)


class Recommendations(dy.Schema):
    """The finished lists; ``rank`` counts from 1 within a user."""

    user_id = dy.String(primary_key=True)
    rank = dy.Int32(primary_key=True, min=1)
    item_id = dy.String(nullable=False)
    score = dy.Float32(nullable=False)
    source = dy.String(nullable=False)
    reason = dy.String(nullable=False, min_length=1)

    @dy.rule()
    def an_item_stands_once_in_a_list(cls) -> pl.Expr:  # noqa: N805 - dataframely's own convention
        return pl.struct("user_id", "item_id").is_unique()
