"""What the ranker knows of a (shopper, item): computed alike for training groups and for tonight's lists."""

import numpy as np

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.features import catalogue, classifier, habits, likeness, price, sources
from recsys_tasks.recommend.log import Floats
from recsys_tasks.recommend.pool import Pool

# The classifier stands last: without one its column is blank, and all other columns lie where they always did.
PARTS = (likeness, sources, habits, price, catalogue, classifier)
# What the ranker reads, in order; another order or set is another ranker.
NAMES: tuple[str, ...] = tuple(name for part in PARTS for name in part.NAMES)
# Raise it whenever a feature of the same name would hold something else: a ranker of an earlier night (the champion)
# must not read what it was not fitted on.
MEANING = 1
# A feature belongs to the group that its name begins with; each can be left out by a setting.
GROUPS = tuple(dict.fromkeys(name.partition("_")[0] for name in NAMES))


def features(pool: Pool, batch: Batch) -> Floats:
    """A column for each of NAMES, (R, F), for rows ordered by shopper; nan where there is nothing to know."""
    values = np.full((len(pool.rows), len(NAMES)), np.nan, np.float32)
    place = {name: number for number, name in enumerate(NAMES)}
    for part in PARTS:
        for name, column in part.columns(pool, batch):
            values[:, place[name]] = column
    return values
