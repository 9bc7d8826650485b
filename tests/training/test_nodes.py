import contextlib
import logging
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_tasks.errors import SettingsError, TrainingFailed
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.training import finetune, job_folder, launch, nodes
from recsys_tasks.training.launch import Nodes
from recsys_tasks.training.nodes import Waiting, announced, announcement, own_rank
from recsys_tasks.training.processes import Processes
from tests.tiny_encoder import tiny_encoder
from tests.training import text_shop
from tests.training.encoder_job import job

TWO = Nodes(count=2, endpoint="first:29500")
ROOT = Path(__file__).parents[2]

# What another machine runs, for one training.
OTHER = """
import sys, time
from pathlib import Path
from recsys_tasks.training import nodes

waiting = nodes.Waiting(Path(sys.argv[1]))
while waiting.joined is None:
    waiting.look()
    time.sleep(0.1)
"""

# A night that announces a training and is killed.
KILLED = """
import os, signal, sys
from pathlib import Path
from recsys_tasks.training.launch import Nodes
from recsys_tasks.training.nodes import announced

with announced(Path(sys.argv[1]), Nodes(count=2, endpoint=sys.argv[2]), "module", Path("job")):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def joined(monkeypatch):
    """The trainings that would be joined: (module, folder, nodes)."""
    found = []
    monkeypatch.setattr(nodes, "launch", lambda module, folder, nodes: found.append((module, folder, nodes)))
    monkeypatch.setenv("NODE_RANK", "1")
    return found


@contextlib.contextmanager
def listening():
    """The address of a first node that is there."""
    with bound() as (server, endpoint):
        server.listen()
        yield endpoint


@contextlib.contextmanager
def bound():
    """A socket that keeps its address to itself and does not listen yet: nothing answers there, nor will another."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        yield server, f"127.0.0.1:{server.getsockname()[1]}"


def test_a_training_is_announced_while_it_runs(tmp_path):
    with announced(tmp_path, TWO, "module", tmp_path / "job"):
        found = announcement(tmp_path)
        assert found is not None
        assert (found.module, found.folder, found.count, found.endpoint) == (
            "module",
            str(tmp_path / "job"),
            2,
            "first:29500",
        )
    assert announcement(tmp_path) is None


def test_one_machine_tells_nobody(tmp_path):
    with announced(tmp_path, Nodes(), "module", tmp_path / "job"):
        assert list(tmp_path.iterdir()) == []


def test_another_node_joins_each_training_once(tmp_path, joined):
    waiting = Waiting(tmp_path)
    waiting.look()
    assert waiting.joined is None
    with listening() as endpoint:
        two = Nodes(count=2, endpoint=endpoint)
        for _ in range(2):
            with announced(tmp_path, two, "module", tmp_path / "job"):
                waiting.look()
                waiting.look()
    assert joined == [("module", tmp_path / "job", Nodes(count=2, endpoint=endpoint, rank=1))] * 2


def test_another_node_outlives_a_training_that_fails(tmp_path, joined, monkeypatch, caplog):
    def failing(*_given, **_named):
        raise TrainingFailed("the first node was killed")

    monkeypatch.setattr(nodes, "launch", failing)
    with (
        caplog.at_level(logging.WARNING),
        listening() as endpoint,
        announced(tmp_path, Nodes(count=2, endpoint=endpoint), "module", tmp_path / "job"),
    ):
        Waiting(tmp_path).look()
    assert "the first node was killed" in caplog.text


def test_the_note_of_a_killed_night_calls_nobody(tmp_path, joined, caplog):
    with caplog.at_level(logging.INFO), bound() as (_, endpoint):
        command = [sys.executable, "-c", KILLED, str(tmp_path), endpoint]
        assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
        assert announcement(tmp_path) is not None
        waiting = Waiting(tmp_path)
        for _ in range(3):
            waiting.look()
    assert joined == []
    (told,) = [record.message for record in caplog.records]
    assert f"nothing answers at {endpoint}" in told
    assert "killed" in told


def test_a_training_that_begins_to_listen_is_joined(tmp_path, joined):
    waiting = Waiting(tmp_path)
    with (
        bound() as (server, endpoint),
        announced(tmp_path, Nodes(count=2, endpoint=endpoint), "module", tmp_path / "job"),
    ):
        waiting.look()
        assert joined == []
        server.listen()
        waiting.look()
    assert len(joined) == 1


@pytest.mark.parametrize("endpoint", ["a..b:1", "no-port"])
def test_what_is_no_address_ends_no_waiting_machine(tmp_path, joined, caplog, endpoint):
    with (
        caplog.at_level(logging.INFO),
        announced(tmp_path, Nodes(count=2, endpoint=endpoint), "module", tmp_path / "job"),
    ):
        Waiting(tmp_path).look()
    assert joined == []
    assert f"nothing answers at {endpoint}" in caplog.text


def test_a_training_that_takes_the_place_of_a_killed_one_is_not_mistaken_for_it(
    tmp_path, joined, monkeypatch
):
    """The old note was read when the new training answered."""
    waiting, two = Waiting(tmp_path), Nodes(count=2, endpoint="first:29500")
    with contextlib.ExitStack() as running:
        running.enter_context(announced(tmp_path, two, "module", tmp_path / "old"))
        new = [announced(tmp_path, two, "module", tmp_path / "new")]

        def now_another(_endpoint):
            while new:
                running.enter_context(new.pop())
            return True

        monkeypatch.setattr(nodes, "answers", now_another)
        waiting.look()
        assert joined == []
        waiting.look()
    assert [folder for _, folder, _ in joined] == [tmp_path / "new"]


def test_a_machine_says_once_why_it_waits(tmp_path, joined, caplog):
    waiting = Waiting(tmp_path)
    with caplog.at_level(logging.INFO), listening() as endpoint:
        waiting.look()
        waiting.look()
        with announced(tmp_path, Nodes(count=2, endpoint=endpoint), "module", tmp_path / "job"):
            waiting.look()
            waiting.look()
            waiting.look()
    told = [record.message.split(f" {tmp_path}")[0] for record in caplog.records]
    assert told == [
        "waiting: no training is announced in",
        "joining",
        "waiting: this machine took part in the training of",
    ]


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
    other = subprocess.Popen([sys.executable, "-c", OTHER, str(tmp_path)], cwd=ROOT)
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
    assert announcement(tmp_path) is None


def test_processes_of_two_trainings_end_before_they_begin(tmp_path, monkeypatch):
    class Strangers(Processes):
        def gathered(self, number):
            return [number, number + 1]

    folder, _ = job(tmp_path / "job", tiny_encoder(tmp_path / "tiny", words=text_shop.WORDS), steps=1)
    monkeypatch.setattr(Processes, "join", lambda *_: Strangers(world=2))
    monkeypatch.setattr(finetune, "fit_encoder", lambda *_: pytest.fail("it began"))
    with pytest.raises(TrainingFailed, match=f"{folder}: give each shop an encoder.rendezvous of its own"):
        finetune.main(folder)


@pytest.mark.slow
def test_a_note_left_behind_sends_no_machine_through_the_training_of_another_shop(tmp_path, monkeypatch):
    base = tiny_encoder(tmp_path / "tiny", words=text_shop.WORDS)
    killed, _ = job(tmp_path / "killed", base, steps=5)
    living, _ = job(tmp_path / "living", base, steps=6)
    two = Nodes(count=2, endpoint=f"127.0.0.1:{free_port()}")
    monkeypatch.setenv("NODE_RANK", "1")
    with announced(tmp_path, two, finetune.__name__, killed):
        other = subprocess.Popen([sys.executable, "-c", OTHER, str(tmp_path)], cwd=ROOT)
        try:
            with pytest.raises(TrainingFailed, match=r"encoder\.rendezvous of its own"):
                launch.launch(finetune.__name__, living, 1, two)
            assert other.wait(300) == 0
        finally:
            other.kill()
            other.wait()
    assert not (living / job_folder.REPORT).exists()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number
