"""Commands that make, fill and tidy the lake."""

from typing import Annotated

import typer

from recsys_tasks.cli.output import say
from recsys_tasks.cli.progress import bar


def init() -> None:
    """Create the lake's tables and bring the serving database to the newest schema; harmless to repeat."""
    from recsys_tasks.steps.init import init_shop

    say(init_shop())


def ingest(
    first: Annotated[str, typer.Argument(help="First day, YYYY-MM-DD.")],
    last: Annotated[str, typer.Argument(help="Last day, included.")],
) -> None:
    """Load the log of a range of days, and the catalogue as of its last day, into the lake."""
    from recsys_tasks.steps.ingest import months, run_range, summed

    parts = months(first, last)
    loaded = []
    with bar(len(parts)) as shown:
        for part in parts:
            shown.begin(f"ingest {part[0]} to {part[1]}")
            loaded.append(run_range(*part, catalogue=part is parts[-1]))
    say(summed(loaded))


def vacuum() -> None:
    """Delete what was replaced in the lake longer ago than lake.replay_days."""
    from recsys_tasks.steps.vacuum import vacuum_lake

    say(vacuum_lake())
