"""Groups of shoppers by what they mostly take, and what each group took lately."""

from dataclasses import dataclass

import numpy as np

from recsys_tasks.model.popularity import distinct
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.log import Ints
from recsys_tasks.recommend.shoppers import Shoppers
from recsys_tasks.recommend.topics import TOPICS

# Days in which an event loses half its say in which segment a shopper belongs to.
HALF_LIFE = 90.0
DAYS = 28.0
# Shoppers whose masses are held at a time (8 bytes a topic each).
USERS_AT_ONCE = 65_536
# A segment's order is kept to this length.
LONGEST = 500


@dataclass(frozen=True)
class Segments:
    """
    A shopper's segment is the topic that most of the decayed events are about; ties go to the smaller topic.

    ``segment`` (U,) belongs to the shoppers of the log, -1 for those without a usable event. ``items`` from
    ``start[s]`` to ``start[s + 1]`` are the allowed items by distinct buyers of the segment in DAYS days, ties by
    item_id.
    """

    segment: Ints
    start: Ints
    items: Ints

    @classmethod
    def build(cls, context: Context, topic: Ints) -> "Segments":
        """``topic`` (n,) says what each item is about."""
        segment = _main_topic(context, topic)
        log, n = context.log, len(context.items)
        recent = log.is_target & log.within(DAYS) & (log.item >= 0) & (segment[log.user] >= 0)
        pairs = distinct(log.user[recent] * n + log.item[recent])
        pairs = pairs[context.allowed[pairs % max(n, 1)]]
        code, buyers = np.unique(segment[pairs // max(n, 1)] * n + pairs % max(n, 1), return_counts=True)
        group, item = np.divmod(code, max(n, 1))
        order = np.lexsort((item, -buyers, group))
        start = np.searchsorted(group[order], np.arange(TOPICS + 1)).astype(np.int64)
        return cls(segment, start, item[order])

    def of(self, shoppers: Shoppers) -> Ints:
        """(B,) the segment of each shopper of a batch; -1 without one."""
        users = shoppers.context.users(shoppers.ids)
        known = users >= 0
        result = np.full(len(users), -1, np.int64)
        result[known] = self.segment[users[known]]
        return result


def _main_topic(context: Context, topic: Ints) -> Ints:
    """Block by block of shoppers: a row of TOPICS for every shopper at once would grow with their number."""
    log, users = context.log, len(context.log.users)
    main = np.full(users, -1, np.int64)
    for first in range(0, users, USERS_AT_ONCE):
        size = min(USERS_AT_ONCE, users - first)
        rows = slice(log.start[first], log.start[first + size])
        item, event_weight = log.item[rows], log.weight[rows]
        reads = (event_weight > 0) & (item >= 0)
        weight = event_weight[reads] * np.exp2(-log.age[rows][reads] / HALF_LIFE)
        cell = (log.user[rows][reads] - first) * TOPICS + topic[item[reads]]
        mass = np.bincount(cell, weights=weight, minlength=size * TOPICS).reshape(size, TOPICS)
        # A shopper without a usable event stays at -1.
        main[first : first + size] = np.where(mass.sum(axis=1) == 0, -1, np.round(mass, 5).argmax(axis=1))
    return main
