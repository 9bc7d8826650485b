"""
Where lists are kept: four bytes a place for the item, its score, its source and its reason.

An item keeps its code from night to night, so lists of two nights are compared by their codes. PostgreSQL keeps each
generation in a partition of its own, so that it comes and goes in one piece.
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

from recsys_tasks.errors import DataError
from recsys_tasks.store.tables import FIRST_LISTS, NAMES, PACKED_LISTS, Base, Id
from recsys_tasks.store.texts import CODE

# In one value: a row each would take longer to hand over than to read. With the last code, in one statement: two could
# see two states of the table.
ITEM_IDS = {
    "sqlite": text(
        "SELECT json_group_array(item_id), (SELECT code FROM coded_items ORDER BY code DESC LIMIT 1)"
        " FROM (SELECT item_id FROM coded_items ORDER BY code)"
    ),
    "postgresql": text(
        "SELECT CAST(coalesce(json_agg(item_id ORDER BY code), '[]') AS text),"
        " (SELECT code FROM coded_items ORDER BY code DESC LIMIT 1) FROM coded_items"
    ),
}


class ItemCodes(TypeDecorator[list[int]]):
    """The codes of a list's items, best first."""

    impl = LargeBinary
    cache_ok = True

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Any:
        return None if value is None else np.frombuffer(value, CODE).tolist()


# The order of the key serves the lookup by shopper, with or without a surface.
CODED_LISTS = Table(
    "coded_lists",
    Base.metadata,
    Column("generation_id", Id, primary_key=True, autoincrement=False),
    Column("subject_id", Text, primary_key=True),
    Column("surface", Text, primary_key=True),
    Column("items", ItemCodes, key="item_ids", nullable=False),
    Column("scores", LargeBinary, nullable=False),
    Column("sources", LargeBinary, nullable=False),
    Column("reasons", LargeBinary, nullable=False),
    postgresql_partition_by="LIST (generation_id)",
)

# Of this release first; what earlier releases loaded is read and pruned, and nothing is added.
LISTS = (CODED_LISTS, PACKED_LISTS, FIRST_LISTS)

# Of every item that was ever in a list: what is listed again is not written again.
CODED_ITEMS = Table(
    "coded_items",
    Base.metadata,
    Column("code", LargeBinary, primary_key=True),
    Column("item_id", Text, nullable=False),
    sqlite_with_rowid=False,
)

SQLITE_ONLY = MetaData(naming_convention=NAMES)

# What two bytes say, filled by the migration: a number; and where the single-precision numbers that begin with them
# begin, and how far they are apart.
CODED_NUMBERS = Table(
    "coded_numbers",
    SQLITE_ONLY,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("bytes", LargeBinary, nullable=False, unique=True),
    Column("float_from", REAL),
    Column("float_step", REAL),
)


def item_ids(connection: Connection) -> list[str]:
    """
    The items that have a code, in its order: 0, 1, 2, ...

    Raises DataError where codes are missing between them: an item's place would be another item's code.
    """
    found, last = connection.execute(ITEM_IDS[connection.dialect.name]).one()
    ids: list[str] = json.loads(found)
    codes = 0 if last is None else int(np.frombuffer(last, CODE)[0]) + 1
    if len(ids) != codes:
        raise DataError(
            f"the table coded_items holds {len(ids)} items for {codes} codes: restore it from a backup; "
            "the live lists were not touched"
        )
    return ids
