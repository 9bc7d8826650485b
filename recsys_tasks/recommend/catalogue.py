"""What is known of each item as of an instant, as one array a column: what the features look up."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from recsys_tasks.model.popularity import DAY_US
from recsys_tasks.recommend.log import Floats, Ints, Log
from recsys_tasks.recommend.popularity import buyers_within

REPEAT_DAYS = 90.0


@dataclass(frozen=True)
class ItemFacts:
    """Arrays over the n items of the catalogue."""

    # Distinct buyers of the last 7, 28 and 90 days, log1p.
    buyers_7: Floats
    buyers_28: Floats
    buyers_90: Floats
    # Of them, those who took it for the first time in the last 7 and 28 days, log1p.
    first_7: Floats
    first_28: Floats
    # How the last 7 days compare with the last 28: above 0 is rising.
    trend: Floats
    # Share of the last 90 days' buyers who came back for the item on another day.
    returning: Floats
    # Days since anybody's first and newest event (nan: nobody touched it).
    age: Floats
    idle: Floats
    # Days since the launch: by the catalogue's date, else by the first event (nan: neither).
    launched: Floats
    # The catalogue's price, or the mean value of the item's events where it has none.
    price: Floats
    category: Ints
    categories: int
    brand: Ints
    brands: int
    # Distinct buyers of 28 days in the item's category, log1p.
    category_buyers: Floats

    @classmethod
    def of(cls, items: pl.DataFrame, log: Log, as_of: datetime) -> "ItemFacts":
        n = len(items)
        week, month, quarter = (buyers_within(log, days, n) for days in (7.0, 28.0, REPEAT_DAYS))
        category, categories = _codes(items["category"])
        brand, brands = _codes(items["brand"])
        age, idle = _ages(log, n)
        return cls(
            buyers_7=_log1p(week),
            buyers_28=_log1p(month),
            buyers_90=_log1p(quarter),
            first_7=_log1p(_first_buyers(log, 7.0, n)),
            first_28=_log1p(_first_buyers(log, 28.0, n)),
            trend=np.log((4.0 * week + 1.0) / (month + 1.0)).astype(np.float32),
            returning=_returning(log, quarter),
            age=age,
            idle=idle,
            launched=_launched(items, age, as_of),
            price=_price(items, log),
            category=category,
            categories=categories,
            brand=brand,
            brands=brands,
            category_buyers=_log1p(np.bincount(category, weights=month, minlength=categories))[category],
        )


def _log1p(counts: Ints | Floats) -> Floats:
    return np.log1p(counts).astype(np.float32)


def _codes(names: pl.Series) -> tuple[Ints, int]:
    """A number for each name; "unknown" is one of them."""
    codes = names.fill_null("").rank("dense").cast(pl.Int64).to_numpy() - 1
    return codes, int(codes.max(initial=-1)) + 1


def _returning(log: Log, quarter: Ints) -> Floats:
    n = len(quarter)
    recent = log.is_target & log.within(REPEAT_DAYS) & (log.item >= 0)
    pair = log.user[recent] * n + log.item[recent]
    # A shopper's purchases on one day are one visit.
    visits = np.unique(pair * 128 + np.floor(log.age[recent]).astype(np.int64)) // 128
    pairs, times = np.unique(visits, return_counts=True)
    again = np.bincount(pairs[times > 1] % n, minlength=n)
    return (again / np.maximum(quarter, 1)).astype(np.float32)


def _first_buyers(log: Log, days: float, n: int) -> Ints:
    """(n,) shoppers whose first target event with the item lies within the last ``days`` days."""
    taken = log.is_target & (log.item >= 0)
    pair = log.user[taken] * n + log.item[taken]
    recent = log.within(days)[taken]
    # A shopper's rows stand oldest first: a pair's first row is the first event.
    order = np.argsort(pair, kind="stable")
    begins = order[np.flatnonzero(np.diff(pair[order], prepend=-1))]
    return np.bincount(log.item[taken][begins[recent[begins]]], minlength=n)


def _ages(log: Log, n: int) -> tuple[Floats, Floats]:
    known = log.item >= 0
    age, idle = np.full(n, -np.inf, np.float32), np.full(n, np.inf, np.float32)
    np.maximum.at(age, log.item[known], log.age[known])
    np.minimum.at(idle, log.item[known], log.age[known])
    age[~np.isfinite(age)] = np.nan
    idle[~np.isfinite(idle)] = np.nan
    return age, idle


def _launched(items: pl.DataFrame, age: Floats, as_of: datetime) -> Floats:
    since = items.select((pl.lit(as_of) - pl.col("available_from")).dt.total_microseconds() / DAY_US)
    dated = since.to_series().fill_null(float("nan")).to_numpy().astype(np.float32)
    return np.where(np.isnan(dated), age, dated).astype(np.float32)


def _price(items: pl.DataFrame, log: Log) -> Floats:
    valued = (log.item >= 0) & ~np.isnan(log.value)
    total = np.bincount(log.item[valued], weights=log.value[valued], minlength=len(items))
    times = np.bincount(log.item[valued], minlength=len(items))
    paid = np.where(times > 0, total / np.maximum(times, 1), np.nan)
    listed = items["price"].fill_null(float("nan")).to_numpy()
    return np.where(np.isnan(listed), paid, listed).astype(np.float32)
