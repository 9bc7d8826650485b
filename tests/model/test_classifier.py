import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, GPT2Config, GPT2Model

from recsys_tasks.errors import MissingArtefact, TrainingFailed
from recsys_tasks.model.classifier import FACTS, ClassifierFacts, PurchaseClassifier, lengths_of
from tests.tiny_encoder import tiny_encoder

ASKED = ClassifierFacts(max_tokens=16, history_items=4, candidates=5)
HISTORIES = ["tea; cup", "tea; cup", "rug", "a b c d e f g h i j k l m n o p"]
TEXTS = ["mug", "mat of oak", "mug", "z y x w v u t s r q"]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    torch.manual_seed(0)
    base = tiny_encoder(tmp_path_factory.mktemp("tiny"), words=("tea", "cup", "mug", "mat", "rug"))
    return PurchaseClassifier.fresh(base, ASKED, "cpu")


def test_what_is_saved_loads_as_any_sequence_classification_model(classifier, tmp_path):
    classifier.save(tmp_path)
    model, tokenizer = (
        AutoModelForSequenceClassification.from_pretrained(tmp_path),
        AutoTokenizer.from_pretrained(tmp_path),
    )
    assert model.config.id2label == {0: "O", 1: "Purchased"}
    assert model.config.label2id == {"O": 0, "Purchased": 1}
    one = tokenizer("tea; cup", "mug", return_tensors="pt")
    with torch.inference_mode():
        logits = model.eval()(**one).logits[0]
    odds = classifier.log_odds(["tea; cup"], ["mug"])
    assert odds == pytest.approx([float(logits[1] - logits[0])], abs=1e-6)
    again = PurchaseClassifier.load(tmp_path, "cpu")
    assert again.facts == ASKED
    assert np.array_equal(again.log_odds(HISTORIES, TEXTS), classifier.log_odds(HISTORIES, TEXTS))
    assert not list(tmp_path.glob("*.bin")), "weights are safetensors"


def test_order_and_company_do_not_change_an_answer(classifier):
    together = classifier.log_odds(HISTORIES, TEXTS)
    alone = [classifier.log_odds([h], [t])[0] for h, t in zip(HISTORIES, TEXTS, strict=True)]
    assert together == pytest.approx(alone, abs=1e-5)
    assert classifier.log_odds(HISTORIES[::-1], TEXTS[::-1])[::-1] == pytest.approx(together, abs=1e-5)
    assert classifier.log_odds([], []).shape == (0,)
    told = []
    classifier.log_odds(HISTORIES, TEXTS, lambda done, total: told.append((done, total)))
    assert told[-1] == (4, 4)
    assert told == sorted(told)


def test_padding_does_not_change_an_answer(classifier):
    tokens = classifier.tokenise(HISTORIES, TEXTS)
    assert len(set(lengths_of(tokens))) > 1
    with torch.inference_mode():
        logits = classifier.logits(tokens, np.arange(4)).numpy()
    assert logits[:, 1] - logits[:, 0] == pytest.approx(classifier.log_odds(HISTORIES, TEXTS), abs=1e-5)


def test_a_pair_that_is_too_long_keeps_both_texts_and_the_newest_of_the_history(classifier):
    tokens = classifier.tokenise(HISTORIES, TEXTS)
    assert lengths_of(tokens).max() == ASKED.max_tokens
    words = classifier.tokenizer.convert_ids_to_tokens(tokens["input_ids"][3])
    # 16 tokens less three special ones, shared by both.
    assert words == ["[CLS]", *"abcdefg", "[SEP]", *"zyxwvu", "[SEP]"]


def test_threads_ask_one_after_the_other(classifier):
    expected = classifier.log_odds(HISTORIES, TEXTS)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: classifier.log_odds(HISTORIES, TEXTS), range(16)))
    assert all(np.array_equal(answer, expected) for answer in answers)


def test_a_full_memory_names_the_setting(classifier, monkeypatch):
    def full(tokens, rows):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(classifier, "logits", full)
    told = rf"asking the classifier: lower classifier\.max_tokens \(now {classifier.facts.max_tokens}\)"
    with pytest.raises(TrainingFailed, match=told):
        classifier.log_odds(["red tent"], ["blue kettle"])


def test_a_decoder_without_a_padding_token_classifies_too(classifier, tmp_path):
    size = len(classifier.tokenizer)
    GPT2Model(GPT2Config(vocab_size=size, n_embd=16, n_layer=1, n_head=2, n_positions=64)).save_pretrained(
        tmp_path
    )
    classifier.tokenizer.save_pretrained(tmp_path)
    config = tmp_path / "tokenizer_config.json"
    told = json.loads(config.read_text())
    config.write_text(
        json.dumps({k: v for k, v in told.items() if k != "pad_token"} | {"eos_token": "[SEP]"})
    )
    decoder = PurchaseClassifier.fresh(tmp_path, ASKED, "cpu")
    tokens = decoder.tokenise(HISTORIES, TEXTS)
    tokens = {name: tokens[name] for name in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        logits = decoder.logits(tokens, np.arange(4)).numpy()
    assert decoder.model.config.pad_token_id is not None
    assert np.isfinite(logits).all()


def test_a_folder_of_something_else_is_named(tmp_path):
    with pytest.raises(MissingArtefact, match=FACTS):
        PurchaseClassifier.load(tmp_path, "cpu")
