import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from recsys_tasks.errors import SettingsError
from recsys_tasks.model.augment.texts import token_texts, view_of_text
from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.settings.augment import TextPolicy
from tests.tiny_decoder import tiny_decoder
from tests.tiny_encoder import tiny_encoder

WORDS = ("tent", "blue", "acme", "camping", ".", "(", ")")
OPERATIONS = ("token_dropout", "field_dropout", "crop", "shuffle_words", "shuffle_fields")
STEPS = st.fixed_dictionaries(
    {"operation": st.sampled_from(OPERATIONS), "probability": st.floats(0, 1), "strength": st.floats(0, 1)}
)
POLICIES = st.lists(st.lists(STEPS, max_size=4), min_size=1, max_size=3).map(
    lambda s: TextPolicy(sub_policies=s)
)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return AutoTokenizer.from_pretrained(tiny_encoder(tmp_path_factory.mktemp("tiny"), words=WORDS))


def read(tokenizer, text, max_tokens=32):
    return token_texts(tokenizer, [text], max_tokens, [". ", " ("])[0]


def only(operation, strength):
    return TextPolicy(sub_policies=[[{"operation": operation, "strength": strength}]])


def words(tokenizer, text, policy, seed=0):
    ids = view_of_text(read(tokenizer, text), policy, np.random.default_rng(seed))
    return tokenizer.convert_ids_to_tokens(ids)[1:-1]


def test_tokens_are_those_that_the_encoder_reads(tokenizer):
    texts = ["blue tent. acme (xy)", "", "camping " * 40, "tent"]
    for text, found in zip(texts, token_texts(tokenizer, texts, 12, [". "]), strict=True):
        whole = tokenizer(text, truncation=True, max_length=12)["input_ids"]
        assert [*found.before, *found.ids, *found.after] == whole
        assert found.before + found.after == [tokenizer.cls_token_id, tokenizer.sep_token_id]
        assert len(found.fields) == len(found.words) == len(found.ids)


def test_every_token_knows_its_field_and_its_word(tokenizer):
    found = read(tokenizer, "blue tent. acme (xy)")
    assert tokenizer.convert_ids_to_tokens(found.ids) == ["blue", "tent", ".", "acme", "(", "x", "##y", ")"]
    assert found.fields.tolist() == [0, 0, 0, 1, 2, 2, 2, 2]
    assert found.words[5] == found.words[6]
    assert len(set(found.words)) == 7


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["blue", "tent. ", "acme", "(xyz)"]), max_size=12),
    POLICIES,
    st.integers(0, 2**32 - 1),
)
def test_a_view_holds_some_tokens_of_the_text_between_its_special_ones(tokenizer, parts, policy, seed):
    text = read(tokenizer, " ".join(parts))
    view = view_of_text(text, policy, np.random.default_rng(seed))
    begin, end = len(text.before), len(view) - len(text.after)
    assert (view[:begin], view[end:]) == (text.before, text.after)
    left = text.ids.tolist()
    for token in view[begin:end]:
        left.remove(token)
    assert end > begin or not parts
    assert view == view_of_text(text, policy, np.random.default_rng(seed))


def test_leaving_out_fields_leaves_whole_fields(tokenizer):
    found = {
        tuple(words(tokenizer, "blue tent. acme (xy)", only("field_dropout", 0.5), seed))
        for seed in range(60)
    }
    fields = [("blue", "tent", "."), ("acme",), ("(", "x", "##y", ")")]
    possible = {
        tuple(token for field, kept in zip(fields, (a, b, c), strict=True) if kept for token in field)
        for a in (0, 1)
        for b in (0, 1)
        for c in (0, 1)
    }
    assert found == possible - {()}


def test_the_only_field_stays(tokenizer):
    assert words(tokenizer, "blue tent", only("field_dropout", 1.0)) == ["blue", "tent"]


def test_shuffled_words_keep_their_pieces_together(tokenizer):
    found = {tuple(words(tokenizer, "xyz tent", only("shuffle_words", 1.0), seed)) for seed in range(20)}
    assert found == {("x", "##y", "##z", "tent"), ("tent", "x", "##y", "##z")}


def test_shuffled_fields_keep_their_words_in_order(tokenizer):
    found = {
        tuple(words(tokenizer, "blue tent. acme", only("shuffle_fields", 0.6), seed)) for seed in range(20)
    }
    assert found == {("blue", "tent", ".", "acme"), ("acme", "blue", "tent", ".")}


def test_a_crop_keeps_a_run_of_tokens(tokenizer):
    assert words(tokenizer, "blue tent acme camping", only("crop", 0.5), seed=1) in (
        ["blue", "tent"],
        ["tent", "acme"],
        ["acme", "camping"],
    )


def test_operations_follow_one_another(tokenizer):
    policy = TextPolicy(
        sub_policies=[
            [{"operation": "crop", "strength": 0.75}, {"operation": "token_dropout", "strength": 1.0}]
        ]
    )
    assert len(words(tokenizer, "blue tent acme camping", policy)) == 1


def test_tokens_of_a_byte_level_tokenizer_know_their_field_too():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = pre_tokenizers.ByteLevel.alphabet()
    vocabulary = {token: code for code, token in enumerate([*sorted(letters), "\u0120c"])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[("\u0120", "c")]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.post_processor = processors.ByteLevel(trim_offsets=False)
    raw.decoder = decoders.ByteLevel()
    found = token_texts(PreTrainedTokenizerFast(tokenizer_object=raw), ["ab. c"], 16, [". "])[0]
    assert (found.before, found.after) == ([], [])
    assert found.fields.tolist() == [0, 0, 0, 1], "a, b, the dot, and c with the space before it"


def test_a_tokenizer_without_places_is_refused():
    class Slow:
        is_fast = False

    with pytest.raises(SettingsError, match="Slow does not tell where"):
        token_texts(Slow(), ["tent"], 16)


def test_a_view_of_a_decoders_text_ends_as_the_text_does(tmp_path):
    words = ["tent", "stove", "lamp", "red", "blue"]
    encoder = TextEncoder.load(tiny_decoder(tmp_path, words=words), 6, "cpu")
    texts = ["tent", "red tent blue stove red lamp tent stove", ""]
    read = token_texts(encoder.tokenizer, texts, encoder.max_tokens, (), encoder.end_token)
    unchanged = TextPolicy(sub_policies=[[]])
    views = [view_of_text(text, unchanged, np.random.default_rng(1)) for text in read]
    assert views == encoder.tokenise(texts)
    assert all(view[-1] == encoder.end_token for view in views)
