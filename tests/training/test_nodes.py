import logging
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_tasks.errors import SettingsError, TrainingFailed
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.training import finetune, job_folder, launch, nodes
from recsys_tasks.training.nodes import Nodes, announced, own_rank, take_part, waiting
from tests.tiny_encoder import tiny_encoder
from tests.training import text_shop
from tests.training.encoder_job import job

TWO = Nodes(count=2, endpoint="first:29500")

# What another machine runs, for one training.
OTHER = """
import sys, time
from pathlib import Path
from recsys_tasks.training import nodes

last = None
while last is None:
    last = nodes.take_part(Path(sys.argv[1]))
    time.sleep(0.1)
"""


def test_a_training_is_announced_while_it_runs(tmp_path):
    with announced(tmp_path, TWO, "module", tmp_path / "job"):
        found = waiting(tmp_path)
        assert found is not None
        assert (found.module, found.folder, found.count, found.endpoint) == (
            "module",
            str(tmp_path / "job"),
            2,
            "first:29500",
        )
    assert waiting(tmp_path) is None


def test_one_machine_tells_nobody(tmp_path):
    with announced(tmp_path, Nodes(), "module", tmp_path / "job"):
        assert list(tmp_path.iterdir()) == []


def test_another_node_joins_each_training_once_even_where_it_fails(tmp_path, monkeypatch, caplog):
    joined = []

    def failing(module, folder, nodes):
        joined.append((module, folder, nodes))
        raise TrainingFailed("the first node was killed")

    monkeypatch.setattr(launch, "launch", failing)
    monkeypatch.setenv("NODE_RANK", "1")
    assert take_part(tmp_path) is None
    with announced(tmp_path, TWO, "module", tmp_path / "job"), caplog.at_level(logging.WARNING):
        last = take_part(tmp_path)
        assert take_part(tmp_path, last) == last
    with announced(tmp_path, TWO, "module", tmp_path / "job"):
        assert take_part(tmp_path, last) != last
    assert joined == [("module", tmp_path / "job", Nodes(count=2, endpoint="first:29500", rank=1))] * 2
    assert "the first node was killed" in caplog.text


def test_a_rank_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv("NODE_RANK", "second")
    with pytest.raises(SettingsError, match="NODE_RANK is 'second'"):
        own_rank()


@pytest.mark.parametrize("changes", [{"nodes": 2}, {"rendezvous": "no-port"}, {"rendezvous": "a b:1"}])
def test_nodes_that_could_not_meet_are_refused(changes):
    with pytest.raises(ValueError, match="rendezvous"):
        EncoderSettings(**changes)


def test_one_machine_meets_in_a_file_and_several_at_the_first_one_s_address(tmp_path):
    alone = launch._rendezvous(Nodes(), tmp_path)
    assert "--rdzv-conf=store_type=file" in alone
    assert launch._environment(Nodes())["GLOO_SOCKET_IFNAME"] == "lo"
    together = launch._rendezvous(Nodes(count=3, endpoint="10.0.0.1:29500", rank=2), tmp_path)
    assert together == ["--nnodes=3", "--node-rank=2", "--master-addr=10.0.0.1", "--master-port=29500"]


@pytest.mark.slow
def test_two_nodes_follow_the_same_loss_as_one(tmp_path, monkeypatch):
    base = tiny_encoder(tmp_path / "tiny", words=text_shop.WORDS)
    alone, _ = job(tmp_path / "alone", base, steps=5)
    finetune.main(alone)
    together, _ = job(tmp_path / "together", base, steps=5)
    monkeypatch.setenv("NODE_RANK", "1")
    root = Path(__file__).parents[2]
    other = subprocess.Popen([sys.executable, "-c", OTHER, str(tmp_path)], cwd=root)
    monkeypatch.setenv("NODE_RANK", "0")
    try:
        two = Nodes(count=2, endpoint=f"127.0.0.1:{free_port()}")
        with announced(tmp_path, two, finetune.__name__, together):
            launch.launch(finetune.__name__, together, 1, two)
        assert other.wait(300) == 0
    finally:
        other.kill()
        other.wait()
    reports = [job_folder.read_report(folder) for folder in (alone, together)]
    assert reports[0].loss_last == pytest.approx(reports[1].loss_last, rel=1e-3)
    assert nodes.waiting(tmp_path) is None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
