import polars as pl
import pytest

from recsys_tasks.errors import SchemaMismatch
from recsys_tasks.extract.shapes import in_one_shape


def stacked(*frames: pl.DataFrame, guessed: bool = False) -> pl.DataFrame:
    named = {f"file {place}": frame for place, frame in enumerate(frames)}
    lazy = {name: frame.lazy() for name, frame in named.items()}
    schemas = {name: frame.schema for name, frame in named.items()}
    return in_one_shape(lazy, schemas, guessed=guessed).collect()


def test_columns_are_matched_by_name_and_missing_ones_are_null():
    frame = stacked(pl.DataFrame({"a": [1], "b": ["x"]}), pl.DataFrame({"b": ["y"], "a": [2], "c": [True]}))
    assert frame.rows() == [(1, "x", None), (2, "y", True)]


@pytest.mark.parametrize(
    ("values", "joined"),
    [
        (([1], ["x"]), ["1", "x"]),
        ((["x"], [1]), ["x", "1"]),
        (([None], ["x"], [1]), [None, "x", "1"]),
        (([1], [1.5]), [1.0, 1.5]),
        (([None], [2]), [None, 2]),
    ],
)
def test_types_that_mean_the_same_are_joined(values, joined):
    assert stacked(*(pl.DataFrame({"a": part}) for part in values))["a"].to_list() == joined


@pytest.mark.parametrize("values", [([1.5], ["x"]), (["x"], [True]), ([[1]], [1])])
def test_other_changes_name_file_column_and_types(values):
    frames = [pl.DataFrame({"a": part}) for part in values]
    with pytest.raises(SchemaMismatch, match=r"file 1: column 'a' holds .*, but .* in file 0"):
        stacked(*frames)


def test_types_that_were_guessed_become_text():
    frame = stacked(pl.DataFrame({"a": [1.5]}), pl.DataFrame({"a": ["n/a"]}), guessed=True)
    assert frame["a"].to_list() == ["1.5", "n/a"]
