"""What the purchase classifier makes of the shopper's history and the item's text, for the best candidates alone."""

from collections.abc import Iterator

import numpy as np

from recsys_tasks.model.purchase import history_text
from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.features.column import Column
from recsys_tasks.recommend.features.likeness import tower_scores
from recsys_tasks.recommend.log import Floats, Ints
from recsys_tasks.recommend.pool import Pool
from recsys_tasks.recommend.proposals import rank_within
from recsys_tasks.recommend.scorer import Scorer

NAMES = ("classifier_logit",)


def columns(pool: Pool, batch: Batch) -> Iterator[Column]:
    """See NAMES; nan behind the ``candidates`` best by the towers' score, and nothing where there is no classifier."""
    scorer = batch.sight.scorer
    if scorer is not None:
        yield NAMES[0], _logits(pool, batch, scorer)


def _logits(pool: Pool, batch: Batch, scorer: Scorer) -> Floats:
    rows = pool.rows
    values = np.full(len(rows), np.nan, np.float32)
    best = _best(rows.shopper, rows.item, tower_scores(pool, batch), scorer.candidates)
    texts = batch.sight.context.snapshot.items["text"]
    histories = newest_texts(batch, scorer.history_items)
    shopper = rows.shopper[best]
    starts = np.flatnonzero(np.diff(shopper, prepend=-1))
    # A shopper's candidates are read alone, whoever else is asked for: the last digits depend on the batch.
    for some in np.split(best, starts[1:]):
        if len(some):
            history = history_text(histories[rows.shopper[some[0]]])
            values[some] = scorer.log_odds([history] * len(some), texts.gather(rows.item[some]).to_list())
    return np.round(values, 4)


def _best(shopper: Ints, item: Ints, score: Floats, limit: int) -> Ints:
    """Rows of the ``limit`` best of each shopper, by shopper, best first, ties by item."""
    order = np.lexsort((item, -score, shopper))
    kept: Ints = order[rank_within(shopper[order]) <= limit]
    return kept


def newest_texts(batch: Batch, limit: int) -> list[list[str]]:
    """The newest ``limit`` distinct texts of each shopper of the batch, newest first."""
    log, (places, rows) = batch.sight.context.log, batch.shoppers.usable
    texts, code = batch.sight.text_code
    histories: list[list[str]] = [[] for _ in range(len(batch.shoppers.ids))]
    # Rows stand oldest first: the last one of a (shopper, text) is its newest.
    key = (places * len(texts) + code[log.item[rows]])[::-1]
    for newest in key[np.sort(np.unique(key, return_index=True)[1])]:
        place, text = divmod(int(newest), len(texts))
        if len(histories[place]) < limit:
            histories[place].append(texts[text])
    return histories
