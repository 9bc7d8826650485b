import numpy as np
import pytest

from recsys_tasks.model.whiten import EXPONENT, RIDGE, Whitening


def cone(rows=4000, width=6, seed=0):
    """Vectors as an encoder gives them: off centre, stretched, correlated."""
    rng = np.random.default_rng(seed)
    stretched = rng.normal(size=(rows, width)) * np.linspace(3.0, 0.2, width)
    return (stretched @ rng.normal(size=(width, width)) + 5.0).astype(np.float32)


def test_a_known_answer_along_the_axes():
    vectors = np.array([[3, 0], [-3, 0], [0, 1], [0, -1]], dtype=np.float32) + np.float32(7)
    variances = np.array([4.5, 0.5])
    scales = (variances + RIDGE * variances.mean()) ** -EXPONENT
    whitening = Whitening.fit(vectors)
    np.testing.assert_allclose(whitening.mean, [7, 7])
    np.testing.assert_allclose(np.abs(whitening.rotation), np.diag(scales), atol=1e-6)
    np.testing.assert_allclose(np.abs(whitening.apply(vectors)), [[1, 0], [1, 0], [0, 1], [0, 1]], atol=1e-6)


def test_axes_are_decorrelated_and_scaled_as_the_recipe_says():
    vectors = cone()
    whitening = Whitening.fit(vectors)
    variances = np.sort(np.linalg.eigvalsh(np.cov(vectors.T, bias=True)))[::-1]
    expected = variances * (variances + RIDGE * variances.mean()) ** (-2 * EXPONENT)
    whitened = (vectors - whitening.mean) @ whitening.rotation
    np.testing.assert_allclose(np.cov(whitened.T, bias=True), np.diag(expected), atol=2e-3)


def test_rows_have_unit_length():
    vectors = cone(rows=20_000)
    np.testing.assert_allclose(np.linalg.norm(Whitening.fit(vectors).apply(vectors), axis=1), 1.0, rtol=1e-5)


def test_a_catalogue_of_one_text_whitens_to_zero_and_not_to_nan():
    vectors = np.ones((3, 4), dtype=np.float32)
    assert not Whitening.fit(vectors).apply(vectors).any()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_saved_whitening_is_the_same(tmp_path, seed):
    whitening = Whitening.fit(cone(seed=seed))
    whitening.save(tmp_path / "whitening.safetensors")
    loaded = Whitening.load(tmp_path / "whitening.safetensors")
    np.testing.assert_array_equal(loaded.mean, whitening.mean)
    np.testing.assert_array_equal(loaded.rotation, whitening.rotation)
