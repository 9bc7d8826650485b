"""What is known of the item, whoever looks at it."""

from collections.abc import Iterator

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.features.column import Column
from recsys_tasks.recommend.pool import Pool

FACTS = (
    *("buyers_7", "buyers_28", "buyers_90", "trend", "returning"),
    *("first_7", "first_28", "age", "idle", "launched", "category_buyers"),
)
NAMES = tuple(f"item_{fact}" for fact in FACTS)


def columns(pool: Pool, batch: Batch) -> Iterator[Column]:
    """See NAMES."""
    for fact, name in zip(FACTS, NAMES, strict=True):
        yield name, getattr(batch.sight.context.facts, fact)[pool.rows.item]
