import logging
import math

import numpy as np
import pytest
import torch
from torch import nn

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.training.batch_names import named_pairs, named_texts
from recsys_tasks.training.curves import Curves
from recsys_tasks.training.minimise import Care, minimise, rate
from recsys_tasks.training.processes import Processes


def descent(loss_of, steps=20, **care):
    weight = nn.Parameter(torch.tensor([3.0, -2.0]))
    groups = [{"params": [weight], "lr": 0.1, "weight_decay": 0.0}]
    losses = minimise(lambda step: loss_of(step, weight), groups, steps, Processes(), care=Care(**care))
    return losses, weight


def squared(_step, weight):
    return (weight**2).sum()


def test_every_step_is_told_with_its_loss_its_gradient_and_its_rate():
    class Watch(Curves):
        def begin(self, first):
            told.append(first)

        def tell(self, step, figures):
            told.append((step, figures))

    told = []
    losses, _ = descent(squared, curves=Watch())
    assert told.pop(0) == 0, "opened at the first step"
    assert [step for step, _ in told] == list(range(20))
    assert [figures["loss"] for _, figures in told] == losses
    assert told[0][1]["gradient_norm"] == pytest.approx(math.hypot(6.0, 4.0))
    assert [figures["learning_rate"] for _, figures in told] == pytest.approx(
        [0.1 * rate(step, 20) for step in range(20)]
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops_before_the_optimiser_and_names_the_batch(bad):
    seen = []

    def loss_of(step, weight):
        seen.append(weight.detach().clone())
        return squared(step, weight) + (bad if step == 5 else 0.0)

    with pytest.raises(
        TrainingFailed, match=rf"step 5: the loss is {bad}.*'red tent'.*encoder\.learning_rate"
    ):
        descent(loss_of, batch_of=lambda step: f"'red tent' of step {step}")
    assert len(seen) == 6


def test_a_gradient_that_is_not_finite_stops_before_the_optimiser():
    weights = []

    def loss_of(step, weight):
        weights.append(weight)
        # The root of zero: the loss is finite, its slope is not.
        return squared(step, weight) + ((weight * 0.0).sum().sqrt() if step == 2 else 0.0)

    with pytest.raises(TrainingFailed, match="step 2: the gradient's norm is"):
        descent(loss_of)
    assert torch.isfinite(weights[-1]).all()


def test_a_loop_gives_advice_of_its_own():
    with pytest.raises(TrainingFailed, match=r"step 0: .* did not move\. Lower this\.one$"):
        descent(lambda step, weight: squared(step, weight) * math.nan, advice="Lower this.one")


def test_a_line_every_ten_steps_tells_how_far_it_is_and_how_fast(caplog):
    with caplog.at_level(logging.INFO):
        losses, _ = descent(squared, steps=25)
    lines = [record.message for record in caplog.records]
    assert [line.split(":")[0] for line in lines] == ["step 10 of 25", "step 20 of 25"]
    assert f": loss {np.mean(losses[10:20]):.4f}, " in lines[1]
    assert lines[1].endswith(" s a step")


def test_a_batch_is_named_by_a_few_short_texts():
    texts = [f"text {number} " + "x" * 50 * (number == 1) for number in range(9)]
    told = named_texts(texts, np.array([0, 1, 2, 3, 4, 5]))
    assert told.startswith("'text 0 ', 'text 1 xxx")
    assert "...'" in told
    assert told.endswith("'text 3 ' and 2 more texts")
    assert named_pairs(texts, np.array([0]), np.array([2])) == "'text 0 ' -> 'text 2 '"
