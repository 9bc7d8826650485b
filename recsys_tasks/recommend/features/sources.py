"""Where each source placed the item in its own order."""

from collections.abc import Iterator

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.candidates import SOURCES
from recsys_tasks.recommend.features.column import Column
from recsys_tasks.recommend.pool import Pool

# The scores of the other sources are features of their own, or their ranks said again.
SCORED = ("category",)
NAMES = (*(f"source_{name}_rank" for name in SOURCES), *(f"source_{name}_score" for name in SCORED))


def columns(pool: Pool, batch: Batch) -> Iterator[Column]:
    """See NAMES."""
    for column, name in enumerate(SOURCES):
        yield f"source_{name}_rank", pool.rank[:, column]
    for name in SCORED:
        yield f"source_{name}_score", pool.score[:, SOURCES.index(name)]
