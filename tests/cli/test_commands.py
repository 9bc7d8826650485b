"""What the help page lists, and how an error ends."""

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


def test_an_error_of_ours_is_one_line_and_its_own_exit_code(monkeypatch, capsys):
    monkeypatch.setenv("RECSYS_SHOP", "/nowhere/shop.yaml")
    monkeypatch.setattr(sys, "argv", ["recsys_tasks", "status"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == SettingsError.exit_code
    out, told = capsys.readouterr()
    assert (out, told.splitlines()) == ("", ["SettingsError: no such shop file: /nowhere/shop.yaml"])
