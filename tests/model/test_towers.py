import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from recsys_tasks.errors import MissingArtefact, SchemaMismatch
from recsys_tasks.model.cold import borrow
from recsys_tasks.model.popularity import popularity_matrix
from recsys_tasks.model.towers import FACTS, FORMAT, TowerModel
from tests.model.tower_builders import (
    CATALOGUE,
    DIM,
    HALF_LIVES,
    KNOWN,
    NEAR,
    NEAR_ITEMS,
    NOON,
    TEXT_DIM,
    WEIGHTS,
    WINDOWS,
    log,
    texts,
    towers,
)

ROWS = [
    ("ann", "cup", "purchase", 1.0),
    ("ann", "tea", "view", 3.0),
    ("ann", "tea", "view", 20.0),
    ("bob", "new", "view", 2.0),
    ("bob", "mat", "purchase", 9.0),
]
KINDS = pl.DataFrame({"item_id": CATALOGUE, "category": ["ware", "ware", "food", "ware", "food"]})
NO_CODES, NO_NEAR = np.zeros(0, np.int64), np.zeros((0, 0), np.float32)
USERS = pl.Series("user_id", ["ann", "bob", "cy"])

SIMILARITIES = ["dot", "cosine", "euclidean", "bilinear"]


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def item_by_hand(model: TowerModel, item: str, text: np.ndarray) -> np.ndarray:
    tensors = model.tensors
    if item in KNOWN:
        place = KNOWN.index(item)
        own = tensors.ids[place] + tensors.attributes["category"][tensors.attribute_codes["category"][place]]
    else:
        own = borrow(text[None], tensors.warm_text.astype(np.float32), tensors.warm_ids)[0]
    return own + text @ tensors.text


def likeness_by_hand(model: TowerModel, u: np.ndarray, v: np.ndarray) -> float:
    similarity = model.facts.similarity
    if similarity == "cosine":
        return unit(u) @ unit(v)
    if similarity == "euclidean":
        # Items of one shopper rank by the distance; what all of them share is left out.
        return -np.square(u - v).sum() / 2 + np.square(u).sum() / 2
    if similarity == "bilinear":
        return u @ (v @ model.tensors.item_weight + model.tensors.item_bias)
    return u @ v


def near_by_hand(model: TowerModel, item: str, text: np.ndarray, factors: np.ndarray) -> np.ndarray:
    if item in NEAR_ITEMS:
        return factors[NEAR_ITEMS.index(item)]
    if item in KNOWN:
        return np.zeros(NEAR)
    near_text = model.tensors.warm_text[model.tensors.near_texts].astype(np.float32)
    return borrow(text[None], near_text, factors)[0]


def score_by_hand(model: TowerModel, user: str, item: str) -> float:
    text_of = dict(zip(CATALOGUE, texts(), strict=True))
    history = [(i, WEIGHTS[t], d) for u, i, t, d in ROWS if u == user]
    score = 0.0
    if history:
        bags = []
        for half_life in HALF_LIVES:
            weights = [w * 2 ** (-d / half_life) for _, w, d in history]
            vectors = [item_by_hand(model, i, text_of[i]) for i, _, _ in history]
            bags.append(sum(w * v for w, v in zip(weights, vectors, strict=True)) / np.linalg.norm(weights))
        u = np.concatenate(bags) @ model.tensors.user_weight + model.tensors.user_bias
        item_vector = item_by_hand(model, item, text_of[item])
        score = float(model.tensors.scale[0] * likeness_by_hand(model, u, item_vector))
        weights = np.array([w * 2 ** (-d / model.facts.near_half_life_days) for _, w, d in history])
        given = [near_by_hand(model, i, text_of[i], model.tensors.near_given) for i, _, _ in history]
        n = weights @ np.array(given) / np.linalg.norm(weights)
        score += float(n @ near_by_hand(model, item, text_of[item], model.tensors.near_taken))
    for gain, days in zip(model.tensors.gains, WINDOWS, strict=True):
        buyers = {u for u, i, _, d in ROWS if i == item and d <= days}
        score += float(gain) * np.log1p(len(buyers))
    return score


def matrices(model: TowerModel, events: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    popularity = popularity_matrix(events, NOON, CATALOGUE, WINDOWS)
    items = model.item_matrix(CATALOGUE, texts(), popularity)
    return model.user_matrix(USERS, events, NOON, CATALOGUE, texts()), items


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_one_product_gives_the_whole_score(similarity):
    model = towers(similarity)
    users, items = matrices(model, log(*ROWS))
    width = DIM + NEAR + 1 + (similarity == "euclidean")
    assert users.shape == (3, width)
    assert items.shape == (5, width)
    assert model.dim + 1 == width
    expected = [[score_by_hand(model, user, item) for item in CATALOGUE] for user in USERS]
    assert users @ items.T == pytest.approx(np.array(expected), abs=2e-3)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_a_shopper_without_history_ranks_by_popularity(similarity):
    model = towers(similarity)
    users, items = matrices(model, log(*ROWS))
    assert users[2].tolist() == [0.0] * model.dim + [1.0]
    assert (users[2] @ items.T).tolist() == items[:, -1].tolist()


def test_an_unknown_item_works_from_its_text_alone():
    model, text = towers(), texts()
    near = model.item_matrix(pl.Series(["brand new"]), text[[0]], np.zeros((1, 2), np.float32))[0]
    far = model.item_matrix(pl.Series(["brand new"]), text[[1]], np.zeros((1, 2), np.float32))[0]
    assert not np.allclose(near, far)
    assert near[:DIM] == pytest.approx(item_by_hand(model, "brand new", text[0]), abs=1e-4)
    lent = near_by_hand(model, "brand new", text[0], model.tensors.near_taken)
    assert near[DIM:-1] == pytest.approx(lent, abs=1e-4)
    assert np.abs(lent).max() > 0.01


def test_towers_without_neighbours_are_narrower_by_them():
    tensors = replace(
        towers().tensors, near_codes=NO_CODES, near_texts=NO_CODES, near_given=NO_NEAR, near_taken=NO_NEAR
    )
    users, items = matrices(replace(towers(), tensors=tensors), log(*ROWS))
    whole_users, whole_items = matrices(towers(), log(*ROWS))
    assert items == pytest.approx(np.delete(whole_items, [DIM, DIM + 1], axis=1), abs=1e-6)
    assert users == pytest.approx(np.delete(whole_users, [DIM, DIM + 1], axis=1), abs=1e-6)


def test_a_launch_is_as_popular_as_launches_of_its_category():
    early = [("zoe", "cup", "purchase", 300.0)]
    rows = [*early, *((f"u{n}", "tea", "purchase", 60.0 - n) for n in range(5))]
    plain, hopeful = (
        towers(launch_prior=prior).popularity(log(*rows), NOON, CATALOGUE, KINDS) for prior in (False, True)
    )
    new, tea = CATALOGUE.index_of("new"), CATALOGUE.index_of("tea")
    assert plain[new].tolist() == [0.0, 0.0]
    assert (hopeful[new] > 0).all()
    assert hopeful[tea].tolist() == plain[tea].tolist()


def test_an_item_vector_does_not_depend_on_what_else_is_asked_for():
    model, popularity = towers(), np.zeros((5, 2), np.float32)
    together = model.item_matrix(CATALOGUE, texts(), popularity)
    for row, item in enumerate(CATALOGUE):
        alone = model.item_matrix(pl.Series([item]), texts()[[row]], popularity[[row]])
        assert alone[0] == pytest.approx(together[row], abs=1e-6)


@pytest.mark.parametrize("days", [0, -0.001, -20])
def test_events_at_or_after_the_instant_change_no_shopper(days):
    planted = log(*ROWS, ("ann", "mat", "purchase", days), ("cy", "mat", "purchase", days))
    before = towers().user_matrix(USERS, log(*ROWS), NOON, CATALOGUE, texts())
    assert (towers().user_matrix(USERS, planted, NOON, CATALOGUE, texts()) == before).all()


def test_the_order_and_the_number_of_shoppers_change_nothing():
    model = towers()
    all_rows = model.user_matrix(USERS, log(*ROWS), NOON, CATALOGUE, texts())
    reversed_rows = model.user_matrix(USERS.reverse(), log(*ROWS), NOON, CATALOGUE, texts())
    assert reversed_rows[::-1] == pytest.approx(all_rows, abs=1e-6)
    assert model.user_matrix(USERS.head(0), log(*ROWS), NOON, CATALOGUE, texts()).shape == (0, DIM + NEAR + 1)


def test_text_of_another_width_is_refused():
    with pytest.raises(SchemaMismatch, match=f"items, {TEXT_DIM}"):
        towers().item_matrix(CATALOGUE, texts()[:, :-1], np.zeros((5, 2), np.float32))


def test_saved_towers_answer_the_same_and_hold_no_pickle(tmp_path):
    model = towers("cosine")
    model.save(tmp_path)
    loaded = TowerModel.load(tmp_path)
    assert loaded.facts == model.facts
    for before, after in zip(matrices(model, log(*ROWS)), matrices(loaded, log(*ROWS)), strict=True):
        assert (before == after).all()
    assert {file.suffix for file in tmp_path.iterdir()} == {".safetensors", ".json", ".parquet"}


def test_towers_of_another_format_are_not_read_with_a_meaning_they_never_had(tmp_path):
    towers("cosine").save(tmp_path)
    facts = json.loads((tmp_path / FACTS).read_text())
    (tmp_path / FACTS).write_text(json.dumps(facts | {"format": FORMAT - 1}))
    with pytest.raises(MissingArtefact, match="format"):
        TowerModel.load(tmp_path)


def test_towers_of_a_newer_release_are_refused_by_name(tmp_path):
    """A release was rolled back, and what it fitted is still there."""
    towers().save(tmp_path)
    facts = json.loads((tmp_path / FACTS).read_text())
    (tmp_path / FACTS).write_text(json.dumps(facts | {"moon": 1}))
    with pytest.raises(MissingArtefact, match="written by a newer release: this one knows no moon"):
        TowerModel.load(tmp_path)


def test_towers_of_before_popularity_had_a_weight_among_new_items_keep_their_meaning(tmp_path):
    towers().save(tmp_path)
    facts = json.loads((tmp_path / FACTS).read_text())
    del facts["new_popularity"]
    (tmp_path / FACTS).write_text(json.dumps(facts))
    assert TowerModel.load(tmp_path).facts.new_popularity == 1.0


def test_saving_twice_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        towers().save(tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()
