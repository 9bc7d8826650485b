import numpy as np
import pytest

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.model import vector_cache
from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.model.vector_cache import VectorCache, encode_cached
from tests.tiny_encoder import tiny_encoder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def encoder(folder):
    return TextEncoder.load(folder, max_tokens=32, device="cpu")


def test_only_texts_that_are_new_are_encoded(encoder, folder, tmp_path):
    cache = VectorCache.of(tmp_path, folder, 32)
    first, encoded_first = encode_cached(lambda: encoder, cache, ["tent", "mug"])
    second, encoded_second = encode_cached(lambda: encoder, cache, ["mug", "stove", "tent"])
    assert (encoded_first, encoded_second) == (2, 1)
    np.testing.assert_array_equal(second[[2, 0]], first)
    np.testing.assert_allclose(second, encoder.encode(["mug", "stove", "tent"]), atol=1e-6)


def test_no_encoder_is_loaded_where_every_text_is_known(encoder, folder, tmp_path):
    cache = VectorCache.of(tmp_path, folder, 32)
    first, _ = encode_cached(lambda: encoder, cache, ["tent", "mug"])

    def load():
        raise AssertionError("loaded for nothing")

    again, encoded = encode_cached(load, cache, ["mug", "tent"])
    assert encoded == 0
    np.testing.assert_array_equal(again, first[[1, 0]])


def test_another_encoder_or_length_has_a_cache_of_its_own(folder, tmp_path):
    other = tiny_encoder(tmp_path / "other", seed=1)
    folders = {VectorCache.of(tmp_path, weights, 32).folder for weights in (folder, other)}
    assert len(folders | {VectorCache.of(tmp_path, folder, 16).folder}) == 3


def test_other_code_or_another_number_type_has_a_cache_of_its_own(folder, tmp_path, monkeypatch):
    mine = VectorCache.of(tmp_path, folder, 32).folder
    with monkeypatch.context() as patch:
        patch.setattr(vector_cache, "code_version", lambda _room: "0123456789ab")
        assert VectorCache.of(tmp_path, folder, 32).folder != mine
    with monkeypatch.context() as patch:
        patch.setattr(vector_cache, "number_type", lambda _device: "cuda-bfloat16")
        assert VectorCache.of(tmp_path, folder, 32).folder != mine


def test_a_cpu_computes_in_single_precision():
    assert vector_cache.number_type("cpu") == "cpu-float32"


def test_a_full_memory_names_the_setting_and_leaves_the_cache_as_it_was(
    encoder, folder, tmp_path, monkeypatch
):
    def full(texts, progress):
        raise MemoryError

    monkeypatch.setattr(encoder, "encode", full)
    cache = VectorCache.of(tmp_path, folder, 32)
    with pytest.raises(TrainingFailed, match=r"encoding texts: lower encoder\.max_tokens \(now 32\)"):
        encode_cached(lambda: encoder, cache, ["red tent"])
    assert not cache.lookup(["red tent"])[1].any()


def test_what_is_known_stays_as_it_was(folder, tmp_path):
    cache = VectorCache.of(tmp_path, folder, 32)
    cache.add(["tent"], np.ones((1, 4), dtype=np.float32))
    cache.add(["mug", "tent"], np.zeros((2, 4), dtype=np.float32))
    vectors, known = cache.lookup(["tent", "kayak"])
    assert known.tolist() == [True, False]
    np.testing.assert_array_equal(vectors[0], np.ones(4))
