"""Lists as rows for SQLite, where ids and scores are JSON: a column is joined at once and cut between lists."""

from collections.abc import Iterator
from itertools import chain, pairwise, repeat

import numpy as np
import polars as pl

from recsys_tasks.store.shards import Ints, Shard, joined, taken
from recsys_tasks.store.texts import Codes, Texts

COLUMNS = ("generation_id", "subject_id", "surface", "item_ids", "scores", "sources", "reasons")
# The encoder knows objects only: what stands around the text of {"v":"..."}.
OPENING, CLOSING = len('{"v":"'), len('"}')

Row = tuple[int, str, str, str, str, bytes, bytes]


def json_rows(shard: Shard, generation_id: int, surface: str, texts: Texts) -> Iterator[Row]:
    """
    (generation_id, subject_id, surface, item_ids, scores, sources, reasons) of each list.

    Columns are joined by this call, lists are cut out of them as rows are asked for.
    """
    items, scores = _escaped(shard.frame["item_id"]), _numbers(shard.frame["score"])
    sources, reasons = texts.codes(shard.sources), texts.codes(shard.reasons)
    made = [
        zip(
            repeat(generation_id),
            shard.frame["user_id"].gather(rows[:, 0]).to_list(),
            repeat(surface),
            _arrays(items, rows, '"'),
            _arrays(scores, rows),
            _blobs(sources[rows]),
            _blobs(reasons[rows]),
            strict=False,
        )
        for rows in shard.by_length()
    ]
    return chain.from_iterable(made)


def _escaped(column: pl.Series) -> pl.Series:
    """As JSON writes texts, without the quotes; most are written as they are."""
    whole = np.frombuffer(joined(column, ""), np.uint8)
    if not ((whole < ord(" ")) | (whole == ord('"')) | (whole == ord("\\"))).any():
        return column
    encoded = pl.struct(v=column.name).struct.json_encode()
    return column.to_frame().select(encoded.str.slice(OPENING).str.head(-CLOSING)).to_series()


def _numbers(column: pl.Series) -> pl.Series:
    """JSON has no infinity, and no number that is none."""
    finite = column.is_finite()
    written = column.cast(pl.String)
    return written if finite.all() else written.zip_with(finite, pl.Series(["null"]))


def _arrays(column: pl.Series, rows: Ints, quote: str = "") -> Iterator[str]:
    """Each list's JSON."""
    values = taken(column, rows)
    between = f"{quote},{quote}"
    whole = str(values.str.join(between)[0]) + between
    ends = np.cumsum(values.str.len_chars().to_numpy().astype(np.int64) + len(between))
    bounds = [0, *ends[rows.shape[1] - 1 :: rows.shape[1]].tolist()]
    return (f"[{quote}{whole[begin : end - len(between)]}{quote}]" for begin, end in pairwise(bounds))


def _blobs(codes: Codes) -> Iterator[bytes]:
    whole, size = codes.tobytes(), codes.itemsize * codes.shape[1]
    return (whole[begin : begin + size] for begin in range(0, len(whole), size))
