"""What the shopper took before: the strongest rule of a grocery."""

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.proposals import Proposals, best, nothing
from recsys_tasks.recommend.shoppers import Shoppers

NAME = "repeat"
# Days in which a purchase loses half its say.
HALF_LIFE = 90.0


def propose(batch: Batch, k: int, new_only: bool) -> Proposals:
    """The shopper's own items by decayed number of purchases."""
    return own(batch.shoppers, k, new_only)


def own(shoppers: Shoppers, k: int, new_only: bool) -> Proposals:
    """The same, for shoppers that no model looks at."""
    if new_only:
        return nothing()
    shopper, item = shoppers.split(shoppers.own.key)
    may = shoppers.context.allowed[item]
    return best(shopper[may], item[may], shoppers.own.decayed(HALF_LIFE)[may], k)
