import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from recsys_tasks.settings.contrast import Byol, Moco
from recsys_tasks.training.objectives import momentum
from recsys_tasks.training.objectives.momentum import Predictor, follow
from recsys_tasks.training.objectives.similarity import Dot
from tests.training.objectives.batches import HEAT, WIDTH, batch, cosine, draw, hides, objective, slow, unit


def moco_by_hand(found, texts, vectors):
    losses = []
    for pair, anchor in enumerate(found.anchors_BD):
        own = math.exp(cosine(anchor, slow(found.positive_texts[[pair]])[0]) / HEAT)
        rest = sum(
            math.exp(cosine(anchor, key) / HEAT)
            for text, key in zip(texts, vectors, strict=True)
            if not hides(found, pair, text)
        )
        losses.append(-math.log(own / (own + rest)))
    return sum(losses) / len(losses)


def test_moco_equals_its_definition_step_after_step():
    moco = objective(Moco(queue=6))
    moco.begin(draw)
    texts, vectors = (list(part) for part in draw(6))
    for step in range(3):
        found = batch(pairs=2, seed=10 * step, masks=[(0, 14), (1, 101)])
        assert moco.loss(found).item() == pytest.approx(moco_by_hand(found, texts, vectors), rel=1e-5)
        moco.after_step()
        texts = [*texts, *found.positive_texts.tolist()][-6:]
        vectors = [*vectors, *slow(found.positive_texts)][-6:]
    assert moco.queue.texts.tolist() == texts
    assert texts[-2:] == [100, 101]


def test_moco_starts_at_zero_with_an_empty_queue():
    assert objective(Moco()).loss(batch()).item() == 0.0


def test_keys_join_the_queue_only_after_the_step_and_only_once():
    moco = objective(Moco(queue=8))
    moco.loss(batch(pairs=3))
    assert len(moco.queue.texts) == 0
    moco.after_step()
    moco.after_step()
    assert moco.queue.texts.tolist() == [100, 101, 102]


def test_the_copy_follows_slowly():
    fast, copy = nn.Linear(2, 2), nn.Linear(2, 2)
    before = copy.weight.detach().clone()
    follow(copy, fast, 0.9)
    torch.testing.assert_close(copy.weight, 0.9 * before + 0.1 * fast.weight)
    follow(copy, fast, 0.0)
    torch.testing.assert_close(copy.weight, fast.weight)


def byol_by_hand(found, predict, distance):
    losses = []
    for pair in range(len(found.anchors_BD)):
        there = distance(predict(found.anchors_BD[pair]), slow(found.positive_texts[[pair]])[0])
        back = distance(predict(found.positives_BD[pair]), slow(found.anchor_texts[[pair]])[0])
        losses.append(there + back)
    return sum(losses) / len(losses)


@pytest.mark.parametrize(
    ("similarity", "distance"),
    [
        ("cosine", lambda a, b: float((a / a.norm() - b / b.norm()).square().sum())),
        ("euclidean", lambda a, b: float((a - b).square().sum())),
    ],
)
def test_byol_equals_its_definition(similarity, distance):
    byol = objective(Byol(similarity=similarity))
    nn.init.normal_(byol.predictor.outer.weight, std=0.3)

    def predict(vector):
        hidden = byol.predictor.inner[0](vector)
        scaled = (hidden - hidden.mean()) / (hidden.var(correction=0) + 1e-5).sqrt()
        return vector + byol.predictor.outer(scaled.clamp(min=0.0))

    found = batch()
    with torch.no_grad():
        assert byol.loss(found).item() == pytest.approx(byol_by_hand(found, predict, distance), rel=1e-4)


def test_a_predictor_starts_as_the_plain_vector_and_learns():
    predictor = Predictor(WIDTH)
    x = unit(3, seed=1)
    assert torch.equal(predictor(x), x)
    predictor(x).square().sum().backward()
    assert predictor.outer.weight.grad.any()


def test_byol_refuses_products():
    with pytest.raises(ValueError, match="cosine or euclidean"):
        momentum.Byol(Dot(), 0.9, WIDTH)


@pytest.mark.parametrize("settings", [Moco(queue=3), Byol()])
def test_no_gradient_reaches_the_slow_copy(settings):
    made, asked = objective(settings), []
    made.begin(draw)

    def learning(codes):
        asked.append(slow(codes).requires_grad_())
        return asked[-1]

    found = batch(follower=learning)
    found.anchors_BD.requires_grad_()
    made.loss(found).backward()
    assert found.anchors_BD.grad.abs().sum() > 0
    assert asked
    assert all(vectors.grad is None for vectors in asked)


@pytest.mark.parametrize("settings", [Moco(), Byol()])
def test_a_batch_without_a_slow_copy_is_refused(settings):
    with pytest.raises(ValueError, match="slow copy"):
        objective(settings).loss(replace(batch(), follower=None))
