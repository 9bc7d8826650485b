import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import embedding_bag

from recsys_tasks.training.row_sums import RowSums


@st.composite
def readings(draw):
    """A table's rows, and which of them each sum reads: some read none, some rows are read by none or often."""
    table = draw(st.integers(1, 8))
    sums = draw(st.lists(st.lists(st.integers(0, table - 1), max_size=6), min_size=1, max_size=8))
    return table, sums


def row_sums(table, sums):
    starts = np.cumsum([0, *map(len, sums)])
    return RowSums.of(np.array([row for one in sums for row in one], np.int64), starts, table)


@given(readings(), st.booleans(), st.integers(0, 1000))
@settings(max_examples=80, deadline=None)
def test_sums_and_what_flows_back_are_those_of_plain_loops(reading, weighted, seed):
    (size, sums), generator = reading, torch.Generator().manual_seed(seed)
    table = torch.randn(size, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(sum(map(len, sums)), generator=generator, dtype=torch.float64)
    each = weights.tolist() if weighted else [1.0] * len(weights)
    expected, back, place = torch.zeros(len(sums), 3), torch.zeros(size, 3), 0
    gradient = torch.randn(len(sums), 3, generator=generator, dtype=torch.float64)
    expected, back = expected.double(), back.double()
    for number, one in enumerate(sums):
        for row in one:
            expected[number] += each[place] * table.detach()[row]
            back[row] += each[place] * gradient[number]
            place += 1
    found = row_sums(size, sums).over(table, weights if weighted else None)
    found.backward(gradient)
    assert torch.allclose(found, expected)
    assert torch.allclose(table.grad, back)


def test_single_rows_are_the_rows():
    table = torch.eye(3, requires_grad=True)
    rows = RowSums.single(np.array([2, 0, 2]), 3).over(table)
    assert rows.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1]]
    rows.sum().backward()
    assert table.grad.tolist() == [[1, 1, 1], [0, 0, 0], [2, 2, 2]]


def test_it_is_embedding_bag():
    rng = np.random.default_rng(1)
    rows, starts = rng.integers(0, 50, 400), np.array([0, 10, 10, 150, 400])
    values = torch.from_numpy(rng.random(400, np.float32))
    tables = [
        torch.randn(50, 16, generator=torch.Generator().manual_seed(2)).requires_grad_() for _ in range(2)
    ]
    ours = RowSums.of(rows, starts, 50).over(tables[0], values)
    theirs = embedding_bag(
        torch.from_numpy(rows),
        tables[1],
        torch.from_numpy(starts),
        mode="sum",
        per_sample_weights=values,
        include_last_offset=True,
    )
    for result in (ours, theirs):
        result.square().sum().backward()
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert torch.allclose(tables[0].grad, tables[1].grad, rtol=1e-4, atol=1e-5)
