"""Commands that make nights, tonight's and past ones, and score them."""

from typing import Annotated

import typer

from recsys_tasks.cli.arguments import AsJson, DryRun, NightArgument, Start, StartOption, TopK, options_of
from recsys_tasks.cli.output import errors, say
from recsys_tasks.cli.pages import print_night, tell_walk
from recsys_tasks.cli.progress import bar
from recsys_tasks.steps import NIGHT_STEPS


def night(
    night: NightArgument,
    from_step: Annotated[
        str | None, typer.Option(help="Use what earlier steps made; run from this one on.")
    ] = None,
    top_k: TopK = None,
    dry_run: DryRun = False,
    start: StartOption = Start.warm,
) -> None:
    """Run every step of one night."""
    options = options_of(from_step=from_step, top_k=top_k, dry_run=dry_run, start=start)
    from recsys_tasks.steps.runner import night_alone, run_step

    with night_alone(night), bar(len(NIGHT_STEPS)) as shown:
        for step in NIGHT_STEPS:
            shown.begin(step)
            run_step(step, night, options, alone=True)
    print_night(night)


def backfill(
    first: Annotated[str, typer.Argument(help="First night, YYYY-MM-DD.")],
    last: Annotated[str, typer.Argument(help="Last night, included.")],
    start: StartOption = Start.warm,
    as_json: AsJson = False,
) -> None:
    """Make past nights in order and measure them on the days after each; live lists stay as they are."""
    options = options_of(dry_run=True, start=start)
    from recsys_tasks.steps.backfill import backfill_night, measure_what_can_be, nights_between

    nights = nights_between(first, last)
    with bar(len(nights)) as shown:
        for one in nights:
            shown.begin(one)
            for step in backfill_night(one, options):
                shown.name(f"{one} {step}")
    waiting = measure_what_can_be(nights)
    if waiting:
        errors.print(f"not measured yet (no lists, or the days after are not loaded): {', '.join(waiting)}")
    tell_walk(first, last, as_json=as_json)


def measure(night: NightArgument) -> None:
    """Score a night's lists on the days that followed it."""
    from recsys_tasks.steps.runner import run_step

    say(run_step("measure", night))


def replay(
    night: NightArgument,
    lists: Annotated[
        str | None, typer.Option(help="Fingerprint of the lists meant; else the current.")
    ] = None,
) -> None:
    """Make a night again from what the lake held then; exit code 1 where it comes out otherwise."""
    from recsys_tasks.steps.pin import PINNED
    from recsys_tasks.steps.replay import replay as replay_night

    with bar(len(PINNED)) as shown:
        facts = replay_night(night, lists, on_step=shown.begin)
    say(facts)
    if not facts["identical"]:
        raise typer.Exit(1)
