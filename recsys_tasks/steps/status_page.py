"""How the state of a shop reads."""

from rich.console import Console
from rich.table import Table

from recsys_tasks.workspace import Facts


def print_status(console: Console, facts: Facts) -> None:
    """What is live in one line, then a row a night."""
    console.print(f"database  {facts['database']}", markup=False, highlight=False)
    console.print(f"live      {_live(facts['live'])}", markup=False, highlight=False)
    table = Table()
    for name in ("night", "state", "events", "rejected", "pairs", "decision"):
        table.add_column(name)
    for night in facts["nights"]:
        table.add_row(*_row(night))
    if facts["nights"]:
        console.print(table)


def _live(live: Facts | None) -> str:
    if live is None:
        return "nothing yet: run a night"
    share = live["fallback_share"]
    fallback = "" if share is None else f" ({share:.1%} of them with the fallback list)"
    return (
        f"generation {live['generation']} of night {live['night']}: {live['users']:,} shoppers{fallback}, "
        f"{live['rows']:,} rows, made by {live['model']}"
    )


def _row(night: Facts) -> list[str]:
    counts = ["" if night[name] is None else f"{night[name]:,}" for name in ("events", "rejected", "pairs")]
    return [night["night"], night["state"], *counts, _said(night)]


def _said(night: Facts) -> str:
    """The gate's words, and those of whoever kept the lists from readers."""
    decision = night["decision"]
    said = [decision["why"] if decision else None, night["why"]]
    return "\n".join(filter(None, said))
