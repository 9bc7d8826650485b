from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from recsys_tasks.cli import app
from recsys_tasks.steps import job, search


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """What a search is asked for, in the place of one."""
    (tmp_path / "shop.yaml").touch()
    # The command names the shop in the environment.
    monkeypatch.setenv("RECSYS_SHOP", str(tmp_path / "shop.yaml"))
    seen = []
    monkeypatch.setattr(job, "open_job", lambda night, **_: SimpleNamespace(night=str(night)))
    monkeypatch.setattr(
        search, "run", lambda at, what, trials: seen.append((at.night, what, trials)) or {"trials": trials}
    )
    return seen


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ("augment", 20)),
        (["--what", "training", "--trials", "7"], ("training", 7)),
        (["--what", "histories"], ("histories", 20)),
    ],
    ids=["plain", "all", "histories"],
)
def test_a_search_is_asked_for_by_night_kind_and_trials(asked, options, expected):
    result = CliRunner().invoke(app, ["search", "2026-03-01", *options])
    assert result.exit_code == 0, result.output
    assert asked == [("2026-03-01", *expected)]
    assert str(expected[1]) in result.output


def test_what_cannot_be_searched_is_no_word_of_the_command(asked):
    assert CliRunner().invoke(app, ["search", "2026-03-01", "--what", "towers"]).exit_code == 2
    assert asked == []
