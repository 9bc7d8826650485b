import json

import numpy as np
import pytest

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.recommend import ranker as module
from recsys_tasks.recommend.features import NAMES
from recsys_tasks.recommend.ranker import FEATURES, Groups, Ranker, fit_booster
from recsys_tasks.settings import RankerSettings

SETTINGS = RankerSettings(trees=40)
DUE = NAMES.index("own_due")


def planted(groups=150, size=20, seed=1) -> Groups:
    """Noise, and one feature whose largest value in a group is what was taken."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(groups * size, len(NAMES))).astype(np.float32)
    taken = values[:, DUE].reshape(groups, size).argmax(axis=1) + np.arange(groups) * size
    labels = np.zeros(groups * size, np.int64)
    labels[taken] = 1
    return Groups(values, labels, np.full(groups, size))


def fitted(**heads) -> Ranker:
    return Ranker({head: fit_booster(groups, SETTINGS, seed=1) for head, groups in heads.items()})


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    return fitted(all=planted())


def test_it_learns_a_planted_feature(ranker):
    test = planted(seed=2)
    scores = ranker.scores(test.values, new_only=False).reshape(-1, 20)
    best = test.labels.reshape(-1, 20).argmax(axis=1)
    assert (scores.argmax(axis=1) == best).mean() > 0.7
    assert next(iter(ranker.importance()["all"])) == "own_due"


def test_a_feature_that_is_left_out_is_never_asked_for():
    settings = RankerSettings(trees=10, without_features=["own", "tower"])
    blind = Ranker({"all": fit_booster(planted(), settings, 1)})
    gains = blind.importance()["all"]
    assert all(gains[name] == 0 for name in NAMES if name.startswith(("own_", "tower_")))
    rows = planted(seed=2).values
    filled = rows.copy()
    filled[:, DUE] += 5
    assert np.array_equal(blind.scores(rows, new_only=False), blind.scores(filled, new_only=False))


def test_importance_names_every_feature(ranker):
    assert set(ranker.importance()["all"]) == set(NAMES)


def test_the_same_rows_and_seed_give_the_same_trees(ranker):
    other = fitted(all=planted())
    assert ranker.boosters["all"].model_to_string() == other.boosters["all"].model_to_string()


def test_each_head_orders_its_own_lists(ranker):
    assert ranker.scores(planted().values, new_only=True) is None
    assert ranker.scores(planted().values, new_only=False) is not None


def test_it_survives_saving_as_text(tmp_path):
    before = fitted(all=planted(), new=planted(seed=4))
    before.save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [FEATURES, "ranker_all.txt", "ranker_new.txt"]
    after = Ranker.load(tmp_path)
    rows = planted(seed=3).values
    for new_only in (False, True):
        assert np.array_equal(before.scores(rows, new_only), after.scores(rows, new_only))


def test_what_every_feature_gained_is_stored_with_the_trees(tmp_path):
    both = fitted(all=planted(), new=planted(seed=4))
    both.save(tmp_path)
    stored = json.loads((tmp_path / FEATURES).read_text())["importance"]
    assert stored == both.importance()
    assert [len(stored[head]) for head in ("all", "new")] == [len(NAMES)] * 2
    assert stored["all"] != stored["new"]


def test_the_towers_score_counts_as_its_head_says(ranker, tmp_path):
    rows = planted(seed=3).values
    Ranker(ranker.boosters, {"all": 0.5, "new": 9.0}).save(tmp_path)
    expected = ranker.scores(rows, new_only=False) + 0.5 * rows[:, NAMES.index("tower_score")]
    assert np.allclose(Ranker.load(tmp_path).scores(rows, new_only=False), expected, atol=1e-6)


def test_a_ranker_of_before_the_towers_had_a_weight_orders_by_its_trees(ranker, tmp_path):
    Ranker(ranker.boosters, {"all": 0.5}).save(tmp_path)
    facts = json.loads((tmp_path / FEATURES).read_text())
    del facts["tower_weight"]
    (tmp_path / FEATURES).write_text(json.dumps(facts))
    rows = planted(seed=3).values
    assert np.array_equal(Ranker.load(tmp_path).scores(rows, False), ranker.scores(rows, False))


def test_a_ranker_over_other_features_is_refused(ranker, tmp_path, monkeypatch):
    ranker.save(tmp_path)
    monkeypatch.setattr(module, "NAMES", NAMES[1:])
    with pytest.raises(MissingArtefact, match="fit it anew"):
        Ranker.load(tmp_path)


def test_a_ranker_over_features_that_meant_something_else_is_refused(ranker, tmp_path, monkeypatch):
    ranker.save(tmp_path)
    monkeypatch.setattr(module, "MEANING", 99)
    with pytest.raises(MissingArtefact, match="mean something else in this version: fit it anew"):
        Ranker.load(tmp_path)


def test_a_ranker_of_before_features_had_a_number_is_refused(ranker, tmp_path):
    ranker.save(tmp_path)
    facts = json.loads((tmp_path / FEATURES).read_text())
    del facts["meaning"]
    (tmp_path / FEATURES).write_text(json.dumps(facts))
    with pytest.raises(MissingArtefact, match="mean something else"):
        Ranker.load(tmp_path)


def test_long_inputs_score_as_short_ones(ranker, monkeypatch):
    rows = planted(seed=3).values
    whole = ranker.scores(rows, new_only=False)
    monkeypatch.setattr(module, "PREDICT_ROWS", 64)
    assert np.array_equal(whole, ranker.scores(rows, new_only=False))
