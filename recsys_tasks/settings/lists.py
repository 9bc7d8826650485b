"""``ranker``, ``rules`` and ``gate``: which items compete, in what order they stand, and which model may order them."""

from typing import Literal, get_args

from pydantic import NonNegativeFloat, PositiveInt, model_validator

from recsys_tasks.settings.section import Section, Share

CandidateSource = Literal[
    "repeat",
    "retrieval",
    "neighbours",
    "new_items",
    "category",
    "segment",
    "popular",
    "popular_28",
    "lasting",
]
CANDIDATE_SOURCES: tuple[CandidateSource, ...] = get_args(CandidateSource)
FeatureGroup = Literal[
    "tower",
    "text",
    "neighbours",
    "source",
    "own",
    "category",
    "brand",
    "shopper",
    "price",
    "item",
    "classifier",
]


class RankerSettings(Section):
    every_nights: PositiveInt = 7
    days: PositiveInt = 56
    """The ranker learns on this many days before train_until, from a base tower that saw none of them."""
    label_days: PositiveInt = 28
    """Each cut within those days is labelled by what was taken in this many days behind it."""
    enough_taken: PositiveInt = 10_000
    """
    Where fewer items were taken in all labels together, days and labels become 2, 4 or 8 times as long, as far as half
    of the log reaches.
    """
    trees: PositiveInt = 150
    sources: list[CandidateSource] = list(CANDIDATE_SOURCES)
    """Where candidates come from; leave a name out and its source is off."""
    without_features: list[FeatureGroup] = []
    """Groups of features that the ranker does not look at."""
    per_source: PositiveInt = 100
    """Candidates of each source."""
    history_items: PositiveInt = 250
    """Items of the shopper's own history that compete for the list."""
    max_users: PositiveInt = 600
    """Shoppers of each cut that the ranker learns from, at most."""
    taken_per_cut: PositiveInt = 16_000
    """
    Items that were taken in a cut's labels, as many as teach the order of everything: of these shoppers it is learned
    from no more than took so many, half of them at least. The order of new items is learned from all.
    """
    tower_weight: NonNegativeFloat | None = None
    """How much the towers' score counts beside the trees; none: what a cut that was held out says."""

    @model_validator(mode="after")
    def _no_score_left_out(self) -> "RankerSettings":
        if self.tower_weight and "tower" in self.without_features:
            raise ValueError(
                "tower_weight adds a score that without_features leaves out: drop one of the two"
            )
        return self


class RuleSettings(Section):
    repeats_allowed: bool = True
    """Whether a list may hold what the shopper already took."""
    blocked_items: list[str] = []
    blocked_categories: list[str] = []
    availability_days: PositiveInt | None = None
    """Leave out items nobody took in this many days (the shop no longer sells them); none: keep all."""


class GateSettings(Section):
    days: PositiveInt = 7
    """The honest window: days before as_of that no weight may have seen."""
    tolerance: Share = 0.005
    """NDCG@10 the challenger may at worst lose against the champion (lower end of the paired interval)."""
    resamples: PositiveInt = 1000
    max_users: PositiveInt = 20_000
