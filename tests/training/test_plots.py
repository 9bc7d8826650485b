import numpy as np
import pytest

from recsys_tasks.training import plots
from recsys_tasks.training.plots import flat, most_common, plot_loss, plot_map

PNG = b"\x89PNG\r\n\x1a\n"


def clusters(count=3, each=30, width=16, seed=0):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count, width))
    vectors = np.repeat(centres, each, axis=0) + 0.1 * rng.normal(size=(count * each, width))
    return vectors.astype(np.float32), np.repeat([f"kind {n}" for n in range(count)], each)


def test_what_lies_together_in_the_space_lies_together_on_the_map():
    vectors, kinds = clusters()
    places = flat(vectors)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (kinds[distances.argmin(axis=1)] == kinds).all()


def test_the_same_vectors_give_the_same_picture(tmp_path):
    vectors, kinds = clusters()
    for name in ("a", "b"):
        plot_map(vectors, [*kinds[:-1], None], "a map of $kinds", tmp_path / f"{name}.png", seed=3)
        plot_loss([3.0, 2.0, 1.0] * 5, "loss", tmp_path / f"{name}-loss.png")
    for one, other in (("a.png", "b.png"), ("a-loss.png", "b-loss.png")):
        assert (tmp_path / one).read_bytes().startswith(PNG)
        assert (tmp_path / one).read_bytes() == (tmp_path / other).read_bytes()


@pytest.mark.parametrize("texts", [1, 2, 9, 10, 12])
def test_a_small_catalogue_has_a_map_too(tmp_path, texts):
    vectors, kinds = clusters(each=4)
    plot_map(vectors[:texts], list(kinds[:texts]), "small", tmp_path / "map.png")
    assert np.isfinite(flat(vectors[:texts])).all()


@pytest.mark.parametrize("losses", [[1.0], [float(n) for n in range(9)]])
def test_a_short_training_has_a_curve_too(tmp_path, losses):
    plot_loss(losses, "short", tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(PNG)


def test_a_large_catalogue_is_sampled(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "MAP_TEXTS", 12)
    seen = []
    monkeypatch.setattr(plots, "flat", lambda vectors, seed: seen.append(len(vectors)) or vectors[:, :2])
    vectors, kinds = clusters()
    plot_map(vectors, list(kinds), "large", tmp_path / "map.png")
    assert seen == [12]


def test_the_most_common_categories_are_coloured_and_ties_go_by_name():
    names = np.array(["b", "a", "c", "c", plots.NO_CATEGORY, plots.NO_CATEGORY, plots.NO_CATEGORY])
    assert most_common(names) == ["c", "a", "b"]
    assert most_common(names, limit=1) == ["c"]
