"""The worker's own parts, and what is said where it cannot run."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from benchmarks import environments
from benchmarks.peers import bench
from benchmarks.peers.coded import Coded
from benchmarks.peers.registry import PEERS
from benchmarks.peers.sequences import _best
from benchmarks.peers.worker_batches import Batches, pieces
from benchmarks.peers.worker_score import Validation
from recsys_tasks.errors import MissingArtefact, TrainingFailed
from recsys_tasks.evaluate.metrics import recall_ndcg
from tests.benchmarks.peer_logs import ordered, timed


@pytest.mark.parametrize("name", ["als", "bpr", "sasrec", "esasrec"])
def test_without_the_environment_the_error_says_how_to_make_it(name, monkeypatch, tmp_path):
    monkeypatch.setattr(environments, "PEERS_PYTHON", tmp_path / "python")
    with pytest.raises(MissingArtefact, match="make bench"):
        PEERS[name]().fit(timed())


def test_a_failed_worker_s_last_words_are_told(monkeypatch, tmp_path):
    monkeypatch.setattr(environments, "PEERS_PYTHON", Path(sys.executable))
    with pytest.raises(TrainingFailed, match=r"(?s)nonesuch.*worker ended with 1.*KeyError"):
        bench.call(tmp_path, {"model": "nonesuch"}, {})


def test_the_worker_imports_nothing_of_the_product():
    sources = [
        path.read_text(encoding="utf-8") for path in sorted(Path(bench.__file__).parent.glob("worker*.py"))
    ]
    assert len(sources) >= 4
    assert not any("recsys_tasks" in text for text in sources)
    script = "import sys, benchmarks.peers.worker; sys.exit('recsys_tasks' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", script], cwd=environments.CHECKOUT, check=False).returncode == 0
    )


@pytest.mark.parametrize("new_only", [True, False])
def test_the_worker_scores_as_the_product_does(new_only, tmp_path):
    rng = np.random.default_rng(3)
    coded = Coded.of(ordered())
    users, items = len(coded.users), len(coded.items)
    pl.DataFrame({"user": coded.user, "item": coded.item}).write_parquet(tmp_path / "events.parquet")
    offered = rng.random(items) < 0.8
    pl.DataFrame({"offered": offered}).write_parquet(tmp_path / "offered.parquet")
    seen = set(zip(coded.user.tolist(), coded.item.tolist(), strict=True))
    cells = [(u, i) for u in range(0, users, 2) for i in range(items) if rng.random() < 0.2]
    rows = [(u, i, (u, i) not in seen) for u, i in cells]
    targets = pl.DataFrame(rows, schema=["user", "item", "is_new"], orient="row")
    targets.write_parquet(tmp_path / "targets.parquet")
    user_UD, item_MD = rng.normal(size=(users, 4)), rng.normal(size=(items, 4))
    user_UD[4] = np.nan

    got = Validation.read(tmp_path).ndcg(user_UD, item_MD)["new" if new_only else "all"]

    score = user_UD @ item_MD.T
    lists = []
    for user in range(users):
        allowed = [i for i in range(items) if offered[i] and not (new_only and (user, i) in seen)]
        best = sorted(allowed, key=lambda i: -score[user, i])[:10] if user != 4 else []
        lists += [(str(user), str(item), rank) for rank, item in enumerate(best, start=1)]
    frame = pl.DataFrame(lists, schema=["user_id", "item_id", "rank"], orient="row")
    wanted = targets.filter(pl.col("is_new")) if new_only else targets
    wanted = wanted.select(user_id=pl.col("user").cast(pl.String), item_id=pl.col("item").cast(pl.String))
    want = recall_ndcg(frame, wanted)["ndcg"].mean()
    assert got == pytest.approx(want)


def test_a_long_history_is_cut_from_its_end():
    events = pl.DataFrame({"user": [0, 1, 0, 0, 0, 0, 1], "item": [1, 9, 2, 3, 4, 5, 8], "weight": [1.0] * 7})
    cut = pieces(events, 2, 10).group_by("user").agg("item").sort("user")
    assert cut.rows() == [(0, [4, 5]), (1, [9, 8]), (10, [1]), (11, [2, 3])]


def test_batches_hold_every_history_once_and_like_lengths():
    torch.manual_seed(0)
    lengths = np.random.default_rng(0).integers(1, 50, 1_000)
    batches = list(Batches(lengths, 32))
    assert sorted(place for batch in batches for place in batch) == list(range(1_000))
    assert len(batches) == len(Batches(lengths, 32))
    assert max(len(batch) for batch in batches) == 32
    assert np.mean([np.ptp(lengths[batch]) for batch in batches]) < 5


def scored(*rounds):
    return [dict(zip(("epoch", "new", "all"), values, strict=True)) for values in rounds]


def test_each_rule_takes_its_best_epoch_and_setting():
    curves = [
        {"settings": {"dropout": 0.2}, "curve": scored((2, 0.1, 0.3), (4, 0.2, 0.3))},
        {"settings": {"dropout": 0.5}, "curve": scored((3, 0.2, 0.2), (6, 0.1, 0.4))},
    ]
    assert _best(curves, "new") == {"dropout": 0.2, "epochs": 4}
    assert _best(curves, "all") == {"dropout": 0.5, "epochs": 6}
