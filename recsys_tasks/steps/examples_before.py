"""What towers learn from that see nothing of the days they are asked about."""

import polars as pl

from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.pairs.examples import basket_examples
from recsys_tasks.steps.job import Job
from recsys_tasks.training.tower_data import has_positives


def examples_before(job: Job, snapshot: Snapshot) -> pl.DataFrame | None:
    """Examples that end with the snapshot; none where nothing can be learned from them."""
    settings = job.settings
    if snapshot.events.is_empty():
        return None
    examples = basket_examples(
        snapshot.events,
        settings.pairs,
        settings.event_weights,
        snapshot.as_of,
        target_events=settings.target_events,
        zone=settings.zone,
    )
    return examples if has_positives(examples, settings.towers, snapshot.as_of) else None
