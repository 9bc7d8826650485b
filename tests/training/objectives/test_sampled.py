import math

import pytest
import torch

from recsys_tasks.settings.contrast import CorrectedSoftmax, InfoNce, SampledSoftmax
from recsys_tasks.training.objectives.registry import objective_of
from recsys_tasks.training.objectives.sampled import corrected_softmax_loss
from tests.training.objectives.batches import WIDTH, batch, candidates, cosine, hides

HEAT = 0.5
MASKS = [(0, 101), (1, 201), (3, 200)]
EXPECTED = torch.tensor([0.5, 2.0, 0.1, 0.9, 0.3, 0.7, 1.5])


def loss_of(settings, found):
    return objective_of(settings, temperature=HEAT, width=WIDTH).loss(found)


def by_hand(found, strength, loss_of_row):
    losses = []
    for pair, anchor in enumerate(found.anchors_BD):
        own = int(found.positive_texts[pair])
        raw = {place: cosine(anchor, vector) / HEAT for place, (_, vector) in enumerate(candidates(found))}
        corrected = {
            place: raw[place] - strength * math.log(EXPECTED[place])
            for place, (text, _) in enumerate(candidates(found))
            if text != own and not hides(found, pair, text)
        }
        losses.append(loss_of_row(raw[pair], math.log(EXPECTED[pair]), list(corrected.values())))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_sampled_softmax_equals_its_definition(strength):
    def row(positive, log_expected, negatives):
        own = math.exp(positive - strength * log_expected)
        return -math.log(own / (own + sum(math.exp(n) for n in negatives)))

    found = batch(masks=MASKS, expected=EXPECTED)
    loss = loss_of(SampledSoftmax(strength=strength), found)
    assert loss.item() == pytest.approx(by_hand(found, strength, row), rel=1e-5)


def test_without_strength_it_is_info_nce():
    found = batch(masks=MASKS, expected=EXPECTED)
    assert torch.equal(loss_of(SampledSoftmax(strength=0.0), found), loss_of(InfoNce(), found))


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_corrected_softmax_equals_its_definition(strength):
    def row(positive, _, negatives):
        total = sum(math.exp(n) for n in negatives)
        share = math.exp(positive) / (math.exp(positive) + total)
        return -(1 - share) * math.log(math.exp(positive) / total)

    found = batch(masks=MASKS, expected=EXPECTED)
    loss = loss_of(CorrectedSoftmax(strength=strength), found)
    assert loss.item() == pytest.approx(by_hand(found, strength, row), rel=1e-5)


def test_corrected_softmax_over_the_whole_catalogue_has_the_gradient_of_the_full_softmax():
    """What the correction is for; the plain logQ correction changes the positive too and has another gradient."""
    logits = torch.randn(3, 9, generator=torch.Generator().manual_seed(5), requires_grad=True)
    own = torch.zeros(3, 9, dtype=torch.bool)
    own[torch.arange(3), torch.tensor([4, 0, 8])] = True
    full = -torch.log_softmax(logits, dim=1)[own].mean()
    (expected,) = torch.autograd.grad(full, logits)
    loss = corrected_softmax_loss(logits, own, torch.zeros_like(own), torch.ones(9))
    (found,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(found, expected)


def test_corrected_softmax_of_many_samples_has_the_gradient_of_the_full_softmax():
    """Negatives drawn ~ q with replacement, expected n q times each: the mean gradient comes near the true one."""
    generator = torch.Generator().manual_seed(6)
    scores = torch.randn(12, generator=generator, requires_grad=True)
    chance = torch.rand(12, generator=generator) ** 2 + 0.02
    chance /= chance.sum()
    draws, rounds, positive = 200, 200, 3
    (expected,) = torch.autograd.grad(-torch.log_softmax(scores, 0)[positive], scores)
    drawn = torch.multinomial(chance.expand(rounds, 12), draws, replacement=True, generator=generator)
    places = torch.cat([torch.full((rounds, 1), positive), drawn], dim=1)
    own = torch.zeros_like(places, dtype=torch.bool)
    own[:, 0] = True
    masked = (places == positive) & ~own
    loss = corrected_softmax_loss(scores[places], own, masked, draws * chance[places])
    (found,) = torch.autograd.grad(loss, scores)
    torch.testing.assert_close(found, expected, atol=0.01, rtol=0.0)


def test_a_row_without_negatives_costs_nothing():
    logits = torch.tensor([[1.0, 2.0]], requires_grad=True)
    own = torch.tensor([[True, False]])
    loss = corrected_softmax_loss(logits, own, ~own, torch.ones(2))
    loss.backward()
    assert loss.item() == 0.0
    assert not logits.grad.any()
