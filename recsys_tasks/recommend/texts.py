"""A shop's texts by one encoder, and how they sort its items and shoppers: alike for all models that read them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recsys_tasks.model.similarity import Sides
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.log import Floats, Ints
from recsys_tasks.recommend.segments import Segments
from recsys_tasks.recommend.shelves import Shelves
from recsys_tasks.recommend.topics import TOPICS, topics_of


@dataclass(frozen=True)
class Texts:
    """Text vectors looking at a context."""

    context: Context
    vectors: TextVectors

    @classmethod
    def of(cls, context: Context, vectors: TextVectors) -> "Texts":
        """The one look of these vectors at this context that is in use: challenger and champion often read the same."""
        return context.views.of(vectors, lambda: cls(context, vectors))

    @cached_property
    def used(self) -> Ints:
        """Positions of the items that can be shown or stand in a history; the others need no vector."""
        touched = self.context.log.item
        used = self.context.allowed.copy()
        used[touched[touched >= 0]] = True
        return np.flatnonzero(used)

    @cached_property
    def text(self) -> Floats:
        """(used, T)"""
        return self.vectors.of(self.context.items.gather(self.used))

    @cached_property
    def sides(self) -> Sides:
        """(used, k) each: the texts as a shopper's history asks with them and as items; both ``text`` by default."""
        if self.vectors.sides is None:
            return Sides(self.text, self.text)
        return self.vectors.sides_of(self.context.items.gather(self.used))

    @cached_property
    def row(self) -> Ints:
        """(n,) the row of ``text`` that each item has; 0 for items that are not used."""
        rows = np.zeros(len(self.context.items), np.int64)
        rows[self.used] = np.arange(len(self.used))
        return rows

    @cached_property
    def topic(self) -> Ints:
        """(n,) what each item is about, by its text; topic 0 for items that are not used."""
        topics = np.zeros(len(self.context.items), np.int64)
        topics[self.used] = topics_of(self.text)
        return topics

    @cached_property
    def group(self) -> Ints:
        """(n,) the category of each item; its topic in a shop without categories."""
        return self.context.facts.category if self.context.facts.categories > 1 else self.topic

    @property
    def groups(self) -> int:
        return self.context.facts.categories if self.context.facts.categories > 1 else TOPICS

    @cached_property
    def shelves(self) -> Shelves:
        return Shelves.build(self.context, self.group, self.groups)

    @cached_property
    def segments(self) -> Segments:
        return Segments.build(self.context, self.topic)
