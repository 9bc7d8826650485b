"""Ours, Polars and pandas make the rows that plain loops make."""

import json
from collections import defaultdict
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from benchmarks import environments, pairs
from benchmarks.pairs_log import WEIGHTS, write_log
from benchmarks.pairs_run import SYSTEMS, digest
from benchmarks.peers.worker_pairs import (
    EACH,
    EXPONENT,
    FOLLOWERS,
    MAX_PER_ITEM,
    MAX_PER_USER,
    ROUNDS,
    SEED,
    WINDOW,
    pandas,
)

ROWS = 100_000


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    # Few items, so that caps bind and draws collide.
    return write_log(tmp_path_factory.mktemp("pairs") / "log.parquet", ROWS, items=600)


@pytest.fixture(scope="module")
def expected(file):
    return reference(pl.read_parquet(file))


def reference(events: pl.DataFrame) -> dict[str, np.ndarray]:
    """The definitions in plain Python: sets, dictionaries and loops."""
    user_of = {name: code for code, name in enumerate(sorted(set(events["user_id"])))}
    item_of = {name: code for code, name in enumerate(sorted(set(events["item_id"])))}
    kind_of = {name: code for code, name in enumerate(sorted(WEIGHTS, key=lambda name: -WEIGHTS[name]))}
    coded = [
        (user_of[user], at, item_of[item], kind_of[kind])
        for user, item, kind, at in events.with_columns(pl.col("occurred_at").dt.epoch("us")).iter_rows()
    ]
    history = sorted(set(coded))
    pairs = positives(history)
    counts = [0] * len(item_of)
    for _, _, item, _ in coded:
        counts[item] += 1
    starts = [0] * (len(user_of) + 1)
    for user, *_ in history:
        starts[user + 1] += 1
    columns = dict(zip(("user", "at", "item", "kind"), np.array(history).T, strict=True))
    paired = zip(("pair user", "pair anchor", "pair positive", "pair at"), np.array(pairs).T, strict=True)
    drawn = np.array(negatives(pairs, history, counts))
    return {"starts": np.cumsum(starts), **columns, **dict(paired), "negative": drawn}


def positives(history):
    newest = defaultdict(dict)
    shoppers = defaultdict(list)
    for user, at, item, _ in history:
        if not shoppers[user] or shoppers[user][-1] != (at, item):
            shoppers[user].append((at, item))
    for user, events in shoppers.items():
        for place in reversed(range(len(events))):
            for step in range(1, min(FOLLOWERS, place) + 1):
                (late, positive), (early, anchor) = events[place], events[place - step]
                if positive != anchor and late - early <= WINDOW:
                    newest[user].setdefault((anchor, positive), late)
    found = [
        (user, anchor, positive, at)
        for user, pairs in newest.items()
        for (anchor, positive), at in list(pairs.items())[:MAX_PER_USER]
    ]
    taken, kept = defaultdict(int), []
    for pair in sorted(found, key=lambda pair: (-pair[3], *pair[:3])):
        taken[pair[1]] += 1
        if taken[pair[1]] <= MAX_PER_ITEM:
            kept.append(pair)
    return sorted(kept)


def negatives(pairs, history, counts):
    generator = np.random.default_rng(SEED)
    until = np.cumsum(np.array(counts, dtype=float) ** EXPONENT)
    touched = {(user, item) for user, _, item, _ in history}
    rows = [(user, anchor) for user, anchor, *_ in pairs for _ in range(EACH)]
    drawn, bad = [0] * len(rows), set(range(len(rows)))
    for _ in range(ROUNDS):
        for row in sorted(bad):
            dice = generator.random() * until[-1]
            drawn[row] = min(int(np.searchsorted(until, dice, side="right")), len(until) - 1)
            if (rows[row][0], drawn[row]) not in touched:
                bad.discard(row)
        seen = set()
        for row, (user, anchor) in enumerate(rows):
            if (user, anchor, drawn[row]) in seen:
                bad.add(row)
            seen.add((user, anchor, drawn[row]))
        if not bad:
            break
    return [item for *_, item in sorted((*rows[row], drawn[row]) for row in set(range(len(rows))) - bad)]


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_row_is_that_of_the_plain_loops(system, file, expected):
    made = SYSTEMS[system](str(file))
    assert made.keys() == expected.keys()
    for name, column in expected.items():
        assert np.array_equal(made[name], column), name


def test_the_log_has_what_the_question_is_about(file, expected):
    events = pl.read_parquet(file)
    assert len(events) == pytest.approx(ROWS, rel=0.01)
    assert len(expected["user"]) < len(events)
    assert (
        len(expected["negative"]) < EACH * len(expected["pair user"])
        or len(expected["pair user"]) <= MAX_PER_ITEM * 600
    )
    instants = list(zip(expected["user"], expected["at"], expected["item"], strict=True))
    assert any(a == b for a, b in pairwise(instants))
    assert all(a[2] == b[2] for a, b in pairwise(instants) if a[:2] == b[:2])


def test_two_columns_in_another_order_have_another_digest():
    assert digest({"a": np.array([1, 2])}) != digest({"a": np.array([2, 1])})
    assert pandas is SYSTEMS["pandas"]


def test_figures_are_medians_and_ratios_to_ours(tmp_path, monkeypatch, capsys):
    cpu = {"ours": [2.0, 3.0, 100.0, 9.0], "polars": [12.0, 1.0, 15.0]}
    made = {name: [7, 1] for name in ("user", "pair user", "negative")}

    def run(system, _):
        return {"cpu": cpu[system].pop(0), "seconds": 1.0, "peak_mb": 500.0, "digest": made}

    monkeypatch.setattr(pairs, "run", run)
    monkeypatch.setattr(environments, "PEERS_PYTHON", tmp_path / "none")
    assert pairs.main(["--out", str(tmp_path / "out.json"), "--rows", "100"]) == 0
    rows = json.loads((tmp_path / "out.json").read_text())
    assert all(set(row) == {"system", "metric", "value", "unit"} for row in rows)
    values = {(row["system"], row["metric"]): row["value"] for row in rows}
    assert values["ours", "ratio_polars"] == 4.0
    assert values["ours", "cpu_ratio 3x rows"] == 3.0
    assert values["ours", "peak_gb"] == 0.5
    assert "ratio_polars" in capsys.readouterr().out


def test_other_rows_than_ours_are_no_figure():
    found = {"cpu": 1.0, "seconds": 1.0, "peak_mb": 1.0, "digest": {"negative": [3, 4]}}
    other = {**found, "digest": {"negative": [3, 5]}}
    with pytest.raises(pairs.TrainingFailed, match="polars made other rows than ours: negative"):
        pairs.compared({"ours": [found], "polars": [other]})
