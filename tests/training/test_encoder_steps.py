"""The steps of the history objective, the default, against their definition written with loops."""

import math

import numpy as np
import pytest
import torch

from recsys_tasks.model.histories import US_PER_DAY
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.training.encoder_data import POPULARITY_DAYS, encoder_data, held_out, known_texts
from recsys_tasks.training.encoder_steps import HALF_LIFE_DAYS, HistorySteps
from recsys_tasks.training.objectives.temperature import COLDEST
from recsys_tasks.training.projection import Bank, Projection
from tests.training import text_shop
from tests.training.text_shop import CUT, WEIGHTS

WIDTH = 8
HEAT = 0.1


def steps_of(*, positives=6, sampled=7, **changes):
    """Steps over the test shop with random vectors in the place of an encoder's."""
    source = text_shop.source()
    texts = known_texts(source.events, CUT, WEIGHTS)
    data = encoder_data(
        source, texts, held_out(texts, 0.2, 1), cut=CUT, weights=WEIGHTS, examples=100, seed=1
    )
    raw = torch.randn(len(texts), WIDTH, generator=torch.Generator().manual_seed(3))
    projection = Projection(Whitening.fit(raw.numpy()), HEAT, len(POPULARITY_DAYS))
    bank = Bank.of(raw, projection)
    settings = EncoderSettings(temperature=HEAT, **changes)
    return HistorySteps(data, settings, projection, bank, positives=positives, sampled=sampled, seed=1)


def fresh_vectors(steps):
    """Another vector of each text than the bank's: only candidates are read by the encoder as it is now."""
    moved = torch.randn(steps.bank.raw.shape, generator=torch.Generator().manual_seed(4))
    return steps.bank.raw + 0.3 * moved


def asked(steps, step):
    """The loss of a step, and the candidates whose vectors it asked for."""
    seen, vectors = [], fresh_vectors(steps)

    def encode(codes):
        seen.append(codes)
        return vectors[torch.from_numpy(codes)]

    with torch.no_grad():
        loss = steps.loss(step, encode).item()
    (codes,) = seen
    return loss, codes.tolist()


def unit(steps, raw):
    vector = (raw - steps.projection.mean) @ steps.projection.rotation.detach()
    return vector / vector.norm()


def history_of(steps, example):
    """(text, days ago, weight) of what the shopper did before the example."""
    data = steps.data
    user, until = data.example_user[example], data.example_until[example]
    return [
        (
            int(data.history_text[place]),
            (until - data.history_time[place]) / US_PER_DAY,
            float(data.history_weight[place]),
        )
        for place in range(data.history_start[user], data.history_start[user + 1])
        if data.history_time[place] < until
    ]


def anchor_by_hand(steps, history):
    total = torch.zeros(WIDTH)
    for text, age, weight in history:
        total += weight * 0.5 ** (age / HALF_LIFE_DAYS) * unit(steps, steps.bank.raw[text])
    # Whose texts are all held out has no taste: every candidate is alike to it.
    return total / total.norm() if history else total


def loss_by_hand(steps, step, codes, *, popularity=False, logq=1.0, heat=HEAT):
    data, vectors, losses = steps.data, fresh_vectors(steps), []
    for place in range(steps.positives):
        example = (step * steps.positives + place) % len(data.example_user)
        history = history_of(steps, example)
        own = {text for text, _, _ in history}
        begin, end = data.positive_start[example : example + 2]
        wanted = set(data.positive_text[begin:end].tolist()) - own
        anchor, total, weights = anchor_by_hand(steps, history), 0.0, []
        for code in codes:
            if code in own:
                continue
            drawn = math.log(steps._expected[code])
            logit = float(anchor @ unit(steps, vectors[code])) / heat - logq * drawn
            if popularity:
                recent = data.popularity[data.popularity_row[example], code]
                logit += sum(0.4 * float(window) for window in recent)
            total += math.exp(logit)
            if code in wanted:
                weights.append(math.exp(logit))
        if weights:
            losses.append(-sum(math.log(weight / total) for weight in weights) / len(weights))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("popularity", [False, True])
@pytest.mark.parametrize("step", [0, 3])
def test_the_loss_is_that_of_the_definition(step, popularity):
    steps = steps_of(popularity_in_logit=popularity)
    loss, codes = asked(steps, step)
    assert loss == pytest.approx(loss_by_hand(steps, step, codes, popularity=popularity), rel=1e-4)


@pytest.mark.parametrize("logq", [0.0, 0.4])
def test_the_correction_for_sampling_has_the_strength_that_is_asked_for(logq):
    steps = steps_of(logq=logq)
    # In this shop all texts are drawn about as often.
    steps._expected = np.linspace(0.02, 1.0, len(steps._expected), dtype=np.float32)
    loss, codes = asked(steps, 1)
    assert loss == pytest.approx(loss_by_hand(steps, 1, codes, logq=logq), rel=1e-4)
    assert loss != pytest.approx(loss_by_hand(steps, 1, codes), rel=1e-2)


def test_the_temperature_gets_no_colder_than_the_coldest():
    steps = steps_of()
    with torch.no_grad():
        steps.projection.temperature.log_scale += 1e3
    loss, codes = asked(steps, 1)
    assert loss == pytest.approx(loss_by_hand(steps, 1, codes, heat=COLDEST), rel=1e-4)


def test_candidates_are_a_positive_of_each_example_and_distinct_texts_that_may_be_learned_from():
    steps = steps_of()
    _, codes = asked(steps, 2)
    assert codes == sorted(set(codes))
    assert not steps.data.held_out[codes].any()
    assert set(steps.positives_of(2).tolist()) <= set(codes)
    assert len(codes) <= steps.positives + steps.sampled
    for place, text in enumerate(steps.positives_of(2).tolist()):
        begin, end = steps.data.positive_start[[2 * steps.positives + place, 2 * steps.positives + place + 1]]
        assert text in steps.data.positive_text[begin:end]


def test_a_candidate_is_there_as_often_as_it_is_expected():
    steps = steps_of(positives=4, sampled=3)
    counts, rounds = np.zeros(len(steps.bank.raw)), 1500
    # Any example may stand in any step: the order of the log must not matter here.
    shuffled = np.random.default_rng(5)
    steps._rows = lambda _: shuffled.integers(0, len(steps.data.example_user), steps.positives)
    for step in range(rounds):
        counts[asked(steps, step)[1]] += 1
    free = ~steps.data.held_out
    np.testing.assert_allclose(counts[free] / rounds, steps._expected[free], atol=0.05)
    assert not counts[~free].any()
