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
    return (
        f"generation {live['generation']} of night {live['night']}: {live['users']:,} shoppers, {live['rows']:,} rows, "
        f"{live['fallback_share'] or 0:.1%} of them fallback, made by {live['model']}"
    )


def _row(night: Facts) -> list[str]:
    decision = night["decision"]
    counts = ["" if night[name] is None else f"{night[name]:,}" for name in ("events", "rejected", "pairs")]
    return [night["night"], night["state"], *counts, decision["why"] if decision else ""]
