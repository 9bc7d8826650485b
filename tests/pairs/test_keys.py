import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_tasks.pairs.keys import Layout, chunks, first_of_run, offsets, ordered, width

rows = st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 2**31), st.integers(0, 7)), min_size=1)


@given(rows)
def test_keys_stand_as_their_rows_do_and_give_them_back(rows):
    columns = np.array(rows, dtype=np.int64).T
    layout = Layout(tuple(width(int(column.max())) for column in columns))
    keys = ordered(layout.pack(*columns))
    found = np.stack([layout.part(keys, place) for place in range(3)], axis=1)
    assert [tuple(row) for row in found.tolist()] == sorted(rows)
    pairs = [(int(key) >> layout.widths[2]) for key in keys]
    assert layout.part(keys, 0, 2).tolist() == pairs


def test_a_layout_of_more_than_64_bits_does_not_fit():
    assert Layout((32, 31, 1)).fits
    assert not Layout((32, 31, 2)).fits


def test_all_64_bits_are_used():
    layout = Layout((32, 32))
    most = np.array([2**32 - 1])
    assert layout.part(layout.pack(most, most), 0).tolist() == most.tolist()


def test_runs_begin_where_a_row_differs():
    assert first_of_run(np.array([3, 3, 1, 3])).tolist() == [True, False, True, True]
    assert first_of_run(np.array([], dtype=np.int64)).tolist() == []


def test_chunks_and_offsets_leave_nothing_out():
    assert [(part.start, part.stop) for part in chunks(7, 3)] == [(0, 3), (3, 6), (6, 7)]
    assert offsets(np.array([2, 0, 3])).tolist() == [0, 2, 2, 5]
