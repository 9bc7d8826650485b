"""What a long command shows while it works; what it works on is shown elsewhere."""

import json

import pytest
from typer.testing import CliRunner

from recsys_tasks.cli import app
from recsys_tasks.steps import replay
from recsys_tasks.steps.pin import PINNED


@pytest.fixture
def replayed(tmp_path, monkeypatch):
    """What ``recsys replay`` says where every step takes no time."""
    (tmp_path / "shop.yaml").touch()

    def instead(night, lists, *, on_step):
        for step in PINNED:
            on_step(step)
        return {"night": night, "lists": lists, "identical": lists is None}

    monkeypatch.setattr(replay, "replay", instead)
    # The command names the shop in the environment.
    monkeypatch.setenv("RECSYS_SHOP", "")
    return lambda *given: CliRunner().invoke(app, ["--shop", str(tmp_path / "shop.yaml"), "replay", *given])


def test_a_replay_shows_the_step_it_is_at_beside_its_answer(replayed):
    done = replayed("2026-03-05")
    assert json.loads(done.stdout)["identical"]
    assert "recommend" in done.stderr
    assert f"{len(PINNED)}/{len(PINNED)}" in done.stderr
    assert done.exit_code == 0


def test_a_replay_that_comes_out_otherwise_is_told_by_the_exit_code(replayed):
    assert replayed("2026-03-05", "--lists", "595fefb8").exit_code == 1
