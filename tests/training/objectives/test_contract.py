"""What every objective keeps, whatever it is: run over the whole registry."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from recsys_tasks.settings import contrast as contrast_settings
from recsys_tasks.settings.contrast import ContrastSettings
from recsys_tasks.training.objectives.registry import OBJECTIVES, objective_of
from tests.training.objectives.batches import WIDTH, batch, slow, unit

SECTIONS = [get_args(choice)[0] for choice in get_args(get_args(ContrastSettings)[0])]
SIMILARITIES = ("cosine", "dot", "euclidean", "bilinear")
WITH_NEGATIVES = [section for section in SECTIONS if section is not contrast_settings.Byol]


def fits(section, similarity):
    return similarity in get_args(section.model_fields["similarity"].annotation)


# A margin that no triplet of these tests keeps: a kept one has rightly no gradient.
OPEN = {contrast_settings.Triplet: {"margin": 10.0}}
EVERY = [
    pytest.param(
        section(similarity=similarity, **OPEN.get(section, {})), id=f"{section.__name__}-{similarity}"
    )
    for section in SECTIONS
    for similarity in SIMILARITIES
    if fits(section, similarity)
]
NEGATIVE = [p for p in EVERY if type(p.values[0]) in WITH_NEGATIVES]
IN_BATCH = [p for p in EVERY if isinstance(p.values[0], contrast_settings.InBatch)]
TEMPERED = [
    pytest.param(section(temperature=how), id=f"{section.__name__}-{how}")
    for section in SECTIONS
    for how in ("learned", "alignment")
    if "temperature" in section.model_fields
]
# Keys the queue of MoCo starts with; text 14 is the one that hides.
QUEUED = 7 * np.arange(1, 7)


def objective(settings):
    torch.manual_seed(0)
    made = objective_of(settings, temperature=0.2, width=WIDTH)
    made.begin(lambda _: (QUEUED, slow(QUEUED)))
    return made


def learning(found):
    """The same batch with vectors that take gradients."""
    return replace(
        found,
        **{
            name: getattr(found, name).clone().requires_grad_()
            for name in ("anchors_BD", "positives_BD", "negatives_ND")
        },
    )


def test_every_setting_has_its_objective_and_every_objective_its_setting():
    assert {section().objective for section in SECTIONS} == OBJECTIVES.keys()


@pytest.mark.parametrize("settings", [*EVERY, *TEMPERED])
def test_it_is_finite_and_the_anchors_and_everything_learned_get_a_gradient(settings):
    made, found = objective(settings), learning(batch(pairs=5, seed=3))
    loss = made.loss(found)
    loss.backward()
    assert loss.shape == ()
    assert torch.isfinite(loss)
    assert torch.isfinite(found.anchors_BD.grad).all()
    assert found.anchors_BD.grad.abs().sum(dim=1).min() > 0
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@pytest.mark.parametrize("settings", [*EVERY, *TEMPERED])
def test_moving_an_anchor_towards_its_positive_lowers_the_loss(settings):
    """By the gradient: a loss with a stop-gradient is no function to be compared at two places."""
    ends = torch.eye(WIDTH)
    positive = torch.nn.functional.normalize(ends[:1] + 0.8 * ends[1:2], dim=1)
    others = torch.nn.functional.normalize(ends[:1] + ends[2:8], dim=1)
    found = learning(
        batch(
            vectors=(ends[:1].clone(), positive, others[:3]),
            follower=lambda codes: positive[[0] * len(codes)],
        )
    )
    made = objective(settings)
    made.begin(lambda _: (QUEUED, others))
    made.loss(found).backward()
    towards = positive - ends[:1]
    assert (found.anchors_BD.grad * towards).sum() < 0


def vectors_with(text, replacement):
    """A batch and its queue where one text, that hides from all pairs, has another vector."""
    masks = [(pair, hidden) for pair in range(4) for hidden in (14, 202)]
    anchors, positives, negatives = unit(4, seed=0), unit(4, seed=1), unit(3, seed=2)
    queue = slow(QUEUED)
    if text == 202:
        negatives[2] = replacement
    if text == 14:
        queue[1] = replacement
    return batch(vectors=(anchors, positives, negatives), masks=masks), queue


@pytest.mark.parametrize("settings", NEGATIVE)
@pytest.mark.parametrize("text", [202, 14], ids=["sampled", "queued"])
def test_a_hidden_candidate_changes_nothing(settings, text):
    results = []
    for replacement in (unit(1, seed=8)[0], 50 * unit(1, seed=9)[0]):
        found, queue = vectors_with(text, replacement)
        made, found = objective(settings), learning(found)
        made.begin(lambda _, queue=queue: (QUEUED, queue))
        loss = made.loss(found)
        loss.backward()
        results.append((loss.item(), found.anchors_BD.grad))
        assert found.negatives_ND.grad is None or not found.negatives_ND.grad[2].any()
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("settings", IN_BATCH)
def test_another_pair_that_is_not_met_hides_and_nothing_else_does(settings):
    unmet = torch.zeros(4, 4, dtype=torch.bool)
    unmet[0, 2] = unmet[3, 1] = unmet[1, 1] = True
    # A pair's own text is met always.
    hidden = [(0, 2), (0, 102), (3, 1), (3, 101)]
    left_out = objective(settings).loss(replace(batch(), unmet_BB=unmet))
    assert torch.equal(left_out, objective(settings).loss(batch(masks=hidden)))
    assert left_out.item() != pytest.approx(objective(settings).loss(batch()).item(), rel=1e-4)


@pytest.mark.parametrize("settings", NEGATIVE)
def test_an_open_candidate_counts(settings):
    """Else the test above would pass for an objective that looks at no negative at all."""
    near, far = objective(settings), objective(settings)
    found = batch(seed=0)
    moved = replace(found, negatives_ND=found.anchors_BD[:3].clone())
    near.begin(lambda _: (QUEUED, found.anchors_BD[[0, 1, 2, 3, 0, 1]]))
    assert near.loss(moved).item() > far.loss(found).item()


@pytest.mark.parametrize("settings", [*EVERY, *TEMPERED])
def test_mixed_precision_stays_finite_and_near(settings):
    found, made = learning(batch(pairs=5, seed=3)), objective(settings)
    exact = made.loss(found).item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = made.loss(found)
    loss.float().backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(found.anchors_BD.grad).all()
    assert loss.item() == pytest.approx(exact, rel=0.05, abs=0.05)


@pytest.mark.parametrize("settings", [*EVERY, *TEMPERED])
def test_without_any_negative_it_is_still_finite(settings):
    found = learning(batch(pairs=1, negatives=0, masks=[(0, int(text)) for text in QUEUED]))
    made = objective(settings)
    loss = made.loss(found)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(found.anchors_BD.grad).all()


@pytest.mark.parametrize("settings", [*EVERY, *TEMPERED])
def test_two_of_them_go_the_same_way(settings):
    """State is made of what all processes see, so it is equal everywhere."""
    histories = []
    for _ in range(2):
        made, losses = objective(settings), []
        for step in range(3):
            losses.append(made.loss(batch(seed=step)).item())
            made.after_step()
        histories.append(losses)
    assert histories[0] == histories[1]
