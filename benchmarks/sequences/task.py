"""
What a leave-one-out run may learn from and is judged on, from either form of file.

* ``user_id, item_ids``: lists, oldest first. The last item is the test target, the one before it the validation
  target; lists of fewer than three items are learned from and not scored.
* ``split, row, user_id, history_item_ids, item_id``: splits valid and test, perhaps train. A row's target follows its
  history; rows of a shopper stand in order of ``row``.

While choosing, systems learn from ``train`` and are judged on ``valid``; then they learn from ``refit`` and are judged
on ``test``. In the second form ``train`` holds the train rows and the history of each shopper's first valid row;
``refit`` adds the valid targets and the history of each shopper's first test row. The history of a later test row holds
earlier test targets: it is input only.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import polars as pl

from benchmarks.peers.coded import positions
from recsys_tasks.errors import DataError, EmptyPartition, SchemaMismatch
from recsys_tasks.extract.values import text_of
from recsys_tasks.model.sequences import Ints, Sequences

LISTS = ("user_id", "item_ids")
ROWS = ("split", "row", "user_id", "history_item_ids", "item_id")
SPLITS = ("train", "valid", "test")
FEWEST = 3


@dataclass(frozen=True)
class Learned:
    """Sequences to learn from and whose they are (n,)."""

    users: pl.Series
    sequences: Sequences


@dataclass(frozen=True)
class Asked:
    """n rows to score: a shopper's history and the item that came next."""

    users: pl.Series
    histories: Sequences
    targets: Ints
    first: np.ndarray
    """(n,) whether the row is its shopper's first: its history is all that was learned from."""

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Task:
    """``item_ids`` (V,) sorted: the items of both files; codes are places in it. ``texts``: empty where none."""

    item_ids: pl.Series
    texts: list[str]
    train: Learned
    valid: Asked
    refit: Learned
    test: Asked


def read_task(sequences: pl.DataFrame, items: pl.DataFrame) -> Task:
    """
    ``items`` has item_id and text (see ``item_texts``); ids of the sequences become text.

    Raises SchemaMismatch where columns are missing, DataError where a split is unknown or a list has no shopper,
    EmptyPartition where nothing is left to score.
    """
    columns = set(sequences.columns)
    if columns >= set(LISTS):
        _nobody_missing(sequences)
        lists = pl.Series("ids", _ids(sequences["item_ids"]))
        users = _text(sequences["user_id"])
        return _of_lists(users, lists, items)
    if columns >= set(ROWS):
        return _of_rows(sequences, items)
    raise SchemaMismatch(
        f"the sequences file has {', '.join(sequences.columns) or 'no column'}; "
        f"give {', '.join(LISTS)} or {', '.join(ROWS)}"
    )


def _nobody_missing(sequences: pl.DataFrame) -> None:
    missing = sequences["user_id"].null_count()
    if missing:
        row = int(sequences["user_id"].is_null().arg_max() or 0)
        raise DataError(
            f"the sequences file has {missing} rows without user_id, the first of them row {row}: "
            "give each list a shopper"
        )


def _of_lists(users: pl.Series, lists: pl.Series, items: pl.DataFrame) -> Task:
    catalogue, texts = _catalogue(lists.explode(), items)
    coded = _coded(lists, catalogue)
    long = coded.lengths >= FEWEST
    _some_left(int(long.sum()), "test", f"no shopper has {FEWEST} or more items")

    def cut(back: int) -> Sequences:
        return Sequences.of(coded[row][: -back if long[row] else None] for row in range(len(coded)))

    def asked(back: int) -> Asked:
        rows = np.flatnonzero(long)
        histories = Sequences.of(coded[int(row)][:-back] for row in rows)
        targets = coded.items[coded.offsets[1:][rows] - back]
        return Asked(users.filter(pl.Series(long)), histories, targets, np.ones(len(rows), np.bool_))

    return Task(catalogue, texts, Learned(users, cut(2)), asked(2), Learned(users, cut(1)), asked(1))


def _of_rows(frame: pl.DataFrame, items: pl.DataFrame) -> Task:
    rows = frame.select(
        pl.col("split").cast(pl.String),
        "row",
        user_id=_text(frame["user_id"]),
        history=_ids(frame["history_item_ids"]),
        item_id=_text(frame["item_id"]),
    ).drop_nulls(["user_id", "item_id"])
    unknown = sorted(set(rows["split"].unique().to_list()) - set(SPLITS), key=str)
    if unknown:
        raise DataError(f"the sequences file has split {unknown[0]!r}; known: {', '.join(SPLITS)}")
    rows = rows.sort("row", maintain_order=True)
    catalogue, texts = _catalogue(pl.concat([rows["history"].explode(), rows["item_id"]]), items)
    part = {name: _asked(rows.filter(pl.col("split") == name), catalogue) for name in SPLITS}
    _some_left(len(part["valid"]), "valid", "choosing needs rows of split valid")
    _some_left(len(part["test"]), "test", "there is no row of split test")
    train, valid, test = part["train"], part["valid"], part["test"]
    learned = [*_pieces(train, whole=True), *_pieces(valid, whole=False)]
    more = [*_pieces(train, whole=True), *_pieces(valid, whole=True), *_pieces(test, whole=False)]
    return Task(catalogue, texts, merged(learned), valid, merged(more), test)


def _asked(rows: pl.DataFrame, catalogue: pl.Series) -> Asked:
    targets = positions(rows["item_id"], catalogue)
    first = rows.select(pl.col("user_id").is_first_distinct()).to_series().to_numpy()
    return Asked(rows["user_id"], _coded(rows["history"], catalogue), targets, first)


def _pieces(asked: Asked, *, whole: bool) -> Iterable[tuple[str, list[int]]]:
    """What may be learned from rows: history and target of each, or the history of each shopper's first."""
    for row, user in enumerate(asked.users):
        history = asked.histories[row].tolist()
        if whole:
            yield user, [*history, int(asked.targets[row])]
        elif asked.first[row]:
            yield user, history


def merged(pieces: Iterable[tuple[str, list[int]]]) -> Learned:
    """
    One sequence a shopper from pieces that overlap: what a piece's beginning shares with the end so far counts once.

    Histories are cut at the front, so a piece may lie wholly within what is known. A piece that shares nothing
    begins a sequence of its own.
    """
    done: list[tuple[str, list[int]]] = []
    open_at: dict[str, int] = {}
    for user, piece in pieces:
        at = open_at.get(user)
        known = done[at][1] if at is not None else []
        shared = next((n for n in range(min(len(known), len(piece)), 0, -1) if known[-n:] == piece[:n]), 0)
        if shared:
            known += piece[shared:]
        elif piece:
            open_at[user] = len(done)
            done.append((user, piece))
    return Learned(pl.Series([user for user, _ in done], dtype=pl.String), Sequences.of(p for _, p in done))


def _catalogue(met: pl.Series, items: pl.DataFrame) -> tuple[pl.Series, list[str]]:
    """Sorted ids of both files, and each one's text."""
    ids = pl.concat([items["item_id"], met.drop_nulls()]).unique().sort()
    known = ids.to_frame("item_id").join(items, on="item_id", how="left", maintain_order="left")
    return ids, known["text"].fill_null("").to_list()


def _coded(lists: pl.Series, catalogue: pl.Series) -> Sequences:
    lengths = lists.list.len().to_numpy().astype(np.int64)
    flat = lists.filter(pl.Series(lengths > 0)).explode()
    return Sequences(positions(flat, catalogue), np.concatenate([[0], np.cumsum(lengths)]))


def _text(column: pl.Series) -> pl.Series:
    return column.to_frame("id").select(text_of(pl.col("id"), column.dtype)).to_series()


def _ids(column: pl.Series) -> pl.Series:
    """Lists of ids as text; nulls are no items."""
    if not isinstance(column.dtype, pl.List):
        raise SchemaMismatch(f"{column.name} must hold lists of item ids, it holds {column.dtype}")
    inner = pl.Series(dtype=column.dtype.inner).dtype
    as_text = pl.col(column.name).fill_null([]).list.eval(text_of(pl.element(), inner).drop_nulls())
    return column.to_frame().select(as_text).to_series()


def _some_left(rows: int, split: str, why: str) -> None:
    if not rows:
        raise EmptyPartition(f"nothing to score in split {split}: {why}")
