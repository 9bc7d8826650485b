"""Small batches with everything in them: equal texts, masked texts, further negatives, a slow copy."""

import numpy as np
import torch

from recsys_tasks.training.objectives.batch import PairBatch
from recsys_tasks.training.objectives.registry import objective_of

WIDTH = 8


def unit(*shape, seed):
    vectors = torch.randn(*shape, WIDTH, generator=torch.Generator().manual_seed(seed))
    return vectors / vectors.norm(dim=-1, keepdim=True)


def batch(pairs=4, negatives=3, *, seed=0, masks=(), vectors=None, follower=None, expected=None):
    """
    Pair i is text i -> text 100 + i, negatives are 200 + j. ``masks`` are further (pair, text) that hide.

    ``vectors`` are (anchors, positives, negatives). A text's slow vector is drawn by its number.
    """
    anchors, positives, others = vectors or (
        unit(pairs, seed=seed),
        unit(pairs, seed=seed + 1),
        unit(negatives, seed=seed + 2),
    )
    pairs, negatives = len(anchors), len(others)
    anchor, positive = np.arange(pairs), 100 + np.arange(pairs)

    def hidden(codes):
        equal = (codes[None, :] == anchor[:, None]) | (codes[None, :] == positive[:, None])
        for pair, text in masks:
            equal[pair] |= codes == text
        return torch.from_numpy(equal)

    return PairBatch(
        anchors_BD=anchors,
        positives_BD=positives,
        negatives_ND=others,
        anchor_texts=anchor,
        positive_texts=positive,
        negative_texts=200 + np.arange(negatives),
        hidden=hidden,
        expected_C=torch.ones(pairs + negatives) if expected is None else expected,
        follower=follower or slow,
    )


def slow(codes):
    """The slow copy's vectors of these texts."""
    return torch.stack([unit(1, seed=1000 + int(code))[0] for code in codes])


def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


def hides(found, pair, text):
    """Whether one text hides from one pair."""
    return bool(found.hidden(np.array([text]))[pair, 0])


def candidates(found):
    """(text, vector) of the positives and the negatives."""
    texts = [*found.positive_texts.tolist(), *found.negative_texts.tolist()]
    return list(zip(texts, [*found.positives_BD, *found.negatives_ND], strict=True))


def open_negatives(found, pair):
    """The vectors of the candidates that are negatives of a pair, by the rules of the batch."""
    own = int(found.positive_texts[pair])
    return [vector for text, vector in candidates(found) if text != own and not hides(found, pair, text)]


HEAT = 0.2


def objective(settings):
    """The objective at the temperature HEAT."""
    return objective_of(settings, temperature=HEAT, width=WIDTH)


def draw(size):
    """What fills a queue at the start: texts 0, 7, 14, ...; some equal an anchor."""
    texts = 7 * np.arange(size)
    return texts, slow(texts)
