import pytest
import torch

from recsys_tasks.settings.contrast import Squared, Triplet
from recsys_tasks.training.objectives.margins import squared_loss
from recsys_tasks.training.objectives.registry import objective_of
from tests.training.objectives.batches import WIDTH, batch, cosine, open_negatives, unit

MASKS = [(0, 101), (1, 201), (3, 200)]


def loss_of(settings, found):
    return objective_of(settings, temperature=0.05, width=WIDTH).loss(found)


def distance(a, b):
    return float((a - b).square().sum().sqrt())


@pytest.mark.parametrize("margin", [0.05, 0.2, 1.0])
def test_triplet_equals_its_definition(margin):
    found = batch(masks=MASKS)
    by_cosine, by_distance = [], []
    for pair, anchor in enumerate(found.anchors_BD):
        positive = found.positives_BD[pair]
        for negative in open_negatives(found, pair):
            by_cosine.append(max(0.0, margin + cosine(anchor, negative) - cosine(anchor, positive)))
            by_distance.append(
                max(0.0, margin + distance(anchor, positive) ** 2 - distance(anchor, negative) ** 2)
            )
    for similarity, losses in (("cosine", by_cosine), ("euclidean", by_distance)):
        loss = loss_of(Triplet(margin=margin, similarity=similarity), found)
        assert loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_triplets_kept_apart_by_the_margin_cost_nothing():
    ends = torch.eye(WIDTH)[:2]
    assert loss_of(Triplet(margin=0.9), batch(vectors=(ends, ends.clone(), ends[:0]))).item() == 0.0
    assert loss_of(
        Triplet(margin=1.1), batch(vectors=(ends, ends.clone(), ends[:0]))
    ).item() == pytest.approx(0.1)


@pytest.mark.parametrize("bound", [0.8, 1.2, 2.0])
def test_the_squared_loss_of_a_distance_is_the_formula_as_it_stands_up_to_its_bound(bound):
    found = batch(masks=MASKS)
    losses = []
    for pair, anchor in enumerate(found.anchors_BD):
        negatives = [min(distance(anchor, other), bound) ** 2 for other in open_negatives(found, pair)]
        losses.append(distance(anchor, found.positives_BD[pair]) ** 2 - sum(negatives) / len(negatives))
    loss = loss_of(Squared(bound=bound, similarity="euclidean"), found)
    assert loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("bound", [0.3, 2.0])
def test_the_squared_loss_of_a_similarity_has_its_sign_turned(bound):
    found = batch(masks=MASKS)
    losses = []
    for pair, anchor in enumerate(found.anchors_BD):
        near = min(cosine(anchor, found.positives_BD[pair]), bound)
        negatives = [cosine(anchor, other) ** 2 for other in open_negatives(found, pair)]
        losses.append(sum(negatives) / len(negatives) - near * abs(near))
    loss = loss_of(Squared(bound=bound), found)
    assert loss.item() == pytest.approx(sum(losses) / len(losses), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("distance", [True, False])
@pytest.mark.parametrize("start", [-0.9, -0.1, 0.4])
def test_positives_attract_wherever_they_start(start, distance):
    scores = torch.tensor([[start, start - 0.05]], requires_grad=True)
    own = torch.tensor([[True, False]])
    if distance:
        scores = (scores - 1.0).detach().requires_grad_()
    squared_loss(scores, own, torch.zeros_like(own), 2.0, distance=distance).backward()
    assert scores.grad[0, 0] < 0, "a nearer positive must cost less"


@pytest.mark.parametrize("similarity", ["euclidean", "dot"])
def test_blown_up_vectors_gain_nothing_beyond_the_bound(similarity):
    anchors, positives, negatives = unit(3, seed=1), unit(3, seed=1), -unit(3, seed=1)
    losses = [
        loss_of(
            Squared(similarity=similarity), batch(vectors=(anchors * k, positives * k, negatives * k))
        ).item()
        for k in (1.0, 100.0)
    ]
    assert min(losses) >= -4.0


def test_a_bound_that_is_none_is_refused():
    own = torch.tensor([[True, False]])
    with pytest.raises(ValueError, match="bound"):
        squared_loss(torch.zeros(1, 2), own, ~own, 0.0, distance=True)
