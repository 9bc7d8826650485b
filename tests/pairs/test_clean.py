import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_tasks.pairs import clean as cleaning
from recsys_tasks.pairs.clean import RawLog, clean, time_unit
from recsys_tasks.pairs.coding import code_log
from tests.pairs.logs import rows
from tests.pairs.shop import WEIGHTS, log, shuffled


def raw(rows):
    user, at, item, kind = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    user, item, kind = (column.astype(np.uint32) for column in (user, item, kind))
    return RawLog(user, at, item, kind, (4, 5, 3))


def found(cleaned):
    columns = (cleaned.user, cleaned.at, cleaned.item, cleaned.kind)
    return [tuple(int(n) for n in row) for row in zip(*columns, strict=True)]


events = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(-(2**50), 2**50) | st.integers(0, 3),
        st.integers(0, 4),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize(
    ("why", "answers"),
    [
        ("all of it fits into a key", [True]),
        ("with its times numbered", [False, True]),
        ("sorted by columns", [False, False]),
    ],
)
@given(events)
def test_a_clean_log_is_the_sorted_set_of_its_events(why, answers, events):
    left = list(answers)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cleaning.Layout, "fits", property(lambda _: left.pop(0)))
        cleaned = clean(raw([*events, *events[::2]]))
    assert left == []
    assert found(cleaned) == sorted(set(events))
    per_user = [sum(user == code for user, *_ in set(events)) for code in range(4)]
    assert np.diff(cleaned.starts).tolist() == per_user


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        ([0, 86_400 * 10**6], 86_400 * 10**6),
        ([7, 7 + 3_600_000_000], 3_600_000_000),
        ([5, 6], 1),
        ([9, 9], 86_400 * 10**6),
    ],
)
def test_times_count_in_the_largest_unit_they_share(times, unit):
    assert time_unit(np.array(times)) == unit


def test_one_odd_time_far_down_the_log_is_seen():
    times = np.arange(200_000) * 1_000_000
    times[150_000] += 1
    assert time_unit(times) == 1


@given(rows, st.integers(0, 5))
def test_of_one_instant_the_heaviest_type_stands_first_and_arrival_changes_nothing(rows, seed):
    coded = code_log(log(*rows), WEIGHTS)
    cleaned = coded.clean
    weights = [WEIGHTS.get(coded.kinds[kind], 0.0) for kind in cleaned.kind]
    keys = list(zip(cleaned.user, cleaned.at, cleaned.item, strict=True))
    assert all(keys[row] != keys[row - 1] or weights[row] <= weights[row - 1] for row in range(1, len(keys)))
    assert found(code_log(shuffled(log(*rows), seed), WEIGHTS).clean) == found(cleaned)


def test_an_empty_log_is_clean():
    assert code_log(log()).clean.starts.tolist() == [0]
