"""What shoppers of the same bent took lately: the rung between the shopper's own model and the whole shop."""

import numpy as np

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.log import Ints
from recsys_tasks.recommend.proposals import Proposals, best
from recsys_tasks.recommend.segments import Segments

NAME = "segment"
# Places of a segment's order that are looked at, beyond those asked for, to make up for what a shopper has seen.
SPARE = 200


def propose(batch: Batch, k: int, new_only: bool) -> Proposals:
    """The ``k`` items with most buyers of 28 days among shoppers of the same segment."""
    shoppers, segments = batch.shoppers, batch.sight.texts.segments
    segment = segments.of(shoppers)
    shopper, item, place = _first(segments, segment, k + SPARE * new_only)
    if new_only:
        free = ~shoppers.is_seen(shoppers.key(shopper, item))
        shopper, item, place = shopper[free], item[free], place[free]
    return best(shopper, item, (1.0 / (1.0 + place)).astype(np.float32), k)


def _first(segments: Segments, segment: Ints, most: int) -> tuple[Ints, Ints, Ints]:
    """(shopper, item, place) of the first ``most`` items of each shopper's segment; none where segment is -1."""
    length = np.where(segment < 0, 0, np.minimum(np.diff(segments.start)[segment], most))
    shopper = np.repeat(np.arange(len(segment)), length)
    place = np.arange(len(shopper)) - np.repeat(np.cumsum(length) - length, length)
    return shopper, segments.items[segments.start[segment[shopper]] + place], place
