from datetime import timedelta

import numpy as np
import polars as pl
import pytest
import torch

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.model.popularity import popularity_matrix
from recsys_tasks.model.towers import TENSORS, TowerModel
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.settings import TowerSettings
from recsys_tasks.training import tower_data
from recsys_tasks.training.tower_catalogue import Catalogue
from recsys_tasks.training.tower_export import model_of
from recsys_tasks.training.tower_fit import Fit
from recsys_tasks.training.tower_near import neighbour_factors
from recsys_tasks.training.tower_net import TowerNet
from recsys_tasks.training.towers import fit_towers
from tests.training.taste_shop import (
    ITEMS,
    SHOPPERS,
    SMALL,
    UNTIL,
    WEIGHTS,
    examples,
    log,
    snapshot,
    taste_of,
    vectors,
)

SIMILARITIES = ["dot", "cosine", "euclidean", "bilinear"]
USERS = pl.Series([f"c{n:02}" for n in range(SHOPPERS)])


def fitted(shop=None, rows=None, settings=SMALL, seed=1, warm=None, until=UNTIL, epochs=None):
    shop = snapshot() if shop is None else shop
    rows = examples() if rows is None else rows
    return fit_towers(shop, rows, vectors(), settings, WEIGHTS, until, seed, warm, epochs)


@pytest.fixture(scope="module")
def fit():
    return fitted()


def scores(model, shop=None):
    shop = snapshot() if shop is None else shop
    items = pl.Series(ITEMS)
    text = vectors().of(items)
    popularity = popularity_matrix(shop.events, shop.as_of, items, model.facts.popularity_days)
    users = model.user_matrix(USERS, shop.events, shop.as_of, items, text)
    return users @ model.item_matrix(items, text, popularity).T


def share_of_own_taste(table, k=10):
    best = np.argsort(-table, axis=1)[:, :k]
    return np.mean([[ITEMS[i][0] == taste_of(row) for i in items] for row, items in enumerate(best)])


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("user", ["mean", "transformer"])
def test_lists_compare_what_training_compared(similarity, user):
    settings = SMALL.model_copy(update={"similarity": similarity, "user": user, "input_dropout": 0.0})
    data = tower_data.tower_data(snapshot().events, examples(), settings, WEIGHTS, UNTIL)
    fit = Fit(data, Catalogue.of(data.item_ids, snapshot().items, vectors()), settings, 1, None)
    fit.run(1)
    model = model_of(fit, WEIGHTS, UNTIL, neighbour_factors(snapshot().events, settings, WEIGHTS, UNTIL))
    batch = next(iter(tower_data.batches(data, settings, np.random.default_rng(3))))
    items, on_device = fit._on_device(batch)
    net = fit.net.eval()
    with torch.no_grad():
        raw = net.items(on_device, fit.ids[torch.from_numpy(items)])
        users, proposed = net.folded(net.users(on_device, raw, torch.ones(1)), raw)
        trained = (users * on_device.known[:, None] * net.log_scale.exp()) @ proposed.T
    v = model._vectors(np.arange(len(model.item_ids)), vectors().of(model.item_ids))
    used = model.scaled_users(batch.bags, v) @ model._compared(v)[items].T
    np.testing.assert_allclose(used, trained.numpy(), atol=2e-3)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_two_tastes_are_told_apart(similarity):
    result = fitted(settings=SMALL.model_copy(update={"similarity": similarity}))
    assert share_of_own_taste(scores(result.model)) > 0.97
    assert result.loss_last < result.loss_first
    assert result.examples == len(examples())


def test_sampled_negatives_learn_it_too(monkeypatch):
    monkeypatch.setattr(tower_data, "FULL_SOFTMAX_BELOW", 0)
    assert share_of_own_taste(scores(fitted().model)) > 0.97


def test_an_item_nobody_took_goes_to_those_of_its_taste(fit):
    garden, kitchen = ITEMS.index("g20"), ITEMS.index("k20")
    table = scores(fit.model)
    assert "g20" not in fit.model.item_ids
    mine = [table[row, garden] > table[row, kitchen] for row in range(0, SHOPPERS, 2)]
    theirs = [table[row, kitchen] > table[row, garden] for row in range(1, SHOPPERS, 2)]
    assert np.mean(mine + theirs) > 0.95


def test_two_fits_give_the_same_bytes(fit, tmp_path):
    fit.model.save(tmp_path / "one")
    fitted().model.save(tmp_path / "two")
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_another_seed_gives_other_towers(fit):
    assert not np.array_equal(fitted(seed=2).model.tensors.ids, fit.model.tensors.ids)


def test_the_future_changes_nothing(fit):
    launched = pl.when(pl.col("occurred_at") >= UNTIL).then(pl.lit("g20")).otherwise("item_id")
    later = snapshot(log().with_columns(launched.alias("item_id")), as_of=UNTIL + timedelta(days=7))
    assert "g20" in later.events["item_id"]
    ahead = examples(until=UNTIL + timedelta(days=14), weeks=1)
    assert (ahead["positives_until"] >= UNTIL).any()
    refit = fitted(shop=later, rows=pl.concat([examples(), ahead.filter(pl.col("positives_until") >= UNTIL)]))
    for name, value in fit.model.tensors.flat().items():
        assert np.array_equal(value, refit.model.tensors.flat()[name]), name


def test_a_warm_start_begins_where_the_earlier_night_ended(fit):
    warm = fitted(warm=fit.model)
    assert warm.epochs == SMALL.warm_epochs
    assert warm.loss_first < fit.loss_first
    assert share_of_own_taste(scores(warm.model)) > 0.97


def test_a_warm_start_finds_its_items_by_id(fit):
    still = SMALL.model_copy(update={"learning_rate": 1e-12})
    fewer = log().filter(pl.col("item_id") != "g03")
    warm = fitted(shop=snapshot(fewer), rows=examples(fewer), settings=still, warm=fit.model).model
    assert "g03" not in warm.item_ids
    for item in ("g02", "g04", "k19"):
        before = fit.model.tensors.ids[fit.model.item_ids.index_of(item)]
        assert np.allclose(warm.tensors.ids[warm.item_ids.index_of(item)], before, atol=1e-6)


def test_a_warm_start_of_another_width_keeps_what_fits(fit):
    wider = fitted(settings=SMALL.model_copy(update={"dim": 12}), warm=fit.model)
    assert wider.model.width == 12


def test_a_loss_that_is_no_number_stops_the_night():
    with pytest.raises(TrainingFailed, match="learning_rate"):
        fitted(settings=SMALL.model_copy(update={"learning_rate": 1e30}))


def test_it_stops_before_the_step_and_names_the_batch(monkeypatch):
    data = tower_data.tower_data(log(), examples(), SMALL, WEIGHTS, UNTIL)
    fit = Fit(data, Catalogue.of(data.item_ids, snapshot().items, vectors()), SMALL, 1, None)
    forward, before = TowerNet.forward, []

    def lost_at_the_third(net, *given):
        before.append((fit.ids.clone(), net.gains.detach().clone()))
        return forward(net, *given) * (torch.nan if len(before) == 3 else 1.0)

    monkeypatch.setattr(TowerNet, "forward", lost_at_the_third)
    with pytest.raises(
        TrainingFailed, match=r"nan at step 3 of \d+, of \d+ examples \(taken: '[a-z]\d\d', '.* more items"
    ):
        fit.run(2)
    assert not torch.equal(before[1][0], before[2][0]), "until then it moved"
    assert torch.equal(fit.ids, before[2][0])
    assert torch.equal(fit.net.gains, before[2][1])


def test_the_neighbour_term_is_that_of_the_log(fit):
    """A vocabulary of two tastes: what goes together by the log alone is of one taste."""
    tensors = fit.model.tensors
    assert fit.model.item_ids.gather(tensors.near_codes).to_list() == fit.model.item_ids.to_list()
    agree = tensors.near_given @ tensors.near_taken.T
    garden = fit.model.item_ids.str.starts_with("g").to_numpy()
    same = garden[:, None] == garden[None, :]
    assert agree[same].mean() > agree[~same].mean()
    louder = fitted(settings=SMALL.model_copy(update={"neighbour_weight": 2.0})).model.tensors
    assert louder.near_given == pytest.approx(tensors.near_given * 2 / SMALL.neighbour_weight)
    assert np.array_equal(louder.ids, tensors.ids)


def test_popularity_among_new_items_is_corrected_only_where_all_were_learned_of(fit):
    assert fit.model.facts.new_popularity == SMALL.new_popularity
    new = fitted(settings=SMALL.model_copy(update={"targets": "new"})).model
    assert new.facts.new_popularity == 1.0


def test_without_the_neighbour_term_the_rest_is_the_same(fit):
    alone = fitted(settings=SMALL.model_copy(update={"neighbour_rank": 0})).model
    assert alone.dim == alone.width == SMALL.dim
    assert np.array_equal(alone.tensors.ids, fit.model.tensors.ids)
    assert share_of_own_taste(scores(alone)) > 0.97


def test_without_texts_an_unseen_item_is_blank(fit):
    model = fitted(settings=SMALL.model_copy(update={"text": False})).model
    row = model.item_matrix(pl.Series(["g20"]), vectors().of(["g20"]), np.zeros((1, 2), np.float32))
    assert not row.any()
    assert share_of_own_taste(scores(model)) > 0.97


def test_without_ids_items_of_one_text_and_category_are_one(fit):
    one_text = vectors().matrix.copy()
    one_text[ITEMS.index("g01")] = one_text[ITEMS.index("g02")]
    shop = TextVectors(pl.Series(ITEMS), one_text)
    settings = SMALL.model_copy(update={"id_dropout": 1.0, "neighbour_rank": 0})
    model = fit_towers(snapshot(), examples(), shop, settings, WEIGHTS, UNTIL, 1, fit.model).model
    twins = pl.Series(["g01", "g02"])
    rows = model.item_matrix(twins, shop.of(twins), np.zeros((2, 2), np.float32))
    assert np.array_equal(rows[0], rows[1])


def test_ids_and_dimensions_of_histories_are_hidden_by_their_shares():
    """What is hidden of an item is its id alone; what is left of a history is as long as before, on average."""
    settings = SMALL.model_copy(update={"id_dropout": 0.25, "input_dropout": 0.5})
    data = tower_data.tower_data(snapshot().events, examples(), settings, WEIGHTS, UNTIL)
    fit = Fit(data, Catalogue.of(data.item_ids, snapshot().items, vectors()), settings, 1, None)
    given = []
    fit.net.register_forward_pre_hook(lambda net, seen: given.append(seen[1:]))
    fit.run(2)
    hidden = torch.cat([(ids == 0).all(dim=1) for ids, _ in given])
    kept = torch.cat([dropped.flatten() for _, dropped in given])
    assert hidden.float().mean().item() == pytest.approx(0.25, abs=0.05)
    assert set(kept.tolist()) == {0.0, 2.0}
    assert kept.mean().item() == pytest.approx(1.0, abs=0.05)


def test_without_popularity_the_last_dimension_is_nothing():
    model = fitted(settings=SMALL.model_copy(update={"popularity_days": []})).model
    popularity = model.popularity(log(), UNTIL, pl.Series(ITEMS), snapshot().items)
    assert popularity.shape == (len(ITEMS), 0)
    assert not model.item_matrix(pl.Series(ITEMS), vectors().of(ITEMS), popularity)[:, -1].any()


@pytest.mark.parametrize(("learned", "moved"), [(True, True), (False, False)])
def test_the_temperature_is_learned_or_stays(learned, moved):
    settings = SMALL.model_copy(update={"similarity": "cosine", "learn_temperature": learned})
    scale = fitted(settings=settings).model.tensors.scale
    assert (abs(scale.item() - 12.0) > 0.01) is moved


CAUSAL = SMALL.model_copy(update={"user": "transformer", "neighbour_rank": 0, "epochs": 8})


def test_a_transformer_tells_two_tastes_apart_and_stays_as_it_was_stored(tmp_path):
    one, two = (fitted(settings=CAUSAL).model for _ in range(2))
    assert share_of_own_taste(scores(one)) > 0.9
    for number, model in enumerate((one, two)):
        model.save(tmp_path / str(number))
    assert (tmp_path / "0" / TENSORS).read_bytes() == (tmp_path / "1" / TENSORS).read_bytes()
    assert np.array_equal(scores(TowerModel.load(tmp_path / "0")), scores(one))


def test_views_of_histories_join_the_loss_by_their_weight():
    """They draw from a generator of their own: the rest of the loss is the same with them and without."""
    alone = fitted(settings=CAUSAL.model_copy(update={"epochs": 1, "learning_rate": 1e-9}))
    light, heavy = (
        fitted(settings=CAUSAL.model_copy(update={"epochs": 1, "learning_rate": 1e-9, "view_weight": weight}))
        for weight in (0.5, 1.0)
    )
    added = [one.loss_first - alone.loss_first for one in (light, heavy)]
    assert added[0] > 0.5
    assert added[1] == pytest.approx(2 * added[0], rel=0.05)


@pytest.mark.slow
def test_with_views_of_histories_two_tastes_are_told_apart():
    assert (
        share_of_own_taste(scores(fitted(settings=CAUSAL.model_copy(update={"view_weight": 0.2})).model))
        > 0.9
    )


def test_with_views_of_histories_two_fits_give_the_same_towers():
    settings = CAUSAL.model_copy(update={"view_weight": 0.2, "similarity": "cosine", "epochs": 1})
    one, two = (fitted(settings=settings).model for _ in range(2))
    assert np.array_equal(one.tensors.ids, two.tensors.ids)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"view_weight": 0.1}, "need user: transformer"),
        ({"augment": {"sub_policies": [[{"operation": "mask", "strength": 0.1}]]}}, "needs a view_weight"),
    ],
)
def test_views_of_histories_that_nothing_would_use_are_refused(settings, told):
    with pytest.raises(ValueError, match=told):
        TowerSettings(**settings)


def test_a_transformer_goes_on_from_an_earlier_nights():
    first = fitted(settings=CAUSAL)
    assert fitted(settings=CAUSAL, warm=first.model).loss_first < first.loss_first


def test_epochs_are_those_of_the_settings_unless_others_are_given(fit):
    warm = SMALL.model_copy(update={"warm_epochs": 2})
    assert [fitted(settings=warm, warm=fit.model, epochs=given).epochs for given in (None, 1)] == [2, 1]
    assert fitted(epochs=1).epochs == 1
