"""Lists as rows for SQLite, which keeps arrays as JSON."""

from collections.abc import Iterator

import polars as pl

from recsys_tasks.store.shards import Shard

ARRAYS = ("item_id", "score", "source", "reason")
# The encoder knows objects only: what stands around the one value of {"v":[...]}.
OPENING, CLOSING = len('{"v":'), len("}")

Row = tuple[int, str, str, str, str, str, str]


def json_rows(shard: Shard, generation_id: int, surface: str) -> Iterator[Row]:
    """(generation_id, subject_id, surface, item_ids, scores, sources, reasons) of each list."""
    packed = shard.frame.group_by("user_id", maintain_order=True).agg(ARRAYS)
    for user_id, *arrays in packed.select("user_id", *map(_json, ARRAYS)).iter_rows():
        yield (generation_id, user_id, surface, *arrays)


def _json(name: str) -> pl.Expr:
    whole = pl.struct(v=name).struct.json_encode()
    return whole.str.slice(OPENING).str.head(-CLOSING).alias(name)
