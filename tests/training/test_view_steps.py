from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from recsys_tasks.errors import SettingsError
from recsys_tasks.model.augment.texts import token_texts
from recsys_tasks.model.encoder import TextEncoder, weights_hash
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.settings.augment import TextPolicy
from recsys_tasks.training import finetune, job_folder
from recsys_tasks.training.encoder_data import POPULARITY_DAYS, encoder_data, held_out, known_texts
from recsys_tasks.training.projection import Bank, Projection
from recsys_tasks.training.view_steps import ViewSteps
from recsys_tasks.training.views import Views
from tests.tiny_encoder import tiny_encoder
from tests.training import text_shop
from tests.training.test_finetune import job
from tests.training.text_shop import CUT, WEIGHTS
from tests.training.trained import trained

WIDTH = 8
DROPOUT = TextPolicy(sub_policies=[[{"operation": "token_dropout", "strength": 0.5}]])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("tiny"), words=text_shop.WORDS)


@pytest.fixture
def steps_of(base):
    """View steps over the test shop, with the sum of random token vectors in the place of an encoder."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    source = text_shop.source()
    texts = known_texts(source.events, CUT, WEIGHTS)
    data = encoder_data(source, texts, held_out(texts, 0.2, 1), cut=CUT, weights=WEIGHTS, examples=10, seed=1)
    table = torch.randn(len(tokenizer), WIDTH, generator=torch.Generator().manual_seed(3))

    def made(seed=1, batch_texts=12, **contrast):
        raw = torch.stack([table[ids].sum(0) for ids in tokenizer(texts.to_list())["input_ids"]])
        projection = Projection(Whitening.fit(raw.numpy()), 0.05, len(POPULARITY_DAYS))
        settings = EncoderSettings(
            objective="views", batch_texts=batch_texts, contrast=contrast, augment=DROPOUT
        )
        views = Views(token_texts(tokenizer, texts.to_list(), 16), DROPOUT)
        steps = ViewSteps(data, settings, projection, Bank.of(raw, projection), seed, views)
        return steps, lambda places: torch.stack([table[views.tokens[place]].sum(0) for place in places])

    return made


def batch_of(steps, encode, step=0):
    found = []
    steps.objective.loss = lambda batch: found.append(batch) or torch.zeros(())
    steps.loss(step, encode, lambda places: encode(places) * 2)
    return found[0]


def test_two_views_of_a_text_are_a_pair(steps_of):
    steps, encode = steps_of()
    batch = batch_of(steps, encode)
    assert len(steps.views.tokens) == 12
    for pair, code in enumerate(batch.anchor_texts):
        whole = steps.views._texts[code]
        for view in (steps.views.tokens[pair], steps.views.tokens[6 + pair]):
            assert set(view) <= {*whole.before, *whole.ids.tolist(), *whole.after}
    assert any(steps.views.tokens[pair] != steps.views.tokens[6 + pair] for pair in range(6))
    expected = steps.projection(encode(np.arange(12)))
    torch.testing.assert_close(batch.anchors_BD, expected[:6])
    torch.testing.assert_close(batch.positives_BD, expected[6:])


def test_the_texts_of_a_step_can_be_told(steps_of):
    steps, encode = steps_of()
    for told in steps.pairs_of(7):
        assert told.tolist() == batch_of(steps, encode, step=7).anchor_texts.tolist()


def test_held_out_texts_have_no_views_and_all_others_do(steps_of):
    steps, encode = steps_of()
    seen = np.concatenate([batch_of(steps, encode, step).anchor_texts for step in range(100)])
    assert set(seen.tolist()) == set(np.flatnonzero(~steps.data.held_out).tolist())


def test_a_text_is_there_as_often_as_it_is_expected(steps_of):
    steps, encode = steps_of()
    batches = [batch_of(steps, encode, step) for step in range(600)]
    seen = np.bincount(np.concatenate([b.anchor_texts for b in batches]), minlength=len(steps.bank.raw)) / 600
    free = ~steps.data.held_out
    np.testing.assert_allclose(seen[free], batches[0].expected_C[0].item(), atol=0.08)
    assert not seen[~free].any()


def test_a_text_stands_once_in_a_step_however_large_it_is(steps_of):
    steps, encode = steps_of(batch_texts=1000)
    batch = batch_of(steps, encode)
    assert sorted(batch.anchor_texts) == np.flatnonzero(~steps.data.held_out).tolist()
    assert batch.expected_C.tolist() == [1.0] * len(batch.anchor_texts)


def test_both_views_of_a_text_hide_and_nothing_else_does(steps_of):
    steps, encode = steps_of()
    batch, texts = batch_of(steps, encode), len(steps.bank.raw)
    numbers = np.arange(2 * texts)
    hidden = batch.hidden(numbers).numpy()
    for pair, code in enumerate(batch.anchor_texts):
        assert np.flatnonzero(hidden[pair]).tolist() == [code, code + texts]


def test_the_slow_copy_is_asked_for_the_view_that_is_meant(steps_of):
    steps, encode = steps_of()
    batch = batch_of(steps, encode)
    slow = steps.projection(encode(np.arange(12)) * 2)
    torch.testing.assert_close(batch.follower(batch.anchor_texts), slow[:6].detach())
    torch.testing.assert_close(batch.follower(batch.positive_texts), slow[6:].detach())
    torch.testing.assert_close(batch.follower(batch.positive_texts[[4, 0]]), slow[[10, 6]].detach())
    assert not batch.follower(batch.anchor_texts).requires_grad


@pytest.mark.parametrize("contrast", [{}, {"objective": "moco"}, {"objective": "byol"}], ids=str)
def test_the_same_step_of_the_same_seed_has_the_same_loss(steps_of, contrast):
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(0)
        steps, encode = steps_of(seed, **contrast)
        losses.append(steps.loss(4, encode, encode).item())
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("objective", ["info_nce", "nt_xent", "moco", "byol", "sampled_softmax"])
def test_training_lowers_the_loss(tmp_path, base, objective):
    folder, texts = job(
        tmp_path / "job", base, objective="views", contrast={"objective": objective}, steps=60
    )
    finetune.main(folder)
    report = job_folder.read_report(folder)
    assert report.loss_last < report.loss_first - 0.04
    vectors = job_folder.read_vectors(folder)
    tuned = TextEncoder.load(folder / job_folder.MODEL, 16, "cpu")
    np.testing.assert_allclose(tuned.encode(texts.to_list()), vectors, atol=1e-5)


def test_two_runs_give_the_same_weights_and_another_policy_others(tmp_path, base):
    hashes = []
    for run, policy in (("a", TextPolicy()), ("b", TextPolicy()), ("c", DROPOUT)):
        folder, _ = job(tmp_path / run, base, steps=3, objective="views", augment=policy)
        finetune.main(folder)
        hashes.append(weights_hash(folder / job_folder.MODEL))
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_policy_that_is_still_a_file_is_refused():
    with pytest.raises(SettingsError, match=r"best\.yaml is a file that was not read"):
        Views([], Path("best.yaml"))


@pytest.mark.slow
def test_two_processes_follow_the_same_loss_as_one(tmp_path, base):
    """With an objective that asks the encoder for first views and its slow copy for second ones."""
    reports = []
    for processes in (1, 2):
        folder, _ = job(
            tmp_path / str(processes), base, steps=6, objective="views", contrast={"objective": "moco"}
        )
        trained(finetune, folder, processes)
        reports.append(job_folder.read_report(folder))
    assert reports[0].loss_last == pytest.approx(reports[1].loss_last, rel=1e-3)
