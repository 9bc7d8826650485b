"""A cut as every system meets it: the shop before it, the offer, and what shoppers took behind it."""

from dataclasses import dataclass
from functools import cached_property

import polars as pl

from recsys_tasks.evaluate.window import targets
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.ranker_data import sample_users
from recsys_tasks.steps.job import Job


@dataclass(frozen=True)
class Scene:
    """The night before a cut; what is read of it is read once."""

    job: Job

    @cached_property
    def snapshot(self) -> Snapshot:
        """The shop as of the cut: all that a system may see."""
        return self.job.lake.snapshot(self.job.night.as_of)

    @cached_property
    def context(self) -> Context:
        """The snapshot under the shop's rules, shared by the product's rows."""
        settings = self.job.settings
        return Context.open(self.snapshot, settings.rules, settings.event_weights, settings.target_events)

    @cached_property
    def state(self) -> dict[str, str]:
        """What the lake tells this night, as two hashes."""
        return self.job.lake.state(self.job.night)

    @cached_property
    def offered(self) -> pl.Series:
        """The items a list may hold, sorted: offered at the cut, and allowed by the shop's rules."""
        return self.context.items.gather(self.context.allowed_places)

    def wanted(self, days: int) -> pl.DataFrame:
        """What shoppers took in the days behind the cut, of what could be offered (``window.targets``)."""
        night = self.job.night
        after = self.job.lake.events_between(night.as_of, night.days_after_end(days))
        return targets(after, self.job.settings.target_events, self.snapshot.events, self.offered)


def shoppers(wanted: pl.DataFrame, max_users: int, seed: int) -> pl.Series:
    """The shoppers who are asked, sorted: a seeded sample where they are very many."""
    return sample_users(wanted["user_id"], max_users, seed)
