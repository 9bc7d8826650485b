from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertForMaskedLM

from recsys_tasks.errors import SettingsError, TrainingFailed
from recsys_tasks.model.encoder import TextEncoder, weights_hash
from recsys_tasks.settings.backbone import AdaptSettings
from recsys_tasks.training import adaptation, finetune, job_folder
from recsys_tasks.training.adaptation import adapt, adapted, read_adaptation
from recsys_tasks.training.masked_tokens import MaskedTokens, Vocabulary, head_of, hide
from recsys_tasks.training.processes import Processes
from tests.tiny_decoder import tiny_decoder
from tests.tiny_encoder import tiny_encoder
from tests.training import text_shop
from tests.training.test_finetune import job
from tests.training.trained import trained

TEXTS = text_shop.catalogue()["text"].to_list()
HELD = np.arange(len(TEXTS)) % 5 == 0
QUICK = AdaptSettings(steps=40, batch_texts=16, learning_rate=3e-3, mask_share=0.4)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("tiny"), words=text_shop.WORDS)


def masked_of(base, share=0.4):
    torch.manual_seed(0)
    encoder = TextEncoder.load(base, 16, "cpu")
    head, _ = head_of(base, encoder.model)
    return encoder, MaskedTokens(encoder, head, TEXTS, share, seed=1)


def test_of_the_chosen_tokens_four_fifths_are_masked_a_tenth_is_anything_and_a_tenth_stays():
    vocabulary = Vocabulary(mask=4, plain=np.arange(5, 1005))
    ids = np.random.default_rng(0).integers(0, 1005, size=200_000)
    shown, chosen = hide(ids, 0.15, vocabulary, np.random.default_rng(1))
    assert not chosen[ids < 5].any(), "special tokens are not to be guessed"
    np.testing.assert_array_equal(shown[~chosen], ids[~chosen])
    assert chosen[ids >= 5].mean() == pytest.approx(0.15, abs=0.003)
    assert (shown[chosen] == 4).mean() == pytest.approx(0.8, abs=0.01)
    assert (shown[chosen] == ids[chosen]).mean() == pytest.approx(0.1, abs=0.01)
    assert set(shown[chosen]) <= {4, *range(5, 1005)}


def test_the_vocabulary_knows_its_special_tokens(base):
    tokenizer = AutoTokenizer.from_pretrained(base)
    vocabulary = Vocabulary.of(tokenizer)
    assert vocabulary.mask == tokenizer.mask_token_id
    assert set(range(len(tokenizer))) - set(vocabulary.plain) == set(tokenizer.all_special_ids)


def test_the_loss_is_that_of_the_library_s_padded_model(base):
    encoder, masked = masked_of(base)
    whole = BertForMaskedLM(encoder.model.config).eval()
    whole.bert.load_state_dict(encoder.model.state_dict(), strict=False)
    whole.cls.load_state_dict(masked.head.state_dict())
    codes = np.array([7, 2, 11, 2, 0])
    shown, labels = [], []
    for code in codes:
        generator = np.random.default_rng([1, 3, int(code)])
        ids, chosen = hide(masked.tokens[code], 0.4, masked.vocabulary, generator)
        shown.append(torch.from_numpy(ids))
        labels.append(torch.from_numpy(np.where(chosen, masked.tokens[code], -100)))
    padded = torch.nn.utils.rnn.pad_sequence(shown, batch_first=True)
    wanted = torch.nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=-100)
    alive = torch.nn.utils.rnn.pad_sequence([torch.ones_like(ids) for ids in shown], batch_first=True)
    surprise, hidden = masked.losses(codes, 3).sum(dim=0)
    assert hidden == (wanted != -100).sum() > 0
    expected = whole(input_ids=padded, attention_mask=alive, labels=wanted).loss
    torch.testing.assert_close(surprise / hidden, expected, atol=1e-5, rtol=0)


def test_each_text_has_its_own_row_and_the_same_one_in_any_company(base):
    _, masked = masked_of(base)
    codes = np.array([7, 2, 11, 2, 0])
    rows = masked.losses(codes, 3)
    for row, code in zip(rows, codes, strict=True):
        torch.testing.assert_close(masked.losses(np.array([code]), 3)[0], row, atol=1e-5, rtol=1e-5)
    assert not torch.equal(masked.losses(codes, 4)[:, 1], rows[:, 1])


def test_a_batch_in_which_nothing_is_hidden_teaches_nothing(base):
    _, masked = masked_of(base, share=1e-12)
    losses = masked.losses(np.arange(3), 0)
    losses.sum().backward()
    assert losses.tolist() == [[0.0, 0.0]] * 3
    assert masked.loss_of(np.arange(3)) is None


def test_the_head_s_matrix_is_that_of_the_embeddings(base):
    encoder, masked = masked_of(base)
    assert masked.head.predictions.decoder.weight is encoder.model.get_input_embeddings().weight
    parameters = masked.parameters()
    assert len({id(parameter) for parameter in parameters}) == len(parameters)
    masked.losses(np.arange(8), 0)[:, 0].sum().backward()
    without = [name for name, p in encoder.model.named_parameters() if p.grad is None]
    assert without == ["pooler.dense.weight", "pooler.dense.bias"]


def test_the_head_of_the_checkpoint_is_taken_where_there_is_one(base, tmp_path):
    torch.manual_seed(5)
    whole = BertForMaskedLM(AutoModel.from_pretrained(base).config)
    whole.save_pretrained(tmp_path)
    TextEncoder.load(base, 16, "cpu").tokenizer.save_pretrained(tmp_path)
    encoder = TextEncoder.load(tmp_path, 16, "cpu")
    head, found = head_of(tmp_path, encoder.model)
    assert found
    expected = whole.cls.predictions.transform.dense.weight
    torch.testing.assert_close(head.predictions.transform.dense.weight, expected, atol=0, rtol=0)
    assert not head_of(base, TextEncoder.load(base, 16, "cpu").model)[1]


def test_a_loss_that_is_no_number_stops_it_and_names_the_texts_and_the_setting(base, monkeypatch):
    given, losses = [], MaskedTokens.losses

    def not_finite(masked, codes, stream):
        if torch.is_grad_enabled():
            given.append(codes)
        return losses(masked, codes, stream) * float("nan")

    monkeypatch.setattr(MaskedTokens, "losses", not_finite)
    with pytest.raises(
        TrainingFailed, match=r"step 0: .* Lower encoder\.adapt\.learning_rate; if it"
    ) as failed:
        adapt(TextEncoder.load(base, 16, "cpu"), base, TEXTS, HELD, QUICK, Processes(), seed=1)
    assert f"The batch: {TEXTS[given[0][0]]!r}, {TEXTS[given[0][1]]!r}, " in str(failed.value)


def test_the_loss_of_texts_that_were_held_out_falls(base, monkeypatch):
    seen, losses = set(), MaskedTokens.losses

    def spied(masked, codes, stream):
        if torch.is_grad_enabled():
            seen.update(codes.tolist())
        return losses(masked, codes, stream)

    monkeypatch.setattr(MaskedTokens, "losses", spied)
    torch.manual_seed(0)
    encoder = TextEncoder.load(base, 16, "cpu")
    report = adapt(encoder, base, TEXTS, HELD, QUICK, Processes(), seed=1)
    assert report.loss_after < report.loss_before - 0.5
    assert not report.head_found
    assert seen == set(np.flatnonzero(~HELD).tolist())


def test_without_held_out_texts_there_is_no_loss_to_report(base):
    encoder = TextEncoder.load(base, 16, "cpu")
    nothing = np.zeros(len(TEXTS), dtype=np.bool_)
    report = adapt(encoder, base, TEXTS, nothing, QUICK.model_copy(update={"steps": 1}), Processes(), 1)
    assert (report.loss_before, report.loss_after) == (None, None)
    assert report.texts == len(TEXTS)


def test_memory_that_runs_out_while_the_base_is_adapted_names_the_settings(base, tmp_path, monkeypatch):
    monkeypatch.setattr(MaskedTokens, "losses", lambda *_: torch.empty(2**55))
    folder, _ = job(tmp_path / "job", base, adapt=QUICK.model_dump())
    told = rf"while adapting the base: lower encoder\.adapt\.batch_texts \(now {QUICK.batch_texts}\)"
    with pytest.raises(TrainingFailed, match=told):
        finetune.main(folder)


def test_a_decoder_is_refused_by_name(tmp_path):
    folder = tiny_decoder(tmp_path / "tiny")
    with pytest.raises(SettingsError, match=r"encoder\.adapt: GPT2Model has no masked-token head"):
        head_of(folder, TextEncoder.load(folder, 16, "cpu").model)


def test_the_adapted_model_lies_in_the_job_s_folder_and_repeats_itself(base, tmp_path):
    settings = QUICK.model_copy(update={"steps": 3})

    def make(folder):
        folder.mkdir(exist_ok=True)
        torch.manual_seed(1)
        return adapted(folder, base, TEXTS, HELD, settings, 16, Processes(), seed=1)

    first, other = make(tmp_path / "first"), make(tmp_path / "other")
    assert weights_hash(first) == weights_hash(other) != weights_hash(base)
    assert read_adaptation(tmp_path / "first").steps == 3
    assert read_adaptation(tmp_path) is None
    adapted_before = weights_hash(first)
    assert make(tmp_path / "first") == first
    assert weights_hash(first) == adapted_before, "a retry in the same folder makes it anew"


def test_the_encoder_is_tuned_from_the_adapted_model(base, tmp_path):
    settings = {"adapt": QUICK.model_dump(), "frozen_layers": 2, "steps": 2}
    folder, texts = job(tmp_path / "job", base, **settings)
    finetune.main(folder)
    before = AutoModel.from_pretrained(folder / adaptation.MODEL).state_dict()
    after = AutoModel.from_pretrained(folder / job_folder.MODEL).state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved
    assert all(name.startswith("encoder.layer.2.") for name in moved)
    assert weights_hash(folder / adaptation.MODEL) != weights_hash(base)
    vectors = TextEncoder.load(folder / job_folder.MODEL, 16, "cpu").encode(texts.to_list())
    np.testing.assert_allclose(vectors, job_folder.read_vectors(folder), atol=1e-5)


@pytest.mark.slow
def test_two_processes_adapt_as_one_does(base, tmp_path):
    reports = []
    for processes in (1, 2):
        folder, _ = job(tmp_path / str(processes), base, steps=2, adapt={**QUICK.model_dump(), "steps": 5})
        trained(finetune, folder, processes)
        reports.append(read_adaptation(folder))
    assert reports[0].loss_after == pytest.approx(reports[1].loss_after, rel=1e-3)
    assert replace(reports[0], loss_after=None) == replace(reports[1], loss_after=None)
