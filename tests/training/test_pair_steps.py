from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from recsys_tasks.index.index import ItemIndex
from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.model.similarity import TextSimilarity
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.settings.contrast import ContrastSettings
from recsys_tasks.training import finetune, job_folder
from recsys_tasks.training.encoder_data import POPULARITY_DAYS, encoder_data, held_out, known_texts
from recsys_tasks.training.objectives.momentum import Moco
from recsys_tasks.training.pair_steps import PairSteps
from recsys_tasks.training.projection import Bank, Projection
from tests.tiny_encoder import tiny_encoder
from tests.training import text_shop
from tests.training.test_finetune import job
from tests.training.text_shop import CUT, WEIGHTS
from tests.training.trained import trained

OBJECTIVES = [get_args(choice)[0]().objective for choice in get_args(get_args(ContrastSettings)[0])]
WIDTH = 8


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("tiny"), words=text_shop.WORDS)


def tuned(folder, base, **contrast):
    folder, texts = job(folder, base, objective="pairs", contrast=contrast)
    finetune.main(folder)
    return folder, texts


@pytest.mark.parametrize(
    "contrast",
    [
        *({"objective": name} for name in OBJECTIVES if name != "triplet"),
        # At its default most pairs of this shop are apart from the start.
        {"objective": "triplet", "margin": 0.5},
        *({"similarity": name} for name in ("dot", "euclidean", "bilinear")),
        {"temperature": "learned"},
        {"objective": "moco", "similarity": "bilinear", "temperature": "alignment"},
    ],
    ids=lambda contrast: "-".join(map(str, contrast.values())),
)
def test_training_lowers_the_loss_by_every_objective(tmp_path, base, contrast):
    folder, _ = tuned(tmp_path / "job", base, **contrast)
    report = job_folder.read_report(folder)
    assert report.loss_last < report.loss_first - 0.04
    assert np.isfinite(job_folder.read_vectors(folder)).all()


def steps_of(seed=1, weigh=None, **contrast):
    """
    Pair steps over the test shop with random vectors in the place of an encoder's.

    ``weigh``: the data -> the weight of each pair; 1 where it is not given.
    """
    source = text_shop.source(with_pairs=True)
    texts = known_texts(source.events, CUT, WEIGHTS)
    data = encoder_data(
        source, texts, held_out(texts, 0.2, 1), cut=CUT, weights=WEIGHTS, examples=100, seed=1
    )
    if weigh is not None:
        data = replace(data, pair_weight=weigh(data).astype(np.float32))
    raw = torch.randn(len(texts), WIDTH, generator=torch.Generator().manual_seed(3))
    projection = Projection(Whitening.fit(raw.numpy()), 0.05, len(POPULARITY_DAYS))
    settings = EncoderSettings(objective="pairs", batch_texts=12, contrast=contrast)
    bank = Bank.of(raw, projection)
    return PairSteps(data, settings, projection, bank, seed), bank


def asked_of(steps, encode, slow, step=0):
    found = []
    steps.objective.loss = lambda batch: found.append(batch) or torch.zeros(())
    steps.loss(step, encode, slow)
    return found[0]


def batch_of(steps, bank, step=0):
    return asked_of(steps, bank.rows, bank.rows, step)


def test_every_text_of_the_shopper_and_every_equal_text_hides():
    steps, bank = steps_of()
    data, batch = steps.data, batch_of(steps, bank)
    rows = steps._rows(np.random.default_rng([1, 0]))
    everything = np.arange(len(bank.raw))
    hidden = batch.hidden(everything)
    for pair, row in enumerate(rows):
        user = data.pair_user[row]
        own = set(data.history_text[data.history_start[user] : data.history_start[user + 1]].tolist())
        own |= {int(data.pair_anchor[row]), int(data.pair_positive[row])}
        assert set(np.flatnonzero(hidden[pair].numpy()).tolist()) == own
    assert 0 < hidden.float().mean() < 1


def test_equal_texts_hide_even_where_no_history_holds_them():
    steps, bank = steps_of()
    steps.data = replace(steps.data, history_start=np.zeros_like(steps.data.history_start))
    batch = batch_of(steps, bank)
    hidden = batch.hidden(np.arange(len(bank.raw))).numpy()
    for pair, texts in enumerate(zip(batch.anchor_texts, batch.positive_texts, strict=True)):
        assert set(np.flatnonzero(hidden[pair])) == set(texts)


def moved(bank):
    """Vectors of an encoder that has left its start, with gradient."""
    return (
        bank.raw + torch.randn(bank.raw.shape, generator=torch.Generator().manual_seed(9))
    ).requires_grad_()


def test_vectors_are_those_of_their_texts_by_the_encoder_as_it_is_now():
    """The drawn negatives' too: beside those of the start it would learn to tell new vectors from old ones."""
    steps, bank = steps_of()
    now = moved(bank)
    batch = asked_of(steps, lambda codes: now[torch.from_numpy(codes)], bank.rows)
    unit, slow = steps.projection(now).detach(), steps.projection(bank.raw).detach()
    assert len(batch.negative_texts)
    for vectors, texts in (
        (batch.anchors_BD, batch.anchor_texts),
        (batch.positives_BD, batch.positive_texts),
        (batch.negatives_ND, batch.negative_texts),
    ):
        torch.testing.assert_close(vectors.detach(), unit[torch.from_numpy(texts)])
        assert vectors.requires_grad
    twice = batch.positive_texts[[2, 0, 2]]
    torch.testing.assert_close(batch.follower(twice), slow[torch.from_numpy(twice)])


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_texts_that_an_objective_does_not_look_at_are_not_encoded(objective):
    steps, bank = steps_of(objective=objective)
    asked = []
    batch = asked_of(steps, lambda codes: asked.append(codes) or bank.rows(codes), bank.rows)
    assert (len(batch.negative_texts) > 0) == (objective not in ("moco", "byol"))
    looked_at = np.concatenate([batch.anchor_texts, batch.positive_texts, batch.negative_texts])
    assert asked[0].tolist() == np.unique(looked_at).tolist()
    assert len(batch.expected_C) == len(batch.positive_texts) + len(batch.negative_texts)


def test_of_the_other_pairs_the_share_is_met_that_is_asked_for():
    met = {share: steps_of(in_batch=share) for share in (0.0, 0.25, 1.0)}
    batches = {share: batch_of(*found) for share, found in met.items()}
    assert batches[1.0].unmet_BB is None
    assert batches[0.0].unmet_BB.all()
    drawn = [batch_of(*met[0.25], step).unmet_BB.float() for step in range(200)]
    assert torch.stack(drawn).mean().item() == pytest.approx(0.75, abs=0.02)
    assert not torch.equal(drawn[0], drawn[1]), "drawn anew at each step"
    # The pairs are the same ones, whatever the share.
    assert (batches[0.0].positive_texts == batches[1.0].positive_texts).all()


def uneven(data):
    """Pairs of one taste count nine times as much as those of the other, whose negatives are others, too."""
    return np.where(data.pair_user % 2, 9.0, 1.0)


def test_pairs_are_drawn_by_their_weights():
    steps, _ = steps_of(weigh=uneven)
    generator, weight = np.random.default_rng(7), steps.data.pair_weight
    counts = np.bincount(np.concatenate([steps._rows(generator) for _ in range(4000)]), minlength=len(weight))
    heavy = weight > 1
    assert counts[heavy].sum() / counts.sum() == pytest.approx(weight[heavy].sum() / weight.sum(), abs=0.01)
    # Within a taste all are alike: none is left out, none comes far too often.
    assert counts.min() > 0
    assert counts[heavy].std() < 2 * np.sqrt(counts[heavy].mean())


def test_a_pair_that_weighs_next_to_nothing_is_never_drawn():
    steps, _ = steps_of(weigh=lambda data: np.where(np.arange(len(data.pair_user)) == 5, 1.0, 1e-30))
    assert set(steps._rows(np.random.default_rng(7)).tolist()) == {5}


@pytest.mark.parametrize("weigh", [None, uneven], ids=["alike", "uneven"])
def test_a_candidate_is_there_as_often_as_it_is_expected(weigh):
    steps, bank = steps_of(weigh=weigh)
    counts = np.zeros(len(bank.raw))
    expected = np.zeros(len(bank.raw))
    for step in range(1500):
        batch = batch_of(steps, bank, step)
        codes = np.concatenate([batch.positive_texts, batch.negative_texts])
        counts += np.bincount(codes, minlength=len(counts))
        expected[codes] = batch.expected_C.numpy()
    np.testing.assert_allclose(counts / 1500, expected, rtol=0.12, atol=0.03)


def test_vectors_at_their_own_length_have_a_mean_square_of_one():
    steps, bank = steps_of(similarity="dot")
    free = np.flatnonzero(~steps.data.held_out)
    projected = steps._project(bank.rows(free))
    assert projected.square().sum(dim=1).mean().item() == pytest.approx(1.0, rel=1e-5)


def test_moco_begins_with_distinct_texts_that_may_be_learned_from():
    steps, _ = steps_of(objective="moco")
    queue = steps.objective.queue
    assert sorted(queue.texts.tolist()) == np.flatnonzero(~steps.data.held_out).tolist()
    assert len(queue.vectors_QD) == len(queue.texts)


@pytest.mark.parametrize("contrast", [{}, {"objective": "moco"}, {"objective": "byol"}], ids=str)
def test_the_same_step_of_the_same_seed_has_the_same_loss(contrast):
    losses = []
    for seed in (1, 1, 2):
        steps, bank = steps_of(seed, **contrast)
        torch.manual_seed(0)
        losses.append(steps.loss(4, bank.rows, bank.rows).item())
    assert losses[0] == losses[1] != losses[2]


def test_what_texts_were_compared_by_ranks_raw_vectors_as_the_training_did(tmp_path, base):
    folder, texts = tuned(tmp_path / "job", base, similarity="bilinear")
    compared = TextSimilarity.load(folder / job_folder.SIMILARITY)
    assert compared.kind == "bilinear"
    assert np.abs(compared.maps.item_weight - np.eye(len(compared.maps.item_weight))).max() > 1e-3
    raw = job_folder.read_vectors(folder)
    scores = compared.queries(raw) @ compared.items(raw).T
    _, found = ItemIndex.build(texts, compared.items(raw)).search(compared.queries(raw), 5)
    np.testing.assert_allclose(
        np.take_along_axis(scores, found, axis=1), -np.sort(-scores, axis=1)[:, :5], atol=1e-3
    )
    tastes = np.array([text.split()[0] for text in texts])
    same_taste = tastes[found] == tastes[:, None]
    assert np.mean(same_taste) > 0.65, "by chance it is a half"


@pytest.mark.parametrize("objective", ["pairs", "views"])
def test_cosines_are_used_behind_the_axes_that_they_were_learned_behind(tmp_path, base, objective):
    """Those of the tuned vectors would damp what the training made strong; but the mean is theirs."""
    folder, texts = job(tmp_path / "job", base, objective=objective)
    finetune.main(folder)
    assert not (folder / job_folder.SIMILARITY).exists()
    free = ~held_out(texts, 0.2, 1)
    start = TextEncoder.load(base, 16, "cpu").encode(texts.to_list())
    tuned = job_folder.read_vectors(folder)
    used = Whitening.load(folder / job_folder.PROJECTION)
    np.testing.assert_allclose(used.rotation, Whitening.fit(start[free]).rotation, atol=1e-2)
    np.testing.assert_allclose(used.mean, tuned[free].mean(axis=0), atol=1e-6)
    assert np.abs(used.rotation - Whitening.fit(tuned[free]).rotation).max() > 0.1


def test_only_the_slow_copy_makes_the_keys_of_moco(tmp_path, base, monkeypatch):
    """A momentum of almost one leaves the keys where the base was: they differ from those of a copy that keeps up."""
    losses = [
        job_folder.read_report(
            tuned(tmp_path / str(momentum), base, objective="moco", momentum=momentum)[0]
        ).loss_last
        for momentum in (0.0, 0.999999)
    ]
    assert abs(losses[0] - losses[1]) > 0.01


def test_keys_join_the_queue_after_every_step(tmp_path, base, monkeypatch):
    steps, push = [], Moco.after_step
    monkeypatch.setattr(Moco, "after_step", lambda moco: steps.append(len(moco.queue.texts)) or push(moco))
    tuned(tmp_path / "job", base, objective="moco")
    assert len(steps) == 30
    assert np.unique(np.diff(steps)).tolist() == [8]


@pytest.mark.slow
@pytest.mark.parametrize(
    "contrast",
    [{"objective": "moco", "similarity": "bilinear"}, {"objective": "byol"}, {"objective": "nt_xent"}],
    ids=lambda contrast: contrast["objective"],
)
def test_two_processes_follow_the_same_loss_as_one(tmp_path, base, contrast):
    """Queue, copy, predictor and maps are moved by what every process sees alike."""
    reports = []
    for processes in (1, 2):
        folder, _ = job(tmp_path / str(processes), base, steps=20, objective="pairs", contrast=contrast)
        trained(finetune, folder, processes)
        reports.append(job_folder.read_report(folder))
    assert reports[0].loss_first == pytest.approx(reports[1].loss_first, rel=1e-3)
    assert reports[0].loss_last == pytest.approx(reports[1].loss_last, rel=1e-3)
