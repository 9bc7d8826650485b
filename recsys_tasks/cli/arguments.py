"""Arguments and options that several commands take."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recsys_tasks.steps.job import Options


class Start(StrEnum):
    """``Options.start``, as typer reads a choice."""

    warm = "warm"
    scratch = "scratch"


NightArgument = Annotated[str, typer.Argument(help="Business date in the shop's zone, YYYY-MM-DD.")]
TopK = Annotated[int | None, typer.Option(min=1, max=500, help="Length of a list, for this run.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Load and audit the lists, but leave the live ones.")]
StartOption = Annotated[Start, typer.Option(help="From the newest accepted model, or from scratch.")]
AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]


def options_of(
    *, from_step: str | None = None, top_k: int | None = None, dry_run: bool, start: Start
) -> "Options":
    """What the operator chose, as the steps take it; raises SettingsError for a ``from_step`` that is none."""
    from recsys_tasks.steps.job import Options

    return Options(
        from_step=from_step.replace("-", "_") if from_step else None,
        top_k=top_k,
        publish="dry_run" if dry_run else "live",
        start=start.value,
        run_id="command-line",
    )
