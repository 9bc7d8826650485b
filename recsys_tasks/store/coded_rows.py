"""
Lists as rows for SQLite: a statement writes all lists of one length of a shard.

It is given each column in one piece, and SQLite cuts it: no list is touched one by one, and another thread makes the
next shard ready meanwhile.
"""

from collections.abc import Iterator

from recsys_tasks.errors import DataError
from recsys_tasks.store.coded_lists import CodedLists, coded_lists
from recsys_tasks.store.shards import Shard
from recsys_tasks.store.texts import CODE, Texts, Values, as_json

INSERT_LISTS = """
INSERT INTO coded_lists (generation_id, subject_id, surface, items, scores, sources, reasons)
SELECT :generation_id, u.value, :surface,
       substr(:items, u.key * :bytes + 1, :bytes), substr(:scores, u.key * :bytes + 1, :bytes),
       substr(:sources, u.key * :bytes + 1, :bytes), substr(:reasons, u.key * :bytes + 1, :bytes)
FROM json_each(:users) u
"""
INSERT_TEXTS = """
INSERT INTO list_texts (generation_id, code, text)
SELECT :generation_id, substr(:codes, t.key * 4 + 1, 4), t.value FROM json_each(:texts) t
"""
INSERT_ITEMS = """
INSERT INTO coded_items (code, item_id)
SELECT substr(:codes, i.key * 4 + 1, 4), i.value FROM json_each(:texts) i
"""
# As many as the view can count.
PLACES = 65_536


def list_values(shard: Shard, generation_id: int, surface: str, words: Texts) -> Iterator[Values]:
    """What INSERT_LISTS is given for the lists of each length. Raises DataError for lists that are too long."""
    for lists in coded_lists(shard, words):
        _refuse_long(lists)
        yield {
            "generation_id": generation_id,
            "surface": surface,
            "users": as_json(lists.users.to_list()),
            "bytes": CODE.itemsize * lists.length,
            **{name: column.tobytes() for name, column in lists.columns.items()},
        }


def _refuse_long(lists: CodedLists) -> None:
    if lists.length > PLACES:
        raise DataError(
            f"lists: user_id {lists.users[0]} has {lists.length} rows; SQLite holds {PLACES} of a list"
        )
