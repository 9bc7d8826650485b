"""
Whether making lists takes more memory where there are more shoppers.

  python -m benchmarks.memory --shop examples/complete_journey/shop.yaml --cut 2017-12-04 --out memory.json

The night before the cut is fitted once. Then its log is held once, twice, four times ..., every shopper's events again
under another id; lists are made of all of them, batch by batch, and training groups of those that a ranker samples.
What the log takes (frames, and the tables that are made of it once) is told apart from what comes on top of it. Memory
is what is resident: what was freed, but not given back, hides a part of what comes on top; ``..._peak_mb`` is the whole
process.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import polars as pl
import psutil

from benchmarks import cuts
from benchmarks.command import finish, homes, shop_parser
from benchmarks.home import Home, open_home, shop_settings
from benchmarks.isolated import measured
from benchmarks.night import fit_night
from benchmarks.ours import ours
from benchmarks.results import Row, write_rows
from recsys_tasks.errors import SettingsError
from recsys_tasks.lake.snapshot import EVENT_ORDER, Snapshot
from recsys_tasks.recommend.night_model import NightModel
from recsys_tasks.recommend.ranker_data import groups_at
from recsys_tasks.recommend.recommend import Recommender
from recsys_tasks.steps.champion import context_of
from recsys_tasks.steps.cost import Cost, resident_mb
from recsys_tasks.steps.job import Job

TIMES = (1, 2, 4, 8)


def many(snapshot: Snapshot, times: int) -> Snapshot:
    """The same shop with every shopper ``times`` times, each with the same events."""
    copies = [
        snapshot.events.with_columns(user_id=pl.format("{}~{}", "user_id", pl.lit(number)))
        for number in range(times)
    ]
    return replace(snapshot, events=pl.concat(copies).sort(EVENT_ORDER))


def lists_figures(job: Job, refs: dict[str, str], times: int) -> dict[str, float]:
    """In a process of its own: shoppers, events, and the megabytes that the log and everybody's lists take."""
    model = ours(job, refs)
    before = resident_mb(psutil.Process())
    made = Recommender(model, context_of(job, many(job.lake.snapshot(job.night.as_of), times)))
    users = made.context.snapshot.events["user_id"].unique().sort()
    # Whatever is worked out of the log once, a first shopper asks for.
    made.lists(users.head(1), job.top_k)
    held = resident_mb(psutil.Process())
    with Cost() as lists:
        served = sum(batch["user_id"].n_unique() for batch in made.batches(users, job.top_k))
    return {
        "shoppers": len(users),
        "served": served,
        "events": len(made.context.snapshot.events),
        "log_mb": held - before,
        "lists_mb": lists.peak_mb - held,
        "lists_peak_mb": lists.peak_mb,
        "lists_seconds": lists.seconds,
    }


def groups_figures(job: Job, refs: dict[str, str], times: int) -> dict[str, float]:
    """In a process of its own: what the training groups of the newest cut that a ranker can learn from take."""
    model = ours(job, refs)
    if not isinstance(model, NightModel):
        return {}
    cut = job.night.days_before_end(job.settings.ranker.label_days)
    whole = many(job.lake.snapshot(job.night.as_of), times)
    taken = whole.events.filter(
        pl.col("occurred_at") >= cut, pl.col("event_type").is_in(job.settings.target_events)
    )
    before_cut = replace(whole, as_of=cut, events=whole.events.filter(pl.col("occurred_at") < cut))
    opened = model.at(context_of(job, before_cut))
    opened.prepare()
    held = resident_mb(psutil.Process())
    with Cost() as cost:
        groups = groups_at(opened, taken, job.settings.ranker, job.settings.seed)
    return {
        "groups": sum(len(found.sizes) for found in groups.values() if found),
        "groups_mb": cost.peak_mb - held,
        "groups_peak_mb": cost.peak_mb,
        "groups_seconds": cost.seconds,
    }


def measure(home: Home, cut: date, times: Sequence[int]) -> list[Row]:
    with home.alone(cut):
        job = home.job(cut)
        refs = fit_night(job).refs
        return [
            {"system": f"times {number}", "metric": metric, "value": round(float(value), 1)}
            for number in times
            for figures in (lists_figures, groups_figures)
            for metric, value in measured(figures, job, refs, number).result.items()
        ]


def show(rows: list[Row]) -> None:
    for row in rows:
        print(f"{row['system']:10} {row['metric']:16} {row['value']:>12,.1f}")


def _measure(given: argparse.Namespace) -> list[Row]:
    if min(given.times) < 1:
        raise SettingsError(f"--times {min(given.times)} is out of range; give numbers from 1")
    home = open_home(shop_settings(given.shop, given.set), homes(given))
    (cut,) = cuts.named([given.cut], home.first, home.last, 1)
    rows = measure(home, cut, given.times)
    write_rows(given.out, rows)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    return finish(_measure, show, _parser().parse_args(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = shop_parser("memory", __doc__)
    parser.add_argument("--cut", required=True, help="the day behind the night, YYYY-MM-DD")
    parser.add_argument("--times", type=int, nargs="+", default=TIMES, help="how often the log is held")
    return parser


if __name__ == "__main__":
    sys.exit(main())
