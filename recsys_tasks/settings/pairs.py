"""``pairs``: what counts as related, and what is drawn against it."""

from pydantic import PositiveFloat, PositiveInt, model_validator

from recsys_tasks.settings.section import Section, Share


class NegativeShares(Section):
    """Which share of the negatives is of which kind; they add up to 1."""

    popular: Share = 0.0
    """Drawn ~ count ** popularity_exponent."""
    uniform: Share = 0.0
    """Any item that the log has seen."""
    other_shopper: Share = 0.0
    """Another shopper, each alike, and one of that shopper's items."""
    hard: Share = 0.0
    """Neighbours of the anchor, less like it than the positive is."""

    @model_validator(mode="after")
    def _whole(self) -> "NegativeShares":
        total = self.popular + self.uniform + self.other_shopper + self.hard
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"the shares of negatives add up to {total:g}, not to 1")
        return self


class PairSettings(Section):
    window_minutes: PositiveInt = 1440
    """Two items count as related when one shopper touched both within this time."""
    session_gap_minutes: PositiveInt | None = None
    """And only within a session, which a longer gap between two events ends; null: however long the gaps."""
    followers: PositiveInt = 5
    """How many of the shopper's next events an event is paired with; 1: the next one only."""
    max_per_user: PositiveInt = 200
    """Pairs of a shopper that stay, the newest."""
    max_per_item: PositiveInt = 50
    """Pairs of an anchor that stay, the newest. A bestseller that follows many anchors is limited by the other two."""
    max_pairs: PositiveInt = 200_000
    history_days: PositiveInt = 365
    """Pairs and examples come from this many days before train_until."""
    half_life_days: PositiveFloat = 180.0
    """A pair's weight halves with this age; pairs are drawn by their weights (``encoder.objective: pairs``)."""
    negatives_per_pair: PositiveInt = 4
    popularity_exponent: Share = 0.5
    """Popular negatives are drawn with probability ~ count ** this; 0 is uniform."""
    negatives: NegativeShares = NegativeShares(popular=1.0)
    """Shares by kind; a hard one for which no neighbour is left is drawn by popularity."""
    hard_neighbours: PositiveInt = 50
    """Hard negatives come from so many items that are taken near the anchor most."""
    hard_margin: Share = 0.05
    """A hard negative is less like the anchor than its least like positive by this share; the rest may be positives."""
    target_days: PositiveInt = 28
    """A tower example's positives are what the shopper took in this many days."""
    example_every_days: PositiveInt = 7
    """One example per shopper and this many days, where the shopper took anything."""
    max_positives: PositiveInt = 64
