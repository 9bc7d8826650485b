"""How the generations of lists read."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recsys_tasks.workspace import Facts

LEFT = ("", "generation", "night", "state", "model")
RIGHT = ("rows", "shoppers", "short", "churn", "coverage", "fallback")


def print_generations(console: Console, facts: list[Facts]) -> None:
    """A row a generation, newest first, the live one marked; below, who put each live, when and why."""
    if not facts:
        console.print("no lists yet: run a night", markup=False, highlight=False)
        return
    table = Table()
    for name in LEFT:
        table.add_column(name)
    for name in RIGHT:
        table.add_column(name, justify="right")
    for generation in facts:
        table.add_row(*map(Text, _row(generation)))
    console.print(table)
    for generation in facts:
        for line in _history(generation):
            told = f"generation {generation['generation']}: {line}"
            console.print(told, markup=False, highlight=False, soft_wrap=True)


def _history(facts: Facts) -> Iterator[str]:
    """Who put it live, when and why; and why it is not live, where that was said."""
    if facts["live_since"] is not None:
        when = facts["live_since"][:16].replace("T", " ")
        is_live = "live since" if facts["live"] else "went live"
        yield f"{is_live} {when} UTC, by {facts['live_by']}: {facts['live_why']}"
    if facts["said"]:
        yield facts["said"]


def _model(ref: str) -> str:
    """The model's night and the start of its fingerprint; a model that is no artefact has neither."""
    _, *place = ref.split("/")
    return f"{place[0]} {place[1][:6]}" if len(place) == 2 else ref


def _row(facts: Facts) -> list[str]:
    audit = facts["audit"]
    return [
        "live" if facts["live"] else "",
        str(facts["generation"]),
        facts["night"],
        facts["state"],
        _model(facts["model"]),
        f"{facts['rows']:,}",
        f"{facts['users']:,}",
        f"{audit.get('short', 0):,}",
        *map(_share, (audit.get("churn"), audit.get("coverage"), facts["fallback_share"])),
    ]


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
