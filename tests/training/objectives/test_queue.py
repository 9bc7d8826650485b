import math

import pytest

from recsys_tasks.settings.contrast import CrossBatch, InfoNce
from recsys_tasks.training.objectives.queue import Queue
from tests.training.objectives.batches import (
    HEAT,
    batch,
    cosine,
    draw,
    hides,
    objective,
    open_negatives,
)


def by_hand(found, texts, vectors):
    losses = []
    for pair, anchor in enumerate(found.anchors_BD):
        waiting = [key for text, key in zip(texts, vectors, strict=True) if not hides(found, pair, int(text))]
        others = [*open_negatives(found, pair), *waiting]
        own = math.exp(cosine(anchor, found.positives_BD[pair]) / HEAT)
        losses.append(
            -math.log(own / (own + sum(math.exp(cosine(anchor, other) / HEAT) for other in others)))
        )
    return sum(losses) / len(losses)


def test_cross_batch_equals_its_definition_step_after_step():
    made = objective(CrossBatch(queue=6))
    made.begin(draw)
    texts, vectors = (list(part) for part in draw(6))
    for step in range(4):
        found = batch(pairs=2, seed=10 * step, masks=[(0, 14), (1, 101), (0, 201)])
        assert made.loss(found).item() == pytest.approx(by_hand(found, texts, vectors), rel=1e-5)
        made.after_step()
        texts = [*texts, *found.positive_texts.tolist()][-6:]
        vectors = [*vectors, *found.positives_BD][-6:]
    assert made.queue.texts.tolist() == texts == [100, 101] * 3


def test_with_an_empty_queue_cross_batch_is_info_nce():
    found = batch(masks=[(0, 101), (1, 201)])
    plain = objective(InfoNce()).loss(found).item()
    assert objective(CrossBatch()).loss(found).item() == pytest.approx(plain, rel=1e-6)


def test_positives_join_the_queue_only_after_the_step_only_once_and_without_gradient():
    made, found = objective(CrossBatch(queue=8)), batch(pairs=3)
    found.positives_BD.requires_grad_()
    made.loss(found)
    assert len(made.queue.texts) == 0
    made.after_step()
    made.after_step()
    assert made.queue.texts.tolist() == [100, 101, 102]
    assert not made.queue.vectors_QD.requires_grad


def test_a_queue_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        Queue(0)
