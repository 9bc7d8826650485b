"""The feature of the purchase classifier, with a scorer that writes down what it is asked."""

from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
import pytest

from recsys_tasks.model.purchase import SEPARATOR, history_text
from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.features import NAMES, features
from recsys_tasks.recommend.features.classifier import newest_texts
from recsys_tasks.recommend.features.likeness import tower_scores
from recsys_tasks.recommend.pool import pool_of
from recsys_tasks.recommend.ranker import Groups, fit_booster
from recsys_tasks.recommend.scorer import scorer_in
from recsys_tasks.settings import RankerSettings
from recsys_tasks.training.classifier_data import histories
from recsys_tasks.training.encoder_data import as_texts
from tests.recommend.shop import (
    WEIGHTS,
    bought,
    catalogue,
    context,
    lively,
    lively_items,
    log,
    night_model,
    shoppers,
)

COLUMN = NAMES.index("classifier_logit")


@dataclass
class Told:
    """Answers with the number of letters of both texts, and remembers the questions."""

    candidates: int = 5
    history_items: int = 3
    asked: list[tuple[str, str]] = field(default_factory=list)

    def log_odds(self, asked, texts):
        self.asked += zip(asked, texts, strict=True)
        return np.float32([len(h) + 100 * int(t[1:]) for h, t in zip(asked, texts, strict=True)])


def looked_at(some, scorer):
    model = replace(night_model(lively_items()), scorer=scorer)
    batch = Batch(some, model.at(some.context).sight)
    pool = pool_of(batch, model.settings, False)
    return batch, pool, features(pool, batch)


def test_the_best_candidates_by_the_towers_get_a_logit_and_the_others_none():
    scorer = Told()
    batch, pool, values = looked_at(shoppers(lively(), "u03", "u07", "nobody"), scorer)
    told, score = ~np.isnan(values[:, COLUMN]), tower_scores(pool, batch)
    for who in np.unique(pool.rows.shopper):
        mine = np.flatnonzero(pool.rows.shopper == who)
        best = sorted(mine, key=lambda row: (-score[row], pool.rows.item[row]))[:5]
        assert set(np.flatnonzero(told)[pool.rows.shopper[told] == who]) == set(best)
    assert told.sum() == 10 == len(scorer.asked)
    numbers = np.array([int(item[1:]) for item in batch.sight.context.items.gather(pool.rows.item[told])])
    assert np.array_equal(values[told, COLUMN] // 100, numbers)


def test_the_question_is_the_newest_history_and_the_text():
    scorer = Told()
    of = context(
        log(
            *bought("ann", "i01", 9, 2),
            *bought("ann", "i02", 3),
            ("ann", "i03", "look", 1),
            *bought("ann", "i04", 8),
        ),
        lively_items(),
    )
    looked_at(shoppers(of, "ann"), scorer)
    # A look has no weight; of what was bought twice the newest counts.
    assert {history for history, _ in scorer.asked} == {SEPARATOR.join(("i01", "i02", "i04"))}


def test_items_of_one_text_are_one_thing():
    of = context(
        log(*bought("ann", "a", 3), *bought("ann", "b", 2), *bought("ann", "c", 1)), catalogue("a", "b", "c")
    )
    same = of.snapshot.items.with_columns(text=pl.Series(["tea", "cup", "tea"]))
    some = shoppers(replace(of, snapshot=replace(of.snapshot, items=same)), "ann")
    batch = Batch(some, night_model(same).at(some.context).sight)
    assert newest_texts(batch, 8) == [["tea", "cup"]]


def test_histories_read_as_those_that_training_saw():
    of = lively()
    some = shoppers(of, *(f"u{n:02}" for n in range(30)))
    batch = Batch(some, night_model(lively_items()).at(of).sight)
    mine = [history_text(texts) for texts in newest_texts(batch, 4)]
    theirs = histories(as_texts(of.snapshot.events, of.snapshot.items), WEIGHTS, 4)
    assert mine == theirs["history"].to_list()


def test_a_shopper_is_asked_for_alone_whoever_else_is_there():
    _, crowd_pool, crowd = looked_at(shoppers(lively(), *(f"u{n:02}" for n in range(30))), Told())
    _, _, alone = looked_at(shoppers(lively(), "u07"), Told())
    assert np.array_equal(crowd[crowd_pool.rows.shopper == 7], alone, equal_nan=True)


def test_without_a_classifier_nobody_is_asked_and_the_column_is_blank():
    _, _, values = looked_at(shoppers(lively(), "u03"), None)
    assert np.isnan(values[:, COLUMN]).all()


def test_a_blank_column_changes_no_tree():
    """With the classifier off a ranker orders as it did before there was such a column."""
    assert NAMES[-1] == "classifier_logit"
    rng = np.random.default_rng(1)
    values = rng.normal(size=(600, len(NAMES))).astype(np.float32)
    values[:, COLUMN] = np.nan
    groups = Groups(values, (values[:, 3] + rng.normal(size=600) > 1).astype(np.int64), np.full(30, 20))
    trees = fit_booster(groups, RankerSettings(trees=20), 1).model_to_string()
    assert "classifier" not in trees.partition("feature importances")[2].partition("parameters")[0]
    scores = fit_booster(groups, RankerSettings(trees=20), 1).predict(values)
    shorter = _narrow(groups)
    assert np.array_equal(scores, shorter)


def _narrow(groups):
    """The scores of trees that were never shown the column."""
    from recsys_tasks.recommend import ranker

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ranker, "NAMES", NAMES[:-1])
        narrow = groups.values[:, :-1]
        booster = fit_booster(Groups(narrow, groups.labels, groups.sizes), RankerSettings(trees=20), 1)
        return booster.predict(narrow)


def test_where_no_classifier_lies_there_is_no_scorer(tmp_path):
    assert scorer_in(tmp_path / "classifier") is None
