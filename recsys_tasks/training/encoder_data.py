"""
What the encoder learns from, as arrays a training process can read: texts, histories, examples, pairs.

Everything is about texts, not items: items with equal texts are one thing to an encoder. Some texts are held out, by a
hash of the text, so that they are the same on every night and no warm start has ever seen them: their events are in
no history, no positive and no negative. The encoder gate asks how well vectors work for exactly these.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors.numpy import load_file, save_file

from recsys_tasks.model.arrays import Floats
from recsys_tasks.model.histories import Histories

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# The texts the encoder learns among; a larger shop trains on its most bought ones.
MAX_TEXTS = 100_000
POPULARITY_DAYS = (7, 28)
US_PER_DAY = 86_400_000_000


@dataclass(frozen=True)
class EncoderData:
    """
    m texts, E examples in the order they are trained on, P pairs.

    ``history_*`` is the CSR of Histories over text codes. Example i is user code ``example_user[i]`` at
    ``example_until[i]`` (us); its new positives are ``positive_text[positive_start[i]:positive_start[i + 1]]``.
    ``popularity[popularity_row[i]]`` is log1p of the buyers-and-events counts of each text as of then, a column a
    window of POPULARITY_DAYS. Pair j says that text ``pair_positive[j]`` follows ``pair_anchor[j]``, and counts
    ``pair_weight[j]``; ``pair_negative[j]`` are k texts its shopper never touched (-1: none).
    """

    held_out: Bools
    history_start: Ints
    history_text: Ints
    history_time: Ints
    history_weight: Floats
    example_user: Ints
    example_until: Ints
    positive_start: Ints
    positive_text: Ints
    popularity: Floats
    popularity_row: Ints
    pair_user: Ints
    pair_anchor: Ints
    pair_positive: Ints
    pair_weight: Floats
    pair_negative: Ints

    @property
    def histories(self) -> Histories:
        return Histories(self.history_start, self.history_text, self.history_time, self.history_weight)

    def save(self, path: Path) -> None:
        save_file({f.name: np.ascontiguousarray(getattr(self, f.name)) for f in fields(self)}, path)

    @classmethod
    def load(cls, path: Path) -> "EncoderData":
        return cls(**load_file(path))


def as_texts(events: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """The events with each item's text in the place of its id; events of items the catalogue lacks are left out."""
    texts = items.select("item_id", "text")
    columns = ("user_id", "text", "event_type", "occurred_at")
    return (
        events.join(texts, on="item_id", how="inner", maintain_order="left")
        .select(columns)
        .rename({"text": "item_id"})
    )


def known_texts(events: pl.DataFrame, cut: datetime, weights: Mapping[str, float]) -> pl.Series:
    """The texts with an event before the cut, sorted; of very many, the MAX_TEXTS with most events."""
    counted = (
        events.filter(pl.col("occurred_at") < cut, pl.col("event_type").is_in(sorted(weights)))
        .group_by("item_id")
        .len()
        .sort("len", "item_id", descending=[True, False])
    )
    return counted["item_id"].head(MAX_TEXTS).sort()


def held_out(texts: Sequence[str] | pl.Series, share: float, seed: int) -> Bools:
    """Which texts no encoder of this shop may learn from: a stable hash decides, so it is the same every night."""
    hashes = (hashlib.sha256(f"{seed}:{text}".encode()).digest() for text in texts)
    return np.array([int.from_bytes(h[:8], "big") < share * 2**64 for h in hashes], dtype=np.bool_)


@dataclass(frozen=True, kw_only=True)
class Source:
    """The night's frames, before they become arrays: ``events`` already ``as_texts``, ids in pairs still item ids."""

    events: pl.DataFrame
    items: pl.DataFrame
    pairs: pl.DataFrame
    negatives: pl.DataFrame
    examples: pl.DataFrame


def encoder_data(
    source: Source,
    texts: pl.Series,
    held: Bools,
    *,
    cut: datetime,
    weights: Mapping[str, float],
    examples: int,
    seed: int,
) -> EncoderData:
    """
    Arrays of everything before ``cut``: no event, example or pair that reaches to it or behind it is used.

    ``examples`` rows are drawn (each at most once, shuffled): as many as the training has steps for.
    """
    before = source.events.filter(pl.col("occurred_at") < cut)
    free = texts.filter(~pl.Series(held))
    users = before["user_id"].unique().sort()
    warm = before.filter(pl.col("item_id").is_in(free.implode()))
    histories = Histories.collect(warm, users, texts, weights)
    chosen, positives = _examples(source, warm, users, texts, cut, examples, seed)
    instants, popularity_row = np.unique(chosen["until"].to_numpy(), return_inverse=True)
    pairs, negatives = _pairs(source, users, texts, free, cut)
    counts = np.bincount(positives["example"].to_numpy(), minlength=len(chosen))
    return EncoderData(
        held_out=held,
        history_start=histories.starts,
        history_text=histories.items,
        history_time=histories.times,
        history_weight=histories.weights,
        example_user=chosen["user"].to_numpy(),
        example_until=chosen["until"].to_numpy(),
        positive_start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        positive_text=positives["text"].to_numpy(),
        popularity=_popularity(histories, instants, len(texts)),
        popularity_row=popularity_row.astype(np.int64),
        pair_user=pairs["user"].to_numpy(),
        pair_anchor=pairs["anchor"].to_numpy(),
        pair_positive=pairs["positive"].to_numpy(),
        pair_weight=pairs["weight"].to_numpy(),
        pair_negative=negatives,
    )


def _examples(
    source: Source,
    warm: pl.DataFrame,
    users: pl.Series,
    texts: pl.Series,
    cut: datetime,
    limit: int,
    seed: int,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """
    (user, until) of each drawn example, and its positives (example, text): texts that were new to the shopper.

    An item may be new while its text is not; such a positive teaches nothing.
    """
    usable = source.examples.filter(pl.col("positives_until") < cut)
    # Four times as many as needed: some have no new text.
    drawn = usable[np.random.default_rng(seed).permutation(len(usable))[: 4 * limit]].with_row_index(
        "example"
    )
    first_seen = warm.group_by("user_id", "item_id").agg(since=pl.col("occurred_at").min())
    positives = (
        drawn.explode("positive_ids", "is_new")
        .filter("is_new")
        .join(source.items.select(positive_ids="item_id", text="text"), on="positive_ids")
        .join(first_seen, left_on=["user_id", "text"], right_on=["user_id", "item_id"])
        .filter(pl.col("since") >= pl.col("history_until"))
        .select(pl.col("example").cast(pl.Int64), _code("text", texts))
        .unique()
        .sort("example", "text")
    )
    kept = positives["example"].unique().sort().head(limit)
    renumbered = pl.DataFrame({"example": kept, "row": np.arange(len(kept))})
    positives = positives.join(renumbered, on="example").sort("row", "text").select("text", example="row")
    chosen = drawn[kept].select(_code("user_id", users, "user"), until=pl.col("history_until").dt.epoch("us"))
    return chosen, positives


def _pairs(
    source: Source, users: pl.Series, texts: pl.Series, free: pl.Series, cut: datetime
) -> tuple[pl.DataFrame, Ints]:
    """Pairs of two different free texts that happened before the cut, and the texts of their negatives (P, k)."""
    text_of = source.items.select("item_id", "text").filter(pl.col("text").is_in(free.implode()))
    pairs = (
        source.pairs.filter(pl.col("occurred_at") < cut)
        .join(text_of.rename({"text": "anchor"}), left_on="anchor_id", right_on="item_id")
        .join(text_of.rename({"text": "positive"}), left_on="positive_id", right_on="item_id")
        .filter(pl.col("anchor") != pl.col("positive"))
        .sort("user_id", "anchor_id", "positive_id")
    )
    negatives = (
        source.negatives.join(text_of.rename({"text": "negative"}), left_on="negative_id", right_on="item_id")
        .select("user_id", "anchor_id", _code("negative", texts))
        .group_by("user_id", "anchor_id")
        .agg(pl.col("negative").unique().sort())
    )
    joined = pairs.join(negatives, on=["user_id", "anchor_id"], how="left", maintain_order="left")
    codes = (_code("user_id", users, "user"), _code("anchor", texts), _code("positive", texts))
    coded = joined.select(*codes, "weight")
    return coded, _padded(joined["negative"])


def _padded(lists: pl.Series) -> Ints:
    """Lists of codes as a matrix, -1 where a list is shorter (or missing)."""
    width = int(lists.list.len().max() or 0)  # type: ignore[arg-type]
    columns = [
        lists.list.get(k, null_on_oob=True).fill_null(-1).cast(pl.Int64).to_numpy() for k in range(width)
    ]
    return np.stack(columns, axis=1) if columns else np.empty((len(lists), 0), dtype=np.int64)


def _popularity(histories: Histories, instants: Ints, texts: int) -> Floats:
    """log1p of how many events each text had in the days before each instant, (instants, texts, windows)."""
    order = np.argsort(histories.times, kind="stable")
    times, codes = histories.times[order], histories.items[order]
    popularity = np.zeros((len(instants), texts, len(POPULARITY_DAYS)), dtype=np.float32)
    for row, instant in enumerate(instants):
        end = np.searchsorted(times, instant)
        for column, days in enumerate(POPULARITY_DAYS):
            begin = np.searchsorted(times, instant - days * US_PER_DAY)
            popularity[row, :, column] = np.log1p(np.bincount(codes[begin:end], minlength=texts))
    return popularity


def _code(column: str, known: pl.Series, name: str | None = None) -> pl.Expr:
    """The place of each value among the sorted distinct ``known`` (all must be known)."""
    coded = pl.col(column).cast(pl.Enum(known)).to_physical().cast(pl.Int64)
    return coded.alias(name or column)
