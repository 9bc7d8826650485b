"""Commands that look at nights that were made; ``report`` notes what it found, and nothing else is changed."""

from typing import Annotated

import typer

from recsys_tasks.cli.arguments import AsJson, NightArgument
from recsys_tasks.cli.output import page, say, tell
from recsys_tasks.cli.pages import print_night, tell_walk
from recsys_tasks.errors import LeakFound


def report(night: NightArgument) -> None:
    """The night on one page, and the lists of three shoppers."""
    from recsys_tasks.steps.job import open_job
    from recsys_tasks.steps.runner import run_step
    from recsys_tasks.steps.show import shopper, some_shoppers
    from recsys_tasks.steps.show_page import print_shopper

    run_step("report", night)
    print_night(night)
    job = open_job(night)
    for user in some_shoppers(job):
        print_shopper(page(), shopper(job, user, last=12))


def history(
    first: Annotated[str | None, typer.Argument(help="First night; else all.")] = None,
    last: Annotated[str | None, typer.Argument(help="Last night, included.")] = None,
    as_json: AsJson = False,
) -> None:
    """The walk forward: how each measured night's lists did on the days that followed it."""
    tell_walk(first, last, as_json=as_json)


def stale(as_json: AsJson = False) -> None:
    """Nights whose inputs changed since they were made, and what making them again would cost."""
    from recsys_tasks.steps.history_page import print_stale
    from recsys_tasks.steps.stale import stale as stale_nights

    found = stale_nights()
    if as_json:
        say({"nights": found})
    else:
        print_stale(page(), found)


def audit(night: NightArgument, as_json: AsJson = False) -> None:
    """Look for the future in everything stored for a night; exit code 3 where there is any."""
    from recsys_tasks.steps.audit_stored import audit_night
    from recsys_tasks.steps.history_page import print_audit

    facts = audit_night(night)
    tell(facts, print_audit, as_json=as_json)
    if not facts["clean"]:
        raise typer.Exit(LeakFound.exit_code)
