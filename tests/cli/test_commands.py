"""What the help page lists, and how an error ends."""

import os
import sys

import pytest
from typer.main import get_command

from recsys_tasks.cli import COMMANDS, app, main
from recsys_tasks.errors import SettingsError
from recsys_tasks.steps import NIGHT_STEPS

LISTED = get_command(app).commands


def test_every_step_of_a_night_is_a_command():
    assert {step.replace("_", "-") for step in NIGHT_STEPS} <= LISTED.keys()


def test_commands_stand_on_the_help_page_in_the_tables_order():
    told = [command.__name__.replace("_", "-") for commands in COMMANDS.values() for command in commands]
    assert list(LISTED) == told
    panels = [command.rich_help_panel for command in LISTED.values()]
    assert list(dict.fromkeys(panels)) == list(COMMANDS)


@pytest.mark.parametrize("name", LISTED)
def test_every_command_says_in_a_sentence_what_it_does(name):
    assert LISTED[name].help.endswith("."), name
    assert LISTED[name].help.splitlines()[0] == LISTED[name].help


@pytest.mark.parametrize("name", LISTED)
def test_the_help_of_a_command_needs_no_shop(name, monkeypatch, capsys):
    monkeypatch.delenv("RECSYS_SHOP", raising=False)
    monkeypatch.setattr(sys, "argv", ["recsys_tasks", name, "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert LISTED[name].help in " ".join(capsys.readouterr().out.split())


def test_a_command_that_runs_needs_one(monkeypatch, capsys):
    monkeypatch.delenv("RECSYS_SHOP", raising=False)
    monkeypatch.setattr(sys, "argv", ["recsys_tasks", "status"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == SettingsError.exit_code
    assert "SettingsError: no shop: give --shop FILE" in " ".join(capsys.readouterr().err.split())


def test_a_command_finds_the_shop_of_the_option_before_it(monkeypatch, tmp_path):
    file, found = tmp_path / "shop.yaml", []
    file.touch()
    monkeypatch.setenv("RECSYS_SHOP", "/nowhere/shop.yaml")
    monkeypatch.setattr(
        "recsys_tasks.steps.status.status", lambda *_: found.append(os.environ["RECSYS_SHOP"]) or {}
    )
    monkeypatch.setattr(sys, "argv", ["recsys_tasks", "--shop", str(file), "status", "--json"])
    with pytest.raises(SystemExit):
        main()
    assert found == [str(file)]


def test_an_error_of_ours_is_one_line_and_its_own_exit_code(monkeypatch, capsys):
    monkeypatch.setenv("RECSYS_SHOP", "/nowhere/shop.yaml")
    monkeypatch.setattr(sys, "argv", ["recsys_tasks", "status"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == SettingsError.exit_code
    out, told = capsys.readouterr()
    assert (out, told.splitlines()) == ("", ["SettingsError: no such shop file: /nowhere/shop.yaml"])
