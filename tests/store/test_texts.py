"""Numbers for texts: what the audit counts and what is written instead of the texts."""

import polars as pl
import pytest

from recsys_tasks.store.texts import Texts


def test_a_text_that_is_met_again_has_the_place_it_had():
    texts = Texts()
    first = texts.coded(pl.Series(["tea", "rye", "tea"]))
    second = texts.coded(pl.Series(["oat", "rye"]))
    assert (first.places.tolist(), second.places.tolist()) == ([0, 1, 0], [2, 1])
    assert texts.since(0).to_list() == ["tea", "rye", "oat"]


def test_what_is_new_in_a_column_is_told():
    texts = Texts.of(pl.Series(["tea", "rye"]))
    assert texts.coded(pl.Series(["oat", "tea", "fig"])).new.to_list() == ["oat", "fig"]
    assert texts.coded(pl.Series(["fig"])).new.to_list() == []
    assert texts.coded(pl.Series([], dtype=pl.String)).new.to_list() == []
    assert len(texts) == 4


def test_codes_go_on_from_the_first_and_sort_as_numbers_do():
    texts = Texts(first=255)
    column = texts.coded(pl.Series(["tea", "rye"]))
    assert texts.codes(column).tobytes() == bytes([0, 0, 0, 255, 0, 0, 1, 0])
    assert texts.codes_since(1).tobytes() == bytes([0, 0, 1, 0])
    assert texts.end == 257


def test_two_collections_know_nothing_of_each_other():
    one, other = Texts.of(pl.Series(["tea", "rye"])), Texts.of(pl.Series(["rye"]))
    assert one.coded(pl.Series(["rye"])).places.tolist() == [1]
    assert other.coded(pl.Series(["rye"])).places.tolist() == [0]


def test_texts_that_are_to_be_distinct_are():
    with pytest.raises(AssertionError, match="twice"):
        Texts.of(pl.Series(["tea", "tea"]))
