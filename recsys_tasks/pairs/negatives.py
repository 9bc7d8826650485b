"""
Negatives: items a pair's shopper has never touched.

They are drawn with a seeded generator, in kinds (pairs/draws.py) by the shares of the settings; a draw the shopper has
touched, or that the same anchor already has, is drawn again. Hard ones come from what is taken near the anchor
(PinSage; Ying et al. 2018, arXiv 1806.01973), but clearly less so than the positive (positive-aware mining; Moreira et
al. 2024, arXiv 2407.15831): the nearest items are positives that nobody has seen yet.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import dataframely as dy
import numpy as np
import polars as pl

from recsys_tasks.pairs.coding import CodedLog, Floats, code_log
from recsys_tasks.pairs.draws import Popular, of_another_shopper, uniform
from recsys_tasks.pairs.keys import (
    CHUNK,
    Bools,
    Codes,
    Ints,
    Layout,
    Numbers,
    chunks,
    first_of_run,
    offsets,
    ordered,
    width,
)
from recsys_tasks.pairs.neighbours import Neighbours, taken_together
from recsys_tasks.pairs.touched import Touched
from recsys_tasks.schema import Negatives, Pairs
from recsys_tasks.settings import PairSettings

# A shopper who has touched nearly everything must not hold the night up: what still collides then is dropped.
ROUNDS = 30
# The few neighbours of an anchor may all be used up; popular items take their place after so many rounds.
HARD_ROUNDS = 10
# Groups of so many rows are compared row by row; in larger ones equal rows are found by sorting.
SMALL = 32
KINDS = ("popular", "uniform", "other_shopper", "hard")
POPULAR, UNIFORM, OTHER_SHOPPER, HARD = range(4)
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class CodedNegatives:
    """The negatives of a shopper's anchors, by user, anchor, negative: each group's ``counts`` of ``negative``."""

    user: Codes
    anchor: Codes
    counts: Ints
    negative: Codes


def sample_negatives(
    pairs: dy.DataFrame[Pairs],
    events: pl.DataFrame,
    settings: PairSettings,
    seed: int,
    train_until: datetime,
    neighbours: pl.DataFrame | None = None,
) -> dy.DataFrame[Negatives]:
    """
    ``negatives_per_pair`` distinct negatives for every pair, in NEGATIVE_ORDER.

    Counts and what a shopper has touched come from all events before ``train_until``, of every type: an item that
    was seen and not taken is no certain negative either. The pairs must come from the same events. ``neighbours``
    (anchor_id, item_id, likeness) are what hard negatives come from; where not given, what is taken together.
    """
    log = code_log(events, dict.fromkeys(events["event_type"].unique(), 1.0), train_until)
    lists = None if neighbours is None else Neighbours.of_lists(neighbours, log)
    return named_negatives(pairs, log, settings, seed, train_until, lists)


def named_negatives(
    pairs: dy.DataFrame[Pairs],
    log: CodedLog,
    settings: PairSettings,
    seed: int,
    train_until: datetime,
    neighbours: Neighbours | None = None,
) -> dy.DataFrame[Negatives]:
    """The same for a log that is coded already, up to ``train_until``."""
    if pairs.is_empty():
        return Negatives.create_empty()
    user, anchor = log.codes(pairs["user_id"], pairs["anchor_id"])
    positive = log.codes(pairs["user_id"], pairs["positive_id"])[1]
    in_order = np.lexsort((positive, anchor, user))
    if settings.negatives.hard and neighbours is None:
        neighbours = taken_together(log, settings, train_until)
    who, at_item, took = (codes[in_order].astype(np.uint32) for codes in (user, anchor, positive))
    return Negatives.validate(
        _named(coded_negatives(who, at_item, took, log, settings, seed, neighbours), log)
    )


def coded_negatives(
    user: Codes,
    anchor: Codes,
    positive: Codes,
    log: CodedLog,
    settings: PairSettings,
    seed: int,
    neighbours: Neighbours | None = None,
) -> CodedNegatives:
    """Negatives for pairs that stand by user and anchor."""
    each = settings.negatives_per_pair
    first = first_of_run(user) | first_of_run(anchor)
    group, starts = np.cumsum(first, dtype=np.int32) - 1, np.append(np.flatnonzero(first), len(user))
    draw = _Draw(user, anchor, positive, group, log, settings, neighbours)
    generator = np.random.default_rng(seed)
    negative, bad = np.empty(len(user) * each, dtype=np.uint32), np.ones(len(user) * each, dtype=bool)
    for turn in range(ROUNDS):
        changed = np.zeros(len(starts) - 1, dtype=bool)
        for rows in _marked(bad):
            pair = rows // each
            negative[rows] = draw.items(generator.random(len(rows)), rows, turn)
            bad[rows] = draw.touched.contains(user[pair], negative[rows])
            changed[group[pair]] = True
        if not changed.any():
            break
        for groups in _pieces(np.flatnonzero(changed), starts * each):
            rows, owner = _rows_of(groups, starts * each)
            bad[rows[_repeated(owner, negative[rows], len(log.items))]] = True
    return _gathered(user, anchor, starts, negative, bad, each, len(log.items))


class _Draw:
    """Turns numbers from 0 to 1 into negatives of the pairs' rows."""

    def __init__(
        self,
        user: Codes,
        anchor: Codes,
        positive: Codes,
        group: Numbers,
        log: CodedLog,
        settings: PairSettings,
        neighbours: Neighbours | None,
    ) -> None:
        self._user, self._group, self._each = user, group, settings.negatives_per_pair
        self._n_items = len(log.items)
        counts = np.bincount(log.item, minlength=self._n_items)
        self._popular = Popular(counts.astype(np.float64) ** settings.popularity_exponent)
        self.touched = Touched(log.clean.user, log.clean.item, self._n_items)
        shares = settings.negatives
        # Rounded, so that .1 + .2 is .3.
        self._until = np.cumsum([getattr(shares, kind) for kind in KINDS]).round(12)
        if shares.other_shopper:
            self._others = (self.touched.starts, self.touched.items)
        if shares.hard:
            if neighbours is None:
                raise ValueError("hard negatives need lists of neighbours")
            self._near = neighbours
            self._hard = _hard_places(anchor, positive, group, neighbours, settings.hard_margin)

    def items(self, dice: Floats, rows: Ints, turn: int) -> Numbers:
        if self._until[POPULAR] >= 1.0:
            return self._popular.items(dice)
        kind = self._kinds(rows)
        if self._until[-1] > self._until[OTHER_SHOPPER]:
            kind = np.where((kind == HARD) & ~self._can_be_hard(rows, turn), POPULAR, kind)
        item = np.empty(len(rows), dtype=np.int64)
        for number in np.unique(kind):
            some = np.flatnonzero(kind == number)
            item[some] = self._of_kind(int(number), dice[some], rows[some] // self._each)
        return item

    def _of_kind(self, kind: int, dice: Floats, pair: Ints) -> Numbers:
        if kind == UNIFORM:
            return uniform(dice, self._n_items)
        if kind == OTHER_SHOPPER:
            return of_another_shopper(dice, self._user[pair], *self._others)
        if kind == HARD:
            begin, end = (places[self._group[pair]] for places in self._hard)
            near: Numbers = self._near.items[begin + uniform(dice, end - begin)]
            return near
        return self._popular.items(dice)

    def _kinds(self, rows: Ints) -> Ints:
        """
        The kind of each row: a pair's rows are spread evenly over the shares, each pair's a little further on.

        So every pair has as many of a kind as its share says, give or take one, and all pairs together exactly.
        """
        shift = (rows // self._each * GOLDEN) % 1.0
        place = (rows % self._each + shift) / self._each
        return np.minimum(np.searchsorted(self._until, place, side="right"), self._last_kind())

    def _last_kind(self) -> int:
        """Rounding may leave the total a little below 1."""
        return int(np.flatnonzero(np.diff(self._until, prepend=0.0))[-1])

    def _can_be_hard(self, rows: Ints, turn: int) -> Bools:
        begin, end = (places[self._group[rows // self._each]] for places in self._hard)
        return (begin < end) & (turn < HARD_ROUNDS)


def _hard_places(
    anchor: Codes, positive: Codes, group: Numbers, neighbours: Neighbours, margin: float
) -> tuple[Ints, Ints]:
    """Where each group's hard negatives stand in the lists: below the least like of its positives, by the margin."""
    first = first_of_run(group)
    least = np.minimum.reduceat(neighbours.likeness_of(anchor, positive), np.flatnonzero(first))
    return neighbours.below(anchor[first], least * (1.0 - margin))


def _marked(bad: Bools) -> Iterator[Ints]:
    """The marked rows, some at a time; a part is looked at when its turn comes."""
    for some in chunks(len(bad)):
        rows = np.flatnonzero(bad[some])
        if len(rows):
            yield rows + some.start


def _pieces(groups: Ints, starts: Ints) -> Iterator[Ints]:
    """The groups, a few at a time: small ones, and then large ones."""
    sizes = starts[groups + 1] - starts[groups]
    for alike in (groups[sizes <= SMALL], groups[sizes > SMALL]):
        ends = np.cumsum(starts[alike + 1] - starts[alike])
        first = 0
        while first < len(alike):
            done = int(ends[first - 1]) if first else 0
            last = max(first + 1, int(np.searchsorted(ends, done + CHUNK, side="right")))
            yield alike[first:last]
            first = last


def _rows_of(groups: Ints, starts: Ints) -> tuple[Ints, Numbers]:
    """The rows of the groups, and which of them each belongs to."""
    sizes = starts[groups + 1] - starts[groups]
    owner = np.repeat(np.arange(len(groups), dtype=np.uint32), sizes)
    before = offsets(sizes)[:-1]
    return np.arange(len(owner)) + (starts[groups] - before)[owner], owner


def _repeated(owner: Numbers, negative: Codes, n_items: int) -> Ints:
    """Rows whose owner has the negative in an earlier row; an owner's rows stand together."""
    largest = int(np.bincount(owner).max(initial=0))
    if largest > SMALL:
        return _repeated_by_sorting(owner, negative, n_items)
    found = []
    for step in range(1, largest):
        equal = np.flatnonzero(negative[step:] == negative[:-step])
        found.append(equal[owner[equal] == owner[equal + step]] + step)
    return np.concatenate([np.zeros(0, dtype=np.int64), *found])


def _repeated_by_sorting(owner: Numbers, negative: Codes, n_items: int) -> Ints:
    layout = Layout((width(int(owner[-1])), width(n_items), width(len(owner))))
    if layout.fits:
        keys = ordered(layout.pack(owner, negative, np.arange(len(owner))))
        return layout.part(keys[~first_of_run(layout.part(keys, 0, 2))], 2).astype(np.int64)
    in_order = np.lexsort((negative, owner))
    first = first_of_run(owner[in_order]) | first_of_run(negative[in_order])
    return in_order[~first]


def _gathered(
    user: Codes, anchor: Codes, starts: Ints, negative: Codes, bad: Bools, each: int, n_items: int
) -> CodedNegatives:
    """The good rows of each group, in order."""
    layout = Layout((32, width(n_items)))
    counts, parts = np.zeros(len(starts) - 1, dtype=np.int64), []
    ends = starts[1:] * each
    first = 0
    while first < len(counts):
        begin = int(starts[first]) * each
        last = max(first + 1, int(np.searchsorted(ends, begin + CHUNK, side="right")))
        good = np.flatnonzero(~bad[begin : ends[last - 1]])
        owner = np.repeat(np.arange(last - first), np.diff(starts[first : last + 1]) * each)[good]
        counts[first:last] = np.bincount(owner, minlength=last - first)
        keys = ordered(layout.pack(owner, negative[begin : ends[last - 1]][good]))
        parts.append(layout.part(keys, 1).astype(np.uint32))
        first = last
    return CodedNegatives(user[starts[:-1]], anchor[starts[:-1]], counts, np.concatenate(parts))


def _named(drawn: CodedNegatives, log: CodedLog) -> pl.DataFrame:
    return pl.DataFrame(
        [
            log.user_ids(pl.Series(np.repeat(drawn.user, drawn.counts))),
            log.item_ids(pl.Series(np.repeat(drawn.anchor, drawn.counts)), "anchor_id"),
            log.item_ids(pl.Series(drawn.negative), "negative_id"),
        ]
    )
