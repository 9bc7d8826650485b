"""One shopper, readable: what they took (newest first) and what the live lists offer them."""

from dataclasses import dataclass
from datetime import date

import polars as pl

from recsys_tasks.calendar import night_of
from recsys_tasks.errors import DataError
from recsys_tasks.steps.job import Job


@dataclass(frozen=True)
class Taken:
    day: date
    item_id: str
    title: str
    event_type: str


@dataclass(frozen=True)
class Offered:
    rank: int
    item_id: str
    title: str
    reason: str
    source: str


@dataclass(frozen=True)
class Shopper:
    """``night``: the one whose list is live, whatever night the history ends on."""

    user_id: str
    night: str
    history: list[Taken]
    offers: list[Offered]


def shopper(job: Job, user_id: str, last: int = 20) -> Shopper:
    """The last things a shopper took up to the job's night, and their live list; DataError where neither is."""
    snapshot = job.lake.snapshot(job.night.as_of)
    titles = dict(snapshot.items.select("item_id", "title").iter_rows())
    rows = job.store.user_list(user_id)
    history = _history(snapshot.events.filter(pl.col("user_id") == user_id).tail(last), titles, job)
    if not rows and not history:
        raise DataError(f"user {user_id!r}: neither in the log up to night {job.night} nor in the live lists")
    offers = [
        Offered(row.rank, row.item_id, titles.get(row.item_id, row.item_id), row.reason, row.source)
        for row in rows
    ]
    night = str(rows[0].night) if rows else "none"
    return Shopper(user_id, night, history, offers)


def some_shoppers(job: Job, count: int = 3) -> list[str]:
    """Shoppers worth a look: spread over the shop by how much they took in the last 28 days."""
    recent = job.lake.events_between(job.night.days_before_end(28), job.night.as_of)
    users = recent.group_by("user_id").len().sort("len", "user_id").get_column("user_id")
    return [users[(2 * place + 1) * len(users) // (2 * count)] for place in range(min(count, len(users)))]


def _history(events: pl.DataFrame, titles: dict[str, str], job: Job) -> list[Taken]:
    return [
        Taken(
            night_of(row["occurred_at"], job.night.zone),
            row["item_id"],
            titles.get(row["item_id"], row["item_id"]),
            row["event_type"],
        )
        for row in events.reverse().iter_rows(named=True)
    ]
