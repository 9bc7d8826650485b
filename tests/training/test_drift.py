import math

import numpy as np
import pytest

from recsys_tasks.training.drift import drift


def by_definition(start, tuned):
    width, cosines = len(start[0]), []
    centre = [sum(row[k] for row in start) / len(start) for k in range(width)]
    for one, other in zip(start, tuned, strict=True):
        a = [one[k] - centre[k] for k in range(width)]
        b = [other[k] - centre[k] for k in range(width)]
        product = sum(x * y for x, y in zip(a, b, strict=True))
        cosines.append(product / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b)))
    return 1.0 - sum(cosines) / len(cosines)


@pytest.mark.parametrize("moved", [0.0, 0.3, 2.0])
def test_it_is_what_its_definition_says(moved):
    rng = np.random.default_rng(0)
    start = rng.normal(size=(40, 8)) + 5.0
    tuned = start + moved * rng.normal(size=(40, 8))
    assert drift(start, tuned) == pytest.approx(by_definition(start.tolist(), tuned.tolist()), abs=1e-9)
    assert (drift(start, tuned) < 1e-9) == (moved == 0.0)


def test_vectors_mirrored_at_their_mean_have_moved_as_far_as_can_be():
    start = np.random.default_rng(0).normal(size=(40, 8)) + 5.0
    assert drift(start, 2 * start.mean(axis=0) - start) == pytest.approx(2.0)
