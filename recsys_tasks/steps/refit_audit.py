"""
The time audit of a refit: it may learn from the gate's window, but from nothing behind the night.

``audit_time`` looks at what training before the gate reads, which ends at ``train_until``; a refit's examples are made
behind the gate, and only where it accepted. So they are looked at where they are made.
"""

from collections.abc import Iterator
from datetime import datetime

import polars as pl

from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.pairs.audit import Finding
from recsys_tasks.pairs.coding import CodedLog
from recsys_tasks.pairs.history import Timeline


def leaks(snapshot: Snapshot, log: CodedLog, examples: pl.DataFrame, as_of: datetime) -> list[Finding]:
    """
    What a shop's log or examples (contract ``Examples``) know of the time at or after ``as_of``; empty if all is well.

    ``log`` is the snapshot's, coded up to ``as_of``: what an example says must have happened in it.
    """
    events = snapshot.events.select("user_id", "item_id", "occurred_at")
    rows = examples.select("user_id", "history_until", "positives_until")
    targets = examples.explode("positive_ids", "is_new").rename({"positive_ids": "item_id"})
    unconfirmed, miscalled = Timeline(log).contradictions(targets)
    targets = targets.select("user_id", "item_id", "history_until")
    broken = {
        "event at or after the night's end": events.filter(pl.col("occurred_at") >= as_of),
        "target at or after the night's end": rows.filter(pl.col("positives_until") >= as_of),
        "history that runs past the night's end": rows.filter(pl.col("history_until") > as_of),
        "target that did not happen after its history": targets.filter(unconfirmed),
        "target wrongly called new or known": targets.filter(miscalled),
    }
    return [finding for rule, wrong in broken.items() for finding in _found(rule, wrong)]


def _found(rule: str, wrong: pl.DataFrame) -> Iterator[Finding]:
    if len(wrong):
        example = ", ".join(f"{name} {value}" for name, value in wrong.row(0, named=True).items())
        yield Finding(rule, len(wrong), example)
