"""
Views of texts: token ids with the field and the word that each one belongs to.

Tokens that drop out and words that change places: ConSERT, Yan et al. 2021 (arXiv 2105.11741), section 3.2. A run of
tokens that stays: COCO-LM, Meng et al. 2021 (arXiv 2102.08473), section 3. Fields that drop out: the feature masks of
Yao et al. 2020 (arXiv 2007.12865), section 3.2.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from recsys_tasks.errors import SettingsError
from recsys_tasks.model.arrays import Positions
from recsys_tasks.model.augment.fields import field_starts
from recsys_tasks.model.augment.places import crop, drop, reorder, share_of
from recsys_tasks.model.augment.policy import drawn
from recsys_tasks.settings.augment import TextOperation, TextPolicy

TEXTS_AT_A_TIME = 8192


@dataclass(frozen=True)
class TokenText:
    """n tokens between the special tokens ``before`` and ``after`` them; ``fields`` and ``words`` (n,) number them."""

    before: list[int]
    ids: Positions
    after: list[int]
    fields: Positions
    words: Positions


def token_texts(
    tokenizer: Any,
    texts: Sequence[str],
    max_tokens: int,
    separators: Sequence[str] = (),
    end_token: int | None = None,
) -> list[TokenText]:
    """
    The tokens of each text as the encoder reads them, cut at ``max_tokens``.

    ``end_token`` is the one that ends every text of a decoder (``TextEncoder.end_token``).

    Raises SettingsError for a tokenizer that does not say where in the text its tokens stand.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise SettingsError(
            f"encoder.base: {type(tokenizer).__name__} does not tell where its tokens stand in a text, which views of "
            "texts need; take a base with a tokenizer.json, or another encoder.objective"
        )
    ending = [] if end_token is None else [end_token]
    found = []
    for start in range(0, len(texts), TEXTS_AT_A_TIME):
        some = list(texts[start : start + TEXTS_AT_A_TIME])
        room = max_tokens - len(ending)
        read = tokenizer(some, truncation=True, max_length=room, return_offsets_mapping=True)
        for row, text in enumerate(some):
            ids, places = read["input_ids"][row], read["offset_mapping"][row]
            tokens = _token_text(text, ids, places, read.word_ids(row), separators)
            missing = ending if tokens.after[-1:] != ending else []
            found.append(replace(tokens, after=[*tokens.after, *missing]))
    return found


def _token_text(
    text: str,
    ids: list[int],
    offsets: list[tuple[int, int]],
    words: list[int | None],
    separators: Sequence[str],
) -> TokenText:
    inner = [place for place, word in enumerate(words) if word is not None]
    begin, end = (inner[0], inner[-1] + 1) if inner else (len(ids), len(ids))
    # By its last character: a token of a byte-level tokenizer begins with the space in front of its word.
    lasts = np.array([max(last - 1, 0) for _, last in offsets[begin:end]], dtype=np.int64)
    fields = np.searchsorted(field_starts(text, separators), lasts, side="right") - 1
    numbers = np.array([-1 if word is None else word for word in words[begin:end]], dtype=np.int64)
    return TokenText(ids[:begin], np.array(ids[begin:end], dtype=np.int64), ids[end:], fields, numbers)


def view_of_text(text: TokenText, policy: TextPolicy, rng: np.random.Generator) -> list[int]:
    """The token ids of one view, special tokens included; some token of the text always stays."""
    places = np.arange(len(text.ids))
    for step in drawn(policy.sub_policies, rng):
        if len(places):
            places = places[CHANGES[step.operation](text, places, step.strength, rng)]
    return [*text.before, *text.ids[places].tolist(), *text.after]


Change = Callable[[TokenText, Positions, float, np.random.Generator], Positions]


def _token_dropout(_: TokenText, places: Positions, strength: float, rng: np.random.Generator) -> Positions:
    return drop(len(places), strength, rng)


def _field_dropout(
    text: TokenText, places: Positions, strength: float, rng: np.random.Generator
) -> Positions:
    runs = _runs(text.fields[places])
    return _joined(runs, drop(len(runs), strength, rng))


def _crop(_: TokenText, places: Positions, strength: float, rng: np.random.Generator) -> Positions:
    return crop(len(places), strength, rng)


def _shuffle_words(
    text: TokenText, places: Positions, strength: float, rng: np.random.Generator
) -> Positions:
    """A run of words changes places, each with its pieces in order."""
    runs = _runs(text.words[places])
    return _joined(runs, reorder(len(runs), share_of(len(runs), strength), rng))


def _shuffle_fields(
    text: TokenText, places: Positions, strength: float, rng: np.random.Generator
) -> Positions:
    """A run of fields changes places. Fields are few, so their number is rounded up."""
    runs = _runs(text.fields[places])
    return _joined(runs, reorder(len(runs), int(np.ceil(strength * len(runs))), rng))


CHANGES: dict[TextOperation, Change] = {
    "token_dropout": _token_dropout,
    "field_dropout": _field_dropout,
    "crop": _crop,
    "shuffle_words": _shuffle_words,
    "shuffle_fields": _shuffle_fields,
}


def _runs(numbers: Positions) -> list[Positions]:
    """The places of each run of equal numbers."""
    return np.split(np.arange(len(numbers)), np.flatnonzero(np.diff(numbers)) + 1)


def _joined(runs: list[Positions], order: Positions) -> Positions:
    return np.concatenate([runs[number] for number in order])
