"""The towers' neighbour term: solved from the same events that the towers learn from."""

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from recsys_tasks.model.factors import Factors
from recsys_tasks.model.neighbours import Neighbours
from recsys_tasks.settings import TowerSettings


def neighbour_factors(
    events: pl.DataFrame, settings: TowerSettings, weights: Mapping[str, float], until: datetime
) -> Factors:
    """The factors of EASE over the events before ``until``; none where ``neighbour_rank`` is 0."""
    past = events.filter(pl.col("occurred_at") < until, pl.col("event_type").is_in(sorted(weights)))
    items = settings.neighbour_items if settings.neighbour_rank else 0
    neighbours = Neighbours.fit(
        past, until, weights, max_items=items, half_life_days=settings.neighbour_half_life_days
    )
    histories = neighbours.histories(past, past["user_id"].unique().sort(), until)
    return Factors.of(neighbours, histories, settings.neighbour_rank)
