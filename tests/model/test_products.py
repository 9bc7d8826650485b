import numpy as np
import pytest

from recsys_tasks.model import products
from recsys_tasks.model.products import row_products


@pytest.mark.parametrize("rows", [0, 1, 7, 30])
def test_it_is_the_product_in_single_precision(monkeypatch, rows):
    monkeypatch.setattr(products, "ROWS", 8)
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=(rows, 5)).astype(np.float32), rng.normal(size=(5, 3)).astype(np.float32)
    expected = [
        [sum(float(a) * float(b) for a, b in zip(row, column, strict=True)) for column in right.T]
        for row in left
    ]
    found = row_products(left, right)
    assert found.dtype == np.float32
    assert found.shape == (rows, 3)
    np.testing.assert_allclose(found, np.reshape(expected, (rows, 3)), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("width", [40, 129, 384])
def test_a_row_is_the_same_wherever_it_stands_and_among_how_many(width):
    rng = np.random.default_rng(2)
    left, right = (
        rng.normal(size=(101, width)).astype(np.float32),
        rng.normal(size=(width, 70)).astype(np.float32),
    )
    whole = row_products(left, right)
    assert np.array_equal(row_products(left[::-1], right)[::-1], whole)
    assert np.array_equal(np.concatenate([row_products(row[None], right) for row in left]), whole)
