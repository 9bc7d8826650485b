"""Commands about what the shop's readers see, and back to what they saw before."""

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from recsys_tasks.cli.arguments import AsJson
from recsys_tasks.cli.output import page, say, tell
from recsys_tasks.errors import MissingArtefact

if TYPE_CHECKING:
    from recsys_tasks.steps.job import Job


def status(as_json: AsJson = False) -> None:
    """What is live, and how each night went."""
    from recsys_tasks.steps.status import status as status_of
    from recsys_tasks.steps.status_page import print_status

    tell(status_of(), print_status, as_json=as_json)


def show(
    user: Annotated[str, typer.Argument(help="user_id, as in the log.")],
    last: Annotated[int, typer.Option(min=1, help="How many events of the history.")] = 20,
) -> None:
    """One shopper: history left, live list right."""
    from recsys_tasks.steps.show import shopper
    from recsys_tasks.steps.show_page import print_shopper

    print_shopper(page(), shopper(_live_job(), user, last))


def generations(as_json: AsJson = False) -> None:
    """Every generation of lists: night, model, rows, audit figures, which one is live."""
    from recsys_tasks.steps.generations import generations as known
    from recsys_tasks.steps.generations_page import print_generations

    tell(known(), print_generations, as_json=as_json)


def rollback(
    why: Annotated[str, typer.Option(help="A sentence that is kept with the move; 3 to 200 characters.")],
    to: Annotated[int | None, typer.Option(help="Generation; else the one before the live one.")] = None,
) -> None:
    """Put an earlier generation live again; its model is the champion again."""
    from recsys_tasks.steps.rollback import roll_back

    say(roll_back(to=to, why=why, who=_who()))


def _live_job() -> "Job":
    from recsys_tasks.steps.job import open_job
    from recsys_tasks.steps.status import status as status_of

    live = status_of()["live"]
    if live is None:
        raise MissingArtefact("nothing is live yet: run a night first")
    return open_job(live["night"])


def _who() -> str:
    """The person at the command line."""
    try:
        return f"{getpass.getuser()} (command line)"
    except (KeyError, OSError):
        return "command line"
