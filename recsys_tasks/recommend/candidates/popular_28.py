"""What sold in the last four weeks: a calmer order than that of one week."""

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.candidates import popular
from recsys_tasks.recommend.proposals import Proposals

NAME = "popular_28"


def propose(batch: Batch, k: int, new_only: bool) -> Proposals:
    """The first ``k`` by buyers of 28 days that the shopper may be shown."""
    return popular.along(batch.sight.context.month, batch.shoppers, k, new_only)
