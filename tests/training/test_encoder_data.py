from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from recsys_tasks.training.encoder_data import (
    EncoderData,
    as_texts,
    encoder_data,
    held_out,
    known_texts,
)
from tests.training import text_shop
from tests.training.text_shop import CUT, WEIGHTS


def data_of(source, *, cut=CUT, share=0.25, examples=200):
    texts = known_texts(source.events, cut, WEIGHTS)
    held = held_out(texts, share, seed=1)
    return texts, encoder_data(source, texts, held, cut=cut, weights=WEIGHTS, examples=examples, seed=1)


def everything(data: EncoderData) -> bytes:
    return b"".join(np.ascontiguousarray(value).tobytes() for value in vars(data).values())


def test_held_out_texts_are_in_no_history_no_positive_and_no_pair():
    _, data = data_of(text_shop.source(with_pairs=True))
    held = np.flatnonzero(data.held_out)
    assert 0 < len(held) < len(data.held_out)
    for codes in (
        data.history_text,
        data.positive_text,
        data.pair_anchor,
        data.pair_positive,
        data.pair_negative,
    ):
        assert len(codes) > 0
        assert not np.isin(codes, held).any()


def test_a_pair_keeps_the_weight_of_its_event():
    source = text_shop.source(with_pairs=True)
    pairs = source.pairs.with_columns(weight=pl.int_range(1, pl.len() + 1).cast(pl.Float32))
    texts, data = data_of(replace(source, pairs=pairs))
    text_of, users = dict(source.items.iter_rows()), source.events["user_id"].unique().sort()
    known = {(user, text_of[a], text_of[p]): weight for user, a, p, weight, _ in pairs.iter_rows()}
    found = zip(data.pair_user, data.pair_anchor, data.pair_positive, data.pair_weight, strict=True)
    assert len(data.pair_weight) > 100
    for user, anchor, positive, weight in found:
        assert known[users[int(user)], texts[int(anchor)], texts[int(positive)]] == weight


def test_the_same_texts_are_held_out_however_many_others_there_are():
    few, many = ["tent", "mug"], [f"thing {n}" for n in range(500)]
    assert held_out([*few, *many], 0.3, seed=1)[:2].tolist() == held_out(few, 0.3, seed=1).tolist()
    assert held_out(many, 0.3, seed=1).mean() == pytest.approx(0.3, abs=0.06)
    assert held_out(many, 0.3, seed=1).tolist() != held_out(many, 0.3, seed=2).tolist()


def test_what_happens_at_or_after_the_cut_changes_nothing():
    log = text_shop.events()
    early = text_shop.source(log, with_pairs=True)
    late = log.with_columns(
        item_id=pl.when(pl.col("occurred_at") >= CUT).then(pl.lit("g00")).otherwise("item_id")
    )
    changed = text_shop.source(late, with_pairs=True)
    # Negatives belong to anchors, and carry no time of their own.
    changed = type(changed)(**{**vars(changed), "negatives": early.negatives})
    assert everything(data_of(early)[1]) == everything(data_of(changed)[1])


def test_an_example_that_reaches_to_the_cut_is_left_out():
    # An example begins every other week and looks two weeks ahead; this cut lies in the middle of one.
    _, data = data_of(text_shop.source(), cut=CUT - timedelta(weeks=1), examples=10_000)
    last = CUT - timedelta(weeks=4)
    assert data.example_until.max() == int(last.timestamp() * 1e6)


def test_positives_are_texts_that_the_shopper_had_never_taken_before():
    log = text_shop.events()
    # Two items share each text: an item may be new to a shopper who knows its text.
    items = text_shop.catalogue().with_columns(pl.col("text").gather(pl.int_range(pl.len()) // 2 * 2))
    source = text_shop.source(log, items=items)
    texts, data = data_of(source, examples=50)
    users = log.filter(pl.col("occurred_at") < CUT)["user_id"].unique().sort()
    events = as_texts(log, items)
    for example in range(len(data.example_user)):
        user = users[int(data.example_user[example])]
        before = events.filter(
            pl.col("user_id") == user,
            pl.col("occurred_at").dt.epoch("us") < int(data.example_until[example]),
        )
        positives = data.positive_text[data.positive_start[example] : data.positive_start[example + 1]]
        assert len(positives) > 0
        assert not set(texts[positives.tolist()]) & set(before["item_id"])


def test_popularity_counts_the_days_before_the_example_and_not_its_future():
    _, data = data_of(text_shop.source(), share=0.0)
    row = int(data.popularity_row[0])
    until = data.example_until[0]
    week = (data.history_time < until) & (data.history_time >= until - 7 * 86_400_000_000)
    counts = np.bincount(data.history_text[week], minlength=len(data.held_out))
    np.testing.assert_allclose(data.popularity[row, :, 0], np.log1p(counts), rtol=1e-6)


def test_saved_arrays_are_the_same(tmp_path):
    _, data = data_of(text_shop.source(with_pairs=True))
    data.save(tmp_path / "data.safetensors")
    assert everything(EncoderData.load(tmp_path / "data.safetensors")) == everything(data)


def test_a_log_too_young_for_any_example_gives_none():
    source = text_shop.source()
    _, data = data_of(source, cut=text_shop.START + timedelta(weeks=1))
    assert len(data.example_user) == 0
