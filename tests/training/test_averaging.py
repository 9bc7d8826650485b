"""What holds a training back: the pull to its start, and the mean of its last weights, against loops of scalars."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from recsys_tasks.training import finetune, job_folder
from recsys_tasks.training.averaging import minimise_averaged
from recsys_tasks.training.checkpoints import Checkpoints
from recsys_tasks.training.minimise import UNATTENDED, Care, rate
from recsys_tasks.training.processes import Processes
from tests.tiny_encoder import tiny_encoder
from tests.training import text_shop
from tests.training.encoder_job import job

START, RATE, STEPS = (3.0, -2.0), 0.1, 12
# So flat a valley that no gradient is clipped.
STEEP = 0.05


def descent(pull=0.0, share=0.0, care=UNATTENDED, stop_at=None):
    """The weights behind each step into a valley that moves, and those in the end."""
    weight, behind = nn.Parameter(torch.tensor(START)), []
    groups = [{"params": [weight], "lr": RATE, "weight_decay": 0.0, "pull": pull}]

    def loss_of(step):
        if step == stop_at:
            raise InterruptedError
        return STEEP * (weight - 0.1 * step).square().sum()

    minimise_averaged(
        loss_of, groups, STEPS, Processes(), lambda: behind.append(weight.tolist()), care, share
    )
    return behind, weight.tolist()


def by_hand(start, pull):
    """AdamW of one weight, behind each step."""
    weight, first, second, behind = start, 0.0, 0.0, []
    for step in range(STEPS):
        gradient = 2 * STEEP * (weight - 0.1 * step)
        share = rate(step, STEPS)
        weight += pull * share * (start - weight)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        upwards, spread = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
        weight -= RATE * share * upwards / (math.sqrt(spread) + 1e-8)
        behind.append(weight)
    return behind


@pytest.mark.parametrize("pull", [0.0, 0.2, 1.0])
def test_each_step_goes_a_share_of_the_way_back_to_the_start(pull):
    behind, end = descent(pull)
    expected = np.array([by_hand(start, pull) for start in START]).T
    np.testing.assert_allclose(behind, expected, atol=1e-5)
    assert end == behind[-1]


@pytest.mark.parametrize(("share", "counted"), [(0.01, 1), (0.25, 3), (0.5, 6), (1.0, 12)])
def test_the_weights_end_as_the_mean_of_the_last_steps(share, counted):
    behind, end = descent(share=share)
    plain, _ = descent()
    assert behind == plain, "no step sees the mean"
    mean = [sum(weights[place] for weights in behind[-counted:]) / counted for place in (0, 1)]
    assert end == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("stop_at", [4, 10])
def test_a_descent_that_was_broken_off_ends_as_an_unbroken_one(tmp_path, stop_at):
    care = Care(checkpoints=Checkpoints(tmp_path, "this", 3))
    with pytest.raises(InterruptedError):
        descent(0.2, 0.5, care, stop_at)
    assert descent(0.2, 0.5, care)[1] == descent(0.2, 0.5)[1]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("tiny"), words=text_shop.WORDS)


def drift_of(folder, base, **changes):
    made, _ = job(folder, base, **changes)
    finetune.main(made)
    return job_folder.read_report(made).drift


@pytest.mark.parametrize("contrast", [{}, {"objective": "moco", "queue": 12}], ids=str)
def test_an_encoder_that_is_held_back_moves_less(tmp_path, base, contrast):
    free = drift_of(tmp_path / "free", base, objective="pairs", contrast=contrast)
    held = drift_of(tmp_path / "held", base, objective="pairs", contrast=contrast, pull_to_start=0.5)
    mean = drift_of(tmp_path / "mean", base, objective="pairs", contrast=contrast, average_share=1.0)
    assert held < 0.3 * free
    assert mean < 0.9 * free
