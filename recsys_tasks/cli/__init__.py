"""
The same steps by hand: ``python -m recsys_tasks --shop FILE COMMAND``.

Exit code 0 means done; the others are in errors.py, one per kind of trouble.
"""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.logging import RichHandler
from typer.core import TyperCommand

from recsys_tasks.cli import lake, looking_back, nights, readers, trials
from recsys_tasks.cli.one_step import STEP_COMMANDS
from recsys_tasks.cli.output import errors
from recsys_tasks.errors import RecsysError
from recsys_tasks.settings import SHOP_VARIABLE, shop_file

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

# The help page, in its order: a heading, and the commands below it. Their modules load heavy libraries when called.
COMMANDS = {
    "The lake": (lake.init, lake.ingest, lake.vacuum),
    "Nights": (nights.night, nights.backfill, nights.measure, nights.replay),
    "What readers see": (readers.status, readers.show, readers.generations, readers.rollback),
    "Looking back": (looking_back.report, looking_back.history, looking_back.stale, looking_back.audit),
    "Trials": (trials.search, trials.classify),
    "One step of a night": STEP_COMMANDS,
}


class OfAShop(TyperCommand):
    """A command that looks for the shop when it runs: its own ``--help`` needs none."""

    # Typer names its own class of contexts in public, and its base in private only.
    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        # Steps and the processes they launch read the shop from the environment, as they do in Airflow.
        os.environ[SHOP_VARIABLE] = str(shop_file(ctx.obj))
        return super().invoke(ctx)


for _heading, _commands in COMMANDS.items():
    for _command in _commands:
        app.command(cls=OfAShop, rich_help_panel=_heading)(_command)


@app.callback()
def shop(
    context: typer.Context,
    shop: Annotated[Path | None, typer.Option(help=f"The shop.yaml; else {SHOP_VARIABLE} names it.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Every log line.")] = False,
) -> None:
    logging.basicConfig(format="%(message)s", handlers=[RichHandler(console=errors, show_path=False)])
    logging.getLogger("recsys_tasks").setLevel(logging.INFO if verbose else logging.WARNING)
    context.obj = shop


def main() -> None:
    """Run the command line; an error of ours is one line on stderr and its own exit code."""
    try:
        app()
    except RecsysError as error:
        errors.print(f"{type(error).__name__}: {error}", style="bold red", markup=False, highlight=False)
        sys.exit(error.exit_code)
