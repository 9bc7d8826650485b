"""
The same steps by hand: ``python -m recsys_tasks --shop FILE COMMAND``.

Exit code 0 means done; the others are in errors.py, one per kind of trouble.
"""

import getpass
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from recsys_tasks.errors import LeakFound, MissingArtefact, RecsysError
from recsys_tasks.settings import SHOP_VARIABLE, shop_file
from recsys_tasks.steps import NIGHT_STEPS
from recsys_tasks.steps.report_page import PAGE_WIDTH
from recsys_tasks.workspace import Facts

if TYPE_CHECKING:
    from recsys_tasks.steps.job import Job, Options

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
errors = Console(stderr=True)

NightArgument = Annotated[str, typer.Argument(help="Business date in the shop's zone, YYYY-MM-DD.")]


class Start(StrEnum):
    warm = "warm"
    scratch = "scratch"


class Searched(StrEnum):
    augment = "augment"
    training = "training"


TopK = Annotated[int | None, typer.Option(min=1, max=500, help="Length of a list, for this run.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Load and audit the lists, but leave the live ones.")]
StartOption = Annotated[Start, typer.Option(help="From the newest accepted model, or from scratch.")]


@app.callback()
def shop(
    shop: Annotated[Path | None, typer.Option(help=f"The shop.yaml; else {SHOP_VARIABLE} names it.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Every log line.")] = False,
) -> None:
    logging.basicConfig(format="%(message)s", handlers=[RichHandler(console=errors, show_path=False)])
    logging.getLogger("recsys_tasks").setLevel(logging.INFO if verbose else logging.WARNING)
    # Steps and the processes they launch read the shop from the environment, as they do in Airflow.
    os.environ[SHOP_VARIABLE] = str(shop_file(shop))


@app.command()
def init() -> None:
    """Create the lake's tables and bring the serving database to the newest schema; harmless to repeat."""
    from recsys_tasks.steps.init import init_shop

    _say(init_shop())


@app.command()
def ingest(
    first: Annotated[str, typer.Argument(help="First day, YYYY-MM-DD.")],
    last: Annotated[str, typer.Argument(help="Last day, included.")],
) -> None:
    """Load the log of a range of days, and the catalogue as of its last day, into the lake."""
    from recsys_tasks.steps.ingest import months, run_range, summed

    parts = months(first, last)
    loaded = [
        run_range(*part, catalogue=part is parts[-1])
        for part in _tracked(parts, lambda part: f"ingest {part[0]} to {part[1]}")
    ]
    _say(summed(loaded))


@app.command()
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
    options = _options(from_step=from_step, top_k=top_k, dry_run=dry_run, start=start)
    from recsys_tasks.steps.runner import night_alone, run_step

    with night_alone(night):
        for step in _tracked(list(NIGHT_STEPS), str):
            run_step(step, night, options, alone=True)
    _print_page(night)


@app.command()
def backfill(
    first: Annotated[str, typer.Argument(help="First night, YYYY-MM-DD.")],
    last: Annotated[str, typer.Argument(help="Last night, included.")],
    start: StartOption = Start.warm,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Make past nights in order and measure them on the days after each; live lists stay as they are."""
    options = _options(from_step=None, top_k=None, dry_run=True, start=start)
    from recsys_tasks.steps.backfill import backfill_night, measure_what_can_be, nights_between

    nights = nights_between(first, last)
    with _progress() as progress:
        bar = progress.add_task("", total=len(nights))
        for one in nights:
            for step in backfill_night(one, options):
                progress.update(bar, description=f"{one} {step}")
            progress.advance(bar)
    waiting = measure_what_can_be(nights)
    if waiting:
        errors.print(f"not measured yet (no lists, or the days after are not loaded): {', '.join(waiting)}")
    _print_walk(first, last, as_json=as_json)


@app.command()
def history(
    first: Annotated[str | None, typer.Argument(help="First night; else all.")] = None,
    last: Annotated[str | None, typer.Argument(help="Last night, included.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """The walk forward: how each measured night's lists did on the days that followed it."""
    _print_walk(first, last, as_json=as_json)


@app.command()
def stale(as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False) -> None:
    """Nights whose inputs changed since they were made, and what making them again would cost."""
    from recsys_tasks.steps.history_page import print_stale
    from recsys_tasks.steps.stale import stale as stale_nights

    found = stale_nights()
    if as_json:
        _say({"nights": found})
    else:
        print_stale(page(), found)


@app.command()
def replay(
    night: NightArgument,
    lists: Annotated[
        str | None, typer.Option(help="Fingerprint of the lists meant; else the current.")
    ] = None,
) -> None:
    """Make a night again from what the lake held then; exit code 1 where it comes out otherwise."""
    from recsys_tasks.steps.replay import replay as replay_night

    facts = replay_night(night, lists)
    _say(facts)
    if not facts["identical"]:
        raise typer.Exit(1)


@app.command()
def audit(
    night: NightArgument,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Look for the future in everything stored for a night; exit code 3 where there is any."""
    from recsys_tasks.steps.audit_stored import audit_night
    from recsys_tasks.steps.history_page import print_audit

    facts = audit_night(night)
    if as_json:
        _say(facts)
    else:
        print_audit(page(), facts)
    if not facts["clean"]:
        raise typer.Exit(LeakFound.exit_code)


@app.command()
def vacuum() -> None:
    """Delete what was replaced in the lake longer ago than lake.replay_days."""
    from recsys_tasks.steps.vacuum import vacuum_lake

    _say(vacuum_lake())


@app.command()
def search(
    night: NightArgument,
    trials: Annotated[int, typer.Option(min=1, help="In all, those of earlier calls included.")] = 20,
    what: Annotated[
        Searched, typer.Option(help="Policies of views, or how the encoder learns.")
    ] = Searched.augment,
) -> None:
    """Search encoder settings on days the encoder gate never asks about; carries on where it was stopped."""
    from recsys_tasks.steps.job import open_job
    from recsys_tasks.steps.search import run

    _say(run(open_job(night), what.value, trials))


@app.command()
def measure(night: NightArgument) -> None:
    """Score a night's lists on the days that followed it."""
    from recsys_tasks.steps.runner import run_step

    _say(run_step("measure", night))


@app.command()
def classify(
    night: NightArgument,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Fit the purchase classifier as of a night, and its report on the days it never saw."""
    from recsys_tasks.steps.classify_page import print_classifier
    from recsys_tasks.steps.runner import run_step

    facts = run_step("classify", night)
    if as_json:
        _say(facts)
    else:
        print_classifier(page(), facts)


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False) -> None:
    """What is live, and how each night went."""
    from recsys_tasks.steps.status import status as status_of
    from recsys_tasks.steps.status_page import print_status

    facts = status_of()
    if as_json:
        typer.echo(json.dumps(facts, indent=2, default=str))
    else:
        print_status(page(), facts)


@app.command()
def show(
    user: Annotated[str, typer.Argument(help="user_id, as in the log.")],
    last: Annotated[int, typer.Option(min=1, help="How many events of the history.")] = 20,
) -> None:
    """One shopper: history left, live list right."""
    from recsys_tasks.steps.show import shopper
    from recsys_tasks.steps.show_page import print_shopper

    print_shopper(page(), shopper(_live_job(), user, last))


@app.command()
def report(night: NightArgument) -> None:
    """The night on one page, and the lists of three shoppers."""
    from recsys_tasks.steps.job import open_job
    from recsys_tasks.steps.runner import run_step
    from recsys_tasks.steps.show import shopper, some_shoppers
    from recsys_tasks.steps.show_page import print_shopper

    run_step("report", night)
    _print_page(night)
    job = open_job(night)
    for user in some_shoppers(job):
        print_shopper(page(), shopper(job, user, last=12))


@app.command()
def rollback(
    why: Annotated[str, typer.Option(help="A sentence that is kept with the move; 3 to 200 characters.")],
    to: Annotated[int | None, typer.Option(help="Generation; else the one before the live one.")] = None,
) -> None:
    """Put an earlier generation live again; its model is the champion again."""
    from recsys_tasks.steps.rollback import roll_back

    _say(roll_back(to=to, why=why, who=_who()))


@app.command()
def generations(as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False) -> None:
    """Every generation of lists: night, model, rows, audit figures, which one is live."""
    from recsys_tasks.steps.generations import generations as known
    from recsys_tasks.steps.generations_page import print_generations

    facts = known()
    if as_json:
        typer.echo(json.dumps(facts, indent=2, default=str))
    else:
        print_generations(page(), facts)


def _step_command(step: str) -> Callable[..., None]:
    def command(
        night: NightArgument, top_k: TopK = None, dry_run: DryRun = False, start: StartOption = Start.warm
    ) -> None:
        from recsys_tasks.steps.runner import run_step

        _say(run_step(step, night, _options(from_step=None, top_k=top_k, dry_run=dry_run, start=start)))

    command.__doc__ = f"The step {step} alone."
    return command


for _step in NIGHT_STEPS[:-1]:  # the last one, report, has a command of its own
    app.command(_step.replace("_", "-"))(_step_command(_step))


def page() -> Console:
    """Where pages are printed: as wide as the terminal, and wide enough for the tables where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=PAGE_WIDTH)


def _print_page(night: str) -> None:
    from recsys_tasks.steps.job import open_job
    from recsys_tasks.steps.report import gather
    from recsys_tasks.steps.report_page import print_page

    print_page(page(), gather(open_job(night)))


def _print_walk(first: str | None, last: str | None, *, as_json: bool) -> None:
    from recsys_tasks.steps.history import walk_forward
    from recsys_tasks.steps.history_page import print_walk

    facts = walk_forward(first, last)
    if as_json:
        _say(facts)
    else:
        print_walk(page(), facts)


def _options(*, from_step: str | None, top_k: int | None, dry_run: bool, start: Start) -> "Options":
    from recsys_tasks.steps.job import Options

    return Options(
        from_step=from_step.replace("-", "_") if from_step else None,
        top_k=top_k,
        publish="dry_run" if dry_run else "live",
        start=start.value,
        run_id="command-line",
    )


def _live_job() -> "Job":
    from recsys_tasks.steps.job import open_job
    from recsys_tasks.steps.status import status as status_of

    live = status_of()["live"]
    if live is None:
        raise MissingArtefact("nothing is live yet: run a night first")
    return open_job(live["night"])


@contextmanager
def _progress() -> Iterator[Progress]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=errors) as progress:
        yield progress


def _tracked(parts: list[T], name: Callable[[T], str]) -> Iterator[T]:
    with _progress() as progress:
        bar = progress.add_task("", total=len(parts))
        for part in parts:
            progress.update(bar, description=name(part))
            yield part
            progress.advance(bar)


def _who() -> str:
    """The person at the command line."""
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):
        return "command line"


def _say(facts: Facts) -> None:
    typer.echo(json.dumps(facts, indent=2, default=str))


def main() -> None:
    """Run the command line; an error of ours is one line on stderr and its own exit code."""
    try:
        app()
    except RecsysError as error:
        errors.print(f"{type(error).__name__}: {error}", style="bold red", markup=False, highlight=False)
        sys.exit(error.exit_code)
