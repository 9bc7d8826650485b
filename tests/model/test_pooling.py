import json

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from recsys_tasks.errors import SettingsError
from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.model.pooling import pooled, pooling_in, pooling_of
from recsys_tasks.model.vector_cache import VectorCache
from tests.tiny_decoder import END, FAMILIES, WIDTH, tiny_decoder
from tests.tiny_encoder import tiny_encoder

TEXTS = ["red tent", "a", "blue sleeping bag 2", "", "red tent", "tent pegs", "stove"]


@pytest.fixture(scope="module", params=FAMILIES)
def decoder(request, tmp_path_factory):
    return tiny_decoder(tmp_path_factory.mktemp("tiny"), words=("red", "tent"), family=request.param)


@pytest.mark.parametrize(
    ("model_type", "asked", "meant"),
    [
        ("bert", "auto", "mean"),
        ("roberta", "auto", "mean"),
        ("gpt2", "auto", "last"),
        ("llama", "auto", "last"),
        ("qwen2", "auto", "last"),
        ("never heard of", "auto", "mean"),
        ("bert", "last", "last"),
        ("gpt2", "mean", "mean"),
    ],
)
def test_pooling_follows_the_family_unless_it_is_asked_for(model_type, asked, meant):
    assert pooling_of(model_type, asked) == meant


def test_pooled_states():
    states = torch.arange(12.0).view(2, 3, 2)
    assert pooled(states, "last").tolist() == [[4.0, 5.0], [10.0, 11.0]]
    assert pooled(states, "mean").tolist() == [[2.0, 3.0], [8.0, 9.0]]


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_a_decoder_s_vector_is_that_of_its_own_padded_forward(decoder, pooling):
    tokenizer, model = AutoTokenizer.from_pretrained(decoder), AutoModel.from_pretrained(decoder).eval()
    tokenizer.pad_token = END
    batch = tokenizer([text + END for text in TEXTS], padding=True, return_tensors="pt", padding_side="right")
    with torch.inference_mode():
        states = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state
    mask = batch["attention_mask"][:, :, None]
    if pooling == "last":
        expected = states[torch.arange(len(TEXTS)), batch["attention_mask"].sum(dim=1) - 1]
    else:
        expected = (states * mask).sum(dim=1) / mask.sum(dim=1)
    vectors = TextEncoder.load(decoder, 32, "cpu", pooling).encode(TEXTS)
    assert vectors.shape == (len(TEXTS), WIDTH)
    np.testing.assert_allclose(vectors, expected.numpy(), atol=1e-5)


def test_every_text_of_a_decoder_ends_with_the_end_token(decoder):
    encoder = TextEncoder.load(decoder, max_tokens=4, device="cpu")
    end = encoder.tokenizer.eos_token_id
    tokens = encoder.tokenise(["", "tent", "red tent red tent", END])
    assert [ids[-1] for ids in tokens] == [end] * 4
    assert [len(ids) for ids in tokens] == [1, 2, 4, 1]


def test_a_decoder_without_an_end_token_is_refused(tmp_path):
    folder = tiny_decoder(tmp_path / "tiny")
    file = folder / "tokenizer_config.json"
    facts = json.loads(file.read_text())
    del facts["eos_token"]
    file.write_text(json.dumps(facts))
    with pytest.raises(SettingsError, match="eos_token"):
        TextEncoder.load(folder, 32, "cpu")


def test_a_bert_keeps_its_tokens_and_may_pool_the_last(tmp_path):
    folder = tiny_encoder(tmp_path / "tiny")
    mean, last = (TextEncoder.load(folder, 32, "cpu", pooling) for pooling in ("auto", "last"))
    assert mean.tokenise(["tent"]) == last.tokenise(["tent"])
    assert not np.allclose(mean.encode(["tent"]), last.encode(["tent"]))


def test_vectors_of_another_pooling_have_a_cache_of_their_own(decoder, tmp_path):
    assert pooling_in(decoder) == "last"
    auto, last, mean = (VectorCache.of(tmp_path, decoder, 32, asked) for asked in ("auto", "last", "mean"))
    assert auto.folder == last.folder != mean.folder


def test_a_saved_decoder_gives_the_same_vectors(decoder, tmp_path):
    encoder = TextEncoder.load(decoder, 32, "cpu")
    encoder.save(tmp_path / "saved")
    np.testing.assert_array_equal(
        TextEncoder.load(tmp_path / "saved", 32, "cpu").encode(TEXTS), encoder.encode(TEXTS)
    )
