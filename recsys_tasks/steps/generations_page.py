"""How the generations of lists read."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recsys_tasks.workspace import Facts

LEFT = ("", "generation", "night", "state", "model")
RIGHT = ("rows", "shoppers", "short", "churn", "coverage", "fallback")


def print_generations(console: Console, facts: list[Facts]) -> None:
    """A row a generation, newest first, the live one marked; below, what was said of those that are not live."""
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
        if generation["said"]:
            line = f"generation {generation['generation']}: {generation['said']}"
            console.print(line, markup=False, highlight=False)


def _row(facts: Facts) -> list[str]:
    audit = facts["audit"]
    return [
        "live" if facts["live"] else "",
        str(facts["generation"]),
        facts["night"],
        facts["state"],
        facts["model"],
        f"{facts['rows']:,}",
        f"{facts['users']:,}",
        f"{audit.get('short', 0):,}",
        *map(_share, (audit.get("churn"), audit.get("coverage"), facts["fallback_share"])),
    ]


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"
