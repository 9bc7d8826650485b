"""
Where SQLite keeps lists: four bytes a place for the item, its score, its source and its reason.

An item keeps its code from night to night, so lists of two nights are compared by their codes.
"""

import json
from typing import Any

import numpy as np
from sqlalchemy import (
    REAL,
    Column,
    Connection,
    Dialect,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.orm import Session

from recsys_tasks.store.connect import is_postgresql
from recsys_tasks.store.tables import EARLIER_LISTS, LISTS, NAMES, Id
from recsys_tasks.store.texts import CODE

# In one value: a row each would take longer to hand over than to read.
ITEM_IDS = "SELECT json_group_array(item_id) FROM (SELECT item_id FROM coded_items ORDER BY code)"

CODED = MetaData(naming_convention=NAMES)


class ItemCodes(TypeDecorator[list[int]]):
    """The codes of a list's items, best first."""

    impl = LargeBinary
    cache_ok = True

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Any:
        return None if value is None else np.frombuffer(value, CODE).tolist()


# The order of the key serves the lookup by shopper, with or without a surface.
CODED_LISTS = Table(
    "coded_lists",
    CODED,
    Column("generation_id", Id, primary_key=True, autoincrement=False),
    Column("subject_id", Text, primary_key=True),
    Column("surface", Text, primary_key=True),
    Column("items", ItemCodes, key="item_ids", nullable=False),
    Column("scores", LargeBinary, nullable=False),
    Column("sources", LargeBinary, nullable=False),
    Column("reasons", LargeBinary, nullable=False),
)

# Of every item that was ever in a list: what is listed again is not written again.
CODED_ITEMS = Table(
    "coded_items",
    CODED,
    Column("code", LargeBinary, primary_key=True),
    Column("item_id", Text, nullable=False),
    sqlite_with_rowid=False,
)

# What two bytes say, filled by the migration: a number; and where the single-precision numbers that begin with them
# begin, and how far they are apart.
CODED_NUMBERS = Table(
    "coded_numbers",
    CODED,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("bytes", LargeBinary, nullable=False, unique=True),
    Column("float_from", REAL),
    Column("float_step", REAL),
)


def tables_of_lists(connection: Connection) -> tuple[Table, ...]:
    """Where lists may stand, of this release first."""
    return (LISTS, EARLIER_LISTS) if is_postgresql(connection) else (CODED_LISTS, LISTS, EARLIER_LISTS)


def item_ids(bind: Connection | Session) -> list[str]:
    """The items that have a code, in its order: 0, 1, 2, ..."""
    ids: list[str] = json.loads(bind.execute(text(ITEM_IDS)).scalar_one())
    return ids
