"""
Lists as rows for SQLite: a statement writes all lists of one length of a shard.

It is given each column in one piece, and SQLite cuts it: no list is touched one by one, and another thread makes the
next shard ready meanwhile.
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from recsys_tasks.errors import DataError
from recsys_tasks.store.shards import Shard, matrix
from recsys_tasks.store.texts import Texts

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
SCORE = np.dtype(">f4")
# As many as the view can count.
PLACES = 65_536

Values = dict[str, Any]


def list_values(shard: Shard, generation_id: int, surface: str, words: Texts) -> Iterator[Values]:
    """What INSERT_LISTS is given for the lists of each length. Raises DataError for lists that are too long."""
    columns = {
        "items": shard.items.texts.codes(shard.items),
        "scores": shard.frame["score"].to_numpy().astype(SCORE),
        "sources": words.codes(shard.sources),
        "reasons": words.codes(shard.reasons),
    }
    for rows in shard.by_length():
        users, length = shard.frame["user_id"].gather(rows[:, 0]), rows.shape[1]
        if length > PLACES:
            raise DataError(f"lists: user_id {users[0]} has {length} rows; SQLite holds {PLACES} of a list")
        yield {
            "generation_id": generation_id,
            "surface": surface,
            "users": _json(users.to_list()),
            "bytes": SCORE.itemsize * length,
            **{name: matrix(column, rows).tobytes() for name, column in columns.items()},
        }


def text_values(texts: Texts, since: int = 0) -> Values:
    """What INSERT_TEXTS and INSERT_ITEMS are given of the texts from a place on."""
    return {"codes": texts.codes_since(since).tobytes(), "texts": _json(texts.since(since).to_list())}


def _json(texts: list[str]) -> str:
    return json.dumps(texts, ensure_ascii=False)
