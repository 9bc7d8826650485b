import math

import pytest
import torch

from recsys_tasks.training.objectives.temperature import COLDEST, Temperature

SCORES = torch.tensor([[0.8, -0.4], [0.1, 0.4]])
PAIRS = torch.tensor([0.8, 0.4])


def temperature(heat, pairs=PAIRS):
    return (SCORES / heat(SCORES, pairs)).mean().item()


@pytest.mark.parametrize(
    ("how", "value"), [("fixed", 0.1), ("learned", 0.1), ("alignment", 0.1 * (1 + 0.5 * 0.6))]
)
def test_the_logits_are_the_similarities_over_the_temperature(how, value):
    heat = Temperature(how, 0.1)
    torch.testing.assert_close(heat(SCORES, PAIRS), SCORES / value)


def test_only_a_learned_temperature_learns():
    assert [len(list(Temperature(how, 0.1).parameters())) for how in ("fixed", "alignment", "learned")] == [
        0,
        0,
        1,
    ]


def test_a_learned_temperature_warms_where_a_pair_is_lost():
    heat = Temperature("learned", 0.1)
    torch.nn.functional.cross_entropy(
        heat(torch.tensor([[0.0, 1.0]]), PAIRS[:1]), torch.tensor([0])
    ).backward()
    assert heat.learned.log_scale.grad > 0, "a smaller scale is a warmer softmax"


def test_a_learned_temperature_stops_at_the_coldest():
    heat = Temperature("learned", 0.1)
    heat.learned.log_scale.data.fill_(math.log(1e6))
    torch.testing.assert_close(heat(SCORES, PAIRS), SCORES / COLDEST)


@pytest.mark.parametrize("start", [0.05, COLDEST, 0.005])
def test_a_learned_temperature_comes_back_from_the_coldest(start):
    heat = Temperature("learned", start)
    coldest = min(COLDEST, start)
    steps = torch.optim.SGD(heat.parameters(), lr=0.05)
    with torch.no_grad():
        heat.learned.log_scale += 1e3
    for _ in range(20):
        steps.zero_grad()
        lost = torch.tensor([[0.0, 1.0]])
        torch.nn.functional.cross_entropy(heat(lost, PAIRS[:1]), torch.tensor([0])).backward()
        steps.step()
    assert temperature(heat) > 1.5 * coldest, "pairs that are lost make it warmer"


def test_alignment_has_bounds_and_no_gradient():
    heat = Temperature("alignment", 0.1)
    far = torch.tensor([-50.0], requires_grad=True)
    assert temperature(heat, far) == pytest.approx(0.05)
    assert temperature(heat, -far) == pytest.approx(0.15)
    assert not heat(SCORES, far).requires_grad
