import numpy as np
import polars as pl
import pytest
import torch

from recsys_tasks.index.index import ItemIndex
from recsys_tasks.model.similarity import Maps, TextSimilarity, fold_items, fold_queries
from recsys_tasks.training.objectives.similarity import similarity_of

KINDS = ("cosine", "dot", "euclidean", "bilinear")
WIDTH = 6


def vectors(rows, seed):
    generator = torch.Generator().manual_seed(seed)
    # Unlike lengths: else all kinds would agree.
    lengths = 0.3 + 2 * torch.rand(rows, 1, generator=generator)
    return torch.randn(rows, WIDTH, generator=generator) * lengths


def trained(kind, seed=0):
    """A similarity and the maps it has learned."""
    similarity = similarity_of(kind, WIDTH)
    if kind != "bilinear":
        return similarity, None
    generator = torch.Generator().manual_seed(seed)
    for parameter in similarity.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    named = {name: value.detach().numpy() for name, value in similarity.named_parameters()}
    return similarity, Maps(**{name.rsplit("_", 1)[0]: value for name, value in named.items()})


def by_hand(kind, x, y, maps):
    if kind == "cosine":
        return float(x @ y / (x.norm() * y.norm()))
    if kind == "euclidean":
        return -sum(float(a - b) ** 2 for a, b in zip(x, y, strict=True))
    if kind == "bilinear":
        x = torch.from_numpy(maps.query_weight) @ x + torch.from_numpy(maps.query_bias)
        y = torch.from_numpy(maps.item_weight) @ y + torch.from_numpy(maps.item_bias)
    return sum(float(a * b) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_each_equals_its_definition(kind):
    similarity, maps = trained(kind)
    queries, items = vectors(4, 1), vectors(5, 2)
    expected = [[by_hand(kind, x, y, maps) for y in items] for x in queries]
    with torch.no_grad():
        torch.testing.assert_close(similarity(queries, items), torch.tensor(expected), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(
            similarity.paired(queries, items[:4]),
            torch.tensor(expected)[:, :4].diagonal(),
            atol=1e-4,
            rtol=1e-4,
        )


def test_a_bilinear_form_starts_as_the_product():
    queries, items = vectors(4, 1), vectors(5, 2)
    torch.testing.assert_close(similarity_of("bilinear", WIDTH)(queries, items), queries @ items.T)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", KINDS)
def test_folded_vectors_rank_items_as_the_similarity_does(kind, seed):
    similarity, maps = trained(kind, seed)
    queries, items = vectors(7, 10 + seed), vectors(40, 20 + seed)
    folded = fold_queries(kind, queries.numpy(), maps) @ fold_items(kind, items.numpy(), maps).T
    with torch.no_grad():
        scores = similarity(queries, items).numpy()
    np.testing.assert_array_equal(np.argsort(-folded, axis=1), np.argsort(-scores, axis=1))


@pytest.mark.parametrize("kind", KINDS)
def test_the_index_finds_in_folded_vectors_what_the_similarity_ranks_first(kind):
    similarity, maps = trained(kind)
    queries, items = vectors(5, 1), vectors(60, 2)
    ids = pl.Series([f"i{n:02d}" for n in range(60)])
    index = ItemIndex.build(ids, fold_items(kind, items.numpy(), maps))
    _, found = index.search(fold_queries(kind, queries.numpy(), maps), 10)
    with torch.no_grad():
        expected = similarity(queries, items).topk(10).indices.numpy()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_similarity_folds_raw_vectors_as_before(kind, tmp_path):
    _, maps = trained(kind)
    raw = vectors(9, 3).numpy()
    whole = TextSimilarity(kind, raw.mean(axis=0), vectors(WIDTH, 4).numpy(), maps)
    whole.save(tmp_path / "similarity.safetensors")
    again = TextSimilarity.load(tmp_path / "similarity.safetensors")
    assert again.kind == kind
    np.testing.assert_array_equal(again.queries(raw), whole.queries(raw))
    np.testing.assert_array_equal(again.items(raw), whole.items(raw))
    projected = (raw - whole.mean) @ whole.rotation
    np.testing.assert_allclose(again.items(raw), fold_items(kind, projected, maps), rtol=1e-6)


def test_a_bilinear_form_without_maps_is_refused():
    for fold in (fold_items, fold_queries):
        with pytest.raises(ValueError, match="two maps"):
            fold("bilinear", np.zeros((1, 2), np.float32))


def test_the_distance_of_equal_vectors_is_never_below_zero():
    x = 100 * vectors(50, 5)
    assert similarity_of("euclidean", WIDTH).paired(x, x.clone()).max() <= 0.0


def test_mixed_precision_still_tells_near_vectors_apart():
    x = vectors(20, 6)
    y = x + 0.01 * vectors(20, 7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = similarity_of("euclidean", WIDTH).paired(x, y)
    torch.testing.assert_close(found, -(x - y).square().sum(dim=1), atol=1e-5, rtol=0.05)
