"""What sells over the days that tell most in this shop: where little happens, a week or a month is noise."""

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.candidates import popular
from recsys_tasks.recommend.proposals import Proposals

NAME = "lasting"


def propose(batch: Batch, k: int, new_only: bool) -> Proposals:
    """The first ``k`` of the ladder (``recommend.ladder``) that the shopper may be shown."""
    return popular.along(batch.sight.context.ladder, batch.shoppers, k, new_only)
