"""Where a command's words go: what it was asked for to stdout, all else to stderr."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from rich.console import Console

T = TypeVar("T")

errors = Console(stderr=True)


def say(facts: Any) -> None:
    """Print facts as JSON."""
    typer.echo(json.dumps(facts, indent=2, default=str))


def page() -> Console:
    """Where pages are printed: as wide as the terminal, and wide enough for the tables where there is none."""
    from recsys_tasks.steps.report_page import PAGE_WIDTH

    console = Console()
    return console if console.is_terminal else Console(width=PAGE_WIDTH)


def tell(facts: T, print_page: Callable[[Console, T], None], *, as_json: bool) -> None:
    """Facts for whoever asked: a page for a person, JSON for a script."""
    if as_json:
        say(facts)
    else:
        print_page(page(), facts)
