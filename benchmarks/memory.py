"""
Whether making lists takes more memory where there are more shoppers.

  python -m benchmarks.memory --shop examples/complete_journey/shop.yaml --cut 2017-12-04 --out memory.json

The night before the cut is fitted once. Then its log is held once, twice, four times ..., every shopper's events again
under another id, and lists are made of all of them, and the ranker's training groups of a sample, as a night does. What
the log itself takes as of the cut (frames and the tables that are made of it) is told apart from what comes on top.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import psutil

from benchmarks import cuts
from benchmarks.command import finish, homes, shop_parser
from benchmarks.home import Home, open_home, shop_settings
from benchmarks.isolated import measured
from benchmarks.night import fit_night
from benchmarks.ours import ours
from benchmarks.results import Row, write_rows
from recsys_tasks.lake.snapshot import EVENT_ORDER, Snapshot
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.night_model import NightModel
from recsys_tasks.recommend.ranker_data import groups_at
from recsys_tasks.recommend.recommend import Recommender
from recsys_tasks.steps.champion import context_of
from recsys_tasks.steps.cost import Cost, resident_mb
from recsys_tasks.steps.job import Job

TIMES = (1, 2, 4, 8)
TOP_K = 50
LABEL_DAYS = 28


def many(snapshot: Snapshot, times: int) -> Snapshot:
    """The same shop with every shopper ``times`` times, each with the same events."""
    copies = [
        snapshot.events.with_columns(user_id=pl.format("{}~{}", "user_id", pl.lit(number)))
        for number in range(times)
    ]
    return replace(snapshot, events=pl.concat(copies).sort(EVENT_ORDER))


def figures(job: Job, refs: dict[str, str], times: int) -> dict[str, float]:
    """In a process of its own: shoppers, events, and the megabytes that the log, the lists and the groups take."""
    before = resident_mb(psutil.Process())
    model = ours(job, refs)
    context = context_of(job, many(job.lake.snapshot(job.night.as_of), times))
    made = Recommender(model, context)
    made.opened.prepare()
    # Whatever is worked out of the log once, a first shopper asks for.
    users = context.snapshot.events["user_id"].unique().sort()
    made.lists(users.head(1), TOP_K)
    held = resident_mb(psutil.Process())
    with Cost() as lists:
        rows = sum(len(batch) for batch in made.batches(users, TOP_K))
    assert rows >= len(users), "every shopper has a list"
    found = {
        "shoppers": float(len(users)),
        "events": float(len(context.snapshot.events)),
        "log_mb": held - before,
        "lists_mb": lists.peak_mb - held,
        "lists_seconds": lists.seconds,
    }
    return found | _groups(job, model, context)


def _groups(job: Job, model: object, context: Context) -> dict[str, float]:
    """What the ranker's step asks of a cut: candidates and features of those it learns from."""
    if not isinstance(model, NightModel):
        return {}
    events = context.snapshot.events
    late = events.filter(pl.col("occurred_at") >= context.snapshot.as_of - timedelta(days=LABEL_DAYS))
    taken = late.filter(pl.col("event_type").is_in(job.settings.target_events))
    opened = model.at(context)
    opened.prepare()
    held = resident_mb(psutil.Process())
    with Cost() as groups:
        groups_at(opened, taken, job.settings.ranker, job.settings.seed)
    return {"groups_mb": groups.peak_mb - held, "groups_seconds": groups.seconds}


def measure(home: Home, cut: date, times: Sequence[int]) -> list[Row]:
    with home.alone(cut):
        job = home.job(cut)
        refs = fit_night(job).refs
        return [
            {"system": f"times {number}", "metric": metric, "value": round(value, 1)}
            for number in times
            for metric, value in measured(figures, job, refs, number).result.items()
        ]


def show(rows: list[Row]) -> None:
    for row in rows:
        print(f"{row['system']:10} {row['metric']:16} {row['value']:>12,.1f}")


def _measure(given: argparse.Namespace) -> list[Row]:
    home = open_home(shop_settings(given.shop, given.set), homes(given))
    (cut,) = cuts.named([given.cut], home.first, home.last, 1)
    rows = measure(home, cut, given.times)
    write_rows(given.out, rows)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = shop_parser("memory", __doc__)
    parser.add_argument("--cut", required=True, help="the day behind the night, YYYY-MM-DD")
    parser.add_argument("--times", type=int, nargs="+", default=TIMES, help="how often the log is held")
    return finish(_measure, show, parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
