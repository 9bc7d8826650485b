"""What goes with the shopper's items, by who touched both: counts that need no training."""

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.dense import best_columns
from recsys_tasks.recommend.proposals import Proposals

NAME = "neighbours"


def propose(batch: Batch, k: int, new_only: bool) -> Proposals:
    """The ``k`` items that the shopper's history speaks for most."""
    context, shoppers = batch.sight.context, batch.shoppers
    places = context.neighbour_places
    scores = batch.shoppers.neighbour_scores.copy()
    scores[:, (places < 0) | ~context.allowed[places]] = 0
    if new_only:
        shopper, item = shoppers.split(shoppers.seen)
        column = context.neighbour_column[item]
        scores[shopper[column >= 0], column[column >= 0]] = 0
    rows = best_columns(scores, k)
    return Proposals(rows.shopper, places[rows.item], rows.score)
