import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from recsys_tasks.settings.contrast import InfoNce, MultiPositive, NtXent
from recsys_tasks.training.objectives.registry import objective_of
from tests.training.objectives.batches import (
    WIDTH,
    batch,
    candidates,
    cosine,
    hides,
    open_negatives,
    unit,
)

HEAT = 0.2
MASKS = [(0, 101), (1, 201), (2, 3), (2, 103), (3, 200)]


def loss_of(settings, found):
    return objective_of(settings, temperature=HEAT, width=WIDTH).loss(found)


def info_nce_by_hand(found):
    losses = []
    for pair, anchor in enumerate(found.anchors_BD):
        own = math.exp(cosine(anchor, found.positives_BD[pair]) / HEAT)
        rest = sum(math.exp(cosine(anchor, other) / HEAT) for other in open_negatives(found, pair))
        losses.append(-math.log(own / (own + rest)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("negatives", [0, 3])
def test_info_nce_equals_its_definition_with_masks(negatives):
    found = batch(negatives=negatives, masks=MASKS)
    assert loss_of(InfoNce(), found).item() == pytest.approx(info_nce_by_hand(found), rel=1e-5)


def test_info_nce_is_the_cross_entropy_of_the_pairs_to_the_last_bit():
    found = batch(pairs=5, negatives=4)
    candidates_CD = functional.normalize(torch.cat([found.positives_BD, found.negatives_ND]), dim=1)
    logits = functional.normalize(found.anchors_BD, dim=1) @ candidates_CD.T / HEAT
    expected = -functional.log_softmax(logits, dim=1).diagonal()
    assert torch.equal(loss_of(InfoNce(), found), expected.sum() / 5)


def test_an_anchors_own_positive_is_never_masked():
    masks = [(pair, text) for pair in range(3) for text in range(100, 103)]
    assert loss_of(InfoNce(), batch(pairs=3, negatives=0, masks=masks)).item() == pytest.approx(0.0, abs=1e-6)


def nt_xent_by_hand(found):
    """Equation 1 of SimCLR over the 2B texts; the batch's negatives are candidates of all."""
    texts = [*found.anchors_BD, *found.positives_BD]
    codes = [*found.anchor_texts.tolist(), *found.positive_texts.tolist()]
    pairs = len(found.anchors_BD)
    everyone = [*zip(codes, texts, strict=True), *candidates(found)[pairs:]]
    losses = []
    for i, text in enumerate(texts):
        pair, partner = i % pairs, (i + pairs) % (2 * pairs)
        own = math.exp(cosine(text, texts[partner]) / HEAT)
        total = sum(
            math.exp(cosine(text, other) / HEAT)
            for k, (code, other) in enumerate(everyone)
            if k not in (i, partner) and not hides(found, pair, code)
        )
        losses.append(-math.log(own / (own + total)))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("negatives", [0, 3])
def test_nt_xent_equals_its_definition_with_masks(negatives):
    found = batch(negatives=negatives, masks=MASKS)
    assert loss_of(NtXent(), found).item() == pytest.approx(nt_xent_by_hand(found), rel=1e-5)


def test_nt_xent_is_the_same_with_the_sides_swapped():
    anchors, positives, negatives = unit(4, seed=1), unit(4, seed=2), unit(2, seed=3)
    there = loss_of(NtXent(), batch(vectors=(anchors, positives, negatives)))
    back = loss_of(NtXent(), batch(vectors=(positives, anchors, negatives)))
    assert there.item() == pytest.approx(back.item(), rel=1e-6)


def test_nt_xent_knows_a_perfect_and_a_hopeless_batch():
    """Two orthogonal pairs: each text has its partner at 1 and two others at 0."""
    ends = torch.eye(WIDTH)[:2]
    expected = math.log(1 + 2 * math.exp(-1 / HEAT))
    nothing = torch.zeros(0, WIDTH)
    assert loss_of(NtXent(), batch(vectors=(ends, ends.clone(), nothing))).item() == pytest.approx(
        expected, rel=1e-4
    )


def several(masks=()):
    """
    Pairs 0 and 2 have an equal anchor text, 0 -> 100 and 0 -> 102; 1 and 3 -> 102 are alone. 100 is also drawn as a
    negative.
    """
    found = batch(masks=masks)
    found.anchor_texts[2] = 0
    found.positive_texts[3] = 102
    found.negative_texts[1] = 100
    return found


def multi_positive_by_hand(found):
    losses = []
    for pair, anchor in enumerate(found.anchors_BD):
        total, wanted = 0.0, []
        for place, (text, vector) in enumerate(candidates(found)):
            if place != pair and hides(found, pair, text):
                continue
            known = {
                int(positive)
                for other, positive in zip(found.anchor_texts, found.positive_texts, strict=True)
                if other == found.anchor_texts[pair]
            }
            paired = place < len(found.anchors_BD) and found.anchor_texts[place] == found.anchor_texts[pair]
            if text in known and not paired:
                continue
            weight = math.exp(cosine(anchor, vector) / HEAT)
            total += weight
            if paired:
                wanted.append(weight)
        losses.append(-sum(math.log(weight / total) for weight in wanted) / len(wanted))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("masks", [[], MASKS, [(0, 102)]])
def test_multi_positive_equals_its_definition(masks):
    found = several(masks)
    assert loss_of(MultiPositive(), found).item() == pytest.approx(multi_positive_by_hand(found), rel=1e-5)
    assert loss_of(InfoNce(), found).item() != pytest.approx(loss_of(MultiPositive(), found).item(), rel=1e-3)


def test_no_text_is_a_positive_and_a_negative_of_one_anchor():
    """Two pairs of one anchor, 0 -> 1 and 0 -> 2, all alike: each positive has half, whether 2 is drawn or not."""
    here = torch.ones(1, WIDTH)
    found = batch(vectors=(here.repeat(2, 1), here.repeat(2, 1), here))
    found.anchor_texts[:] = 0
    found.positive_texts[:] = 1, 2
    found.negative_texts[:] = 2
    assert loss_of(MultiPositive(), found).item() == pytest.approx(math.log(2))


def test_multi_positive_with_one_positive_each_is_info_nce():
    found = batch(masks=MASKS)
    assert torch.equal(loss_of(MultiPositive(), found), loss_of(InfoNce(), found))


def test_hidden_is_asked_with_texts():
    asked = []
    found = batch()
    whole = found.hidden
    object.__setattr__(found, "hidden", lambda codes: asked.append(codes) or whole(codes))
    loss_of(InfoNce(), found)
    assert np.concatenate(asked).tolist() == [100, 101, 102, 103, 200, 201, 202]
