import math

import pytest
import torch

from recsys_tasks.settings.contrast import Debiased, HardNegatives, InfoNce
from recsys_tasks.training.objectives.debiased import debiased_loss
from recsys_tasks.training.objectives.registry import objective_of
from tests.training.objectives.batches import WIDTH, batch, cosine, open_negatives

HEAT = 0.5
MASKS = [(0, 101), (1, 201), (3, 200)]


def debiased_by_hand(found, prior, concentration=0.0):
    losses = []
    for pair, anchor in enumerate(found.anchors_BD):
        own = math.exp(cosine(anchor, found.positives_BD[pair]) / HEAT)
        others = [math.exp(cosine(anchor, other) / HEAT) for other in open_negatives(found, pair)]
        weights = [other**concentration for other in others]
        mean_weight = sum(weights) / len(weights)
        mean = sum(w / mean_weight * other for w, other in zip(weights, others, strict=True)) / len(others)
        worth = max((mean - prior * own) / (1 - prior), math.exp(-1 / HEAT))
        losses.append(-math.log(own / (own + len(others) * worth)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("prior", [0.0, 0.1, 0.3, 0.9])
def test_debiased_equals_its_definition(prior):
    found = batch(masks=MASKS)
    loss = objective_of(Debiased(class_prior=prior), temperature=HEAT, width=WIDTH).loss(found)
    assert loss.item() == pytest.approx(debiased_by_hand(found, prior), rel=1e-5)


@pytest.mark.parametrize("concentration", [0.0, 0.5, 2.0])
def test_hard_negatives_equal_their_definition(concentration):
    found = batch(masks=MASKS, negatives=6)
    settings = HardNegatives(class_prior=0.1, concentration=concentration)
    loss = objective_of(settings, temperature=HEAT, width=WIDTH).loss(found)
    assert loss.item() == pytest.approx(debiased_by_hand(found, 0.1, concentration), rel=1e-5)


def test_without_bias_and_concentration_it_is_info_nce():
    found = batch(masks=MASKS)
    plain = objective_of(InfoNce(), temperature=HEAT, width=WIDTH).loss(found)
    settings = HardNegatives(class_prior=0.0, concentration=0.0)
    assert objective_of(settings, temperature=HEAT, width=WIDTH).loss(found).item() == pytest.approx(
        plain.item()
    )


def row(*logits):
    scores = torch.tensor([logits], requires_grad=True)
    own = torch.zeros(1, len(logits), dtype=torch.bool)
    own[0, 0] = True
    return scores, own, torch.zeros_like(own)


def test_negatives_that_look_like_the_bias_alone_cost_the_floor():
    scores, own, masked = row(2.0, -3.0, -3.0)
    loss = debiased_loss(scores, own, masked, class_prior=0.2, lowest=-4.0)
    assert loss.item() == pytest.approx(math.log1p(2 * math.exp(-4.0) / math.exp(2.0)), rel=1e-4)


def test_harder_negatives_get_more_of_the_gradient_and_none_is_pulled_near():
    shares = []
    for concentration in (0.0, 1.0):
        scores, own, masked = row(1.0, 0.9, -0.5)
        debiased_loss(
            scores, own, masked, class_prior=0.0, lowest=-9.0, concentration=concentration
        ).backward()
        pushes = scores.grad[0, 1:]
        assert (pushes > 0).all()
        shares.append((pushes[0] / pushes.sum()).item())
    assert shares[1] > shares[0] + 0.05


def test_large_logits_do_not_overflow():
    scores, own, masked = row(300.0, 250.0, -300.0)
    loss = debiased_loss(scores, own, masked, class_prior=0.1, lowest=-400.0, concentration=1.0)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("prior", [-0.1, 1.0])
def test_a_class_prior_that_is_no_share_is_refused(prior):
    with pytest.raises(ValueError, match="class_prior"):
        debiased_loss(*row(1.0, 0.0), class_prior=prior, lowest=-1.0)
