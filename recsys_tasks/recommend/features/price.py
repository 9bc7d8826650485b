"""What the item costs beside what the shopper pays, over all and in its category."""

from collections.abc import Iterator

import numpy as np

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.features.column import Column
from recsys_tasks.recommend.log import Floats, Ints
from recsys_tasks.recommend.pool import Pool
from recsys_tasks.recommend.shoppers import found

NAMES = ("price_item", "price_to_shopper", "price_to_category", "price_spread")
# How many purchases at the shopper's overall mean a category's own mean is drawn towards.
PRIOR = 2.0
# Of log prices: a shopper with one purchase has none.
LEAST_SPREAD = 0.1


def columns(pool: Pool, batch: Batch) -> Iterator[Column]:
    """See NAMES; logarithms, nan where the item or the shopper has no price."""
    rows, price = pool.rows, np.log1p(np.maximum(batch.sight.context.facts.price, 0.0))
    own = _Paid.of(batch, price)
    mine = price[rows.item]
    yield "price_item", mine
    yield "price_to_shopper", mine - own.mean[rows.shopper]
    in_category = own.category_mean(rows.shopper, batch.sight.texts.group[rows.item])
    yield "price_to_category", mine - in_category
    yield "price_spread", (mine - in_category) / own.spread[rows.shopper]


class _Paid:
    """What the shoppers of a batch paid: means of log prices, over all (B,) and by category."""

    def __init__(self, shopper: Ints, group: Ints, price: Floats, size: int, groups: int) -> None:
        count = np.bincount(shopper, minlength=size)
        total = np.bincount(shopper, weights=price, minlength=size)
        square = np.bincount(shopper, weights=price.astype(np.float64) ** 2, minlength=size)
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        spread = np.sqrt(
            np.maximum(square / np.maximum(count, 1) - np.nan_to_num(mean) ** 2, LEAST_SPREAD**2)
        )
        self.mean, self.spread = mean.astype(np.float32), spread.astype(np.float32)
        self.groups = groups
        self.key, place = np.unique(shopper * groups + group, return_inverse=True)
        self.count = np.bincount(place, minlength=len(self.key))
        self.total = np.bincount(place, weights=price, minlength=len(self.key))

    @classmethod
    def of(cls, batch: Batch, price: Floats) -> "_Paid":
        log, (places, rows) = batch.sight.context.log, batch.shoppers.rows
        rows, places = rows[log.is_target[rows]], places[log.is_target[rows]]
        item = log.item[rows]
        priced = ~np.isnan(price[item])
        item, places = item[priced], places[priced]
        texts = batch.sight.texts
        return cls(places, texts.group[item], price[item], len(batch.shoppers.ids), texts.groups)

    def category_mean(self, shopper: Ints, group: Ints) -> Floats:
        """(R,) drawn towards the shopper's overall mean where the category has few purchases."""
        place, known = found(self.key, shopper * self.groups + group)
        if not len(self.key):
            return np.full(len(shopper), np.nan, np.float32)
        count, total = self.count[place] * known, self.total[place] * known
        mean: Floats = ((total + PRIOR * self.mean[shopper]) / (count + PRIOR)).astype(np.float32)
        return mean
