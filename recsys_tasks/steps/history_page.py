"""How the walk forward, the stale nights and the audit of a night read."""

from rich.console import Console
from rich.table import Table

from recsys_tasks.evaluate.gate import POPULAR, REPEAT
from recsys_tasks.steps.history import METRICS, SLICES, SYSTEMS
from recsys_tasks.workspace import Facts

SHORT = {POPULAR: "popular", REPEAT: "repeat"}
TITLES = {"all": "everything the shopper took", "new": "new to the shopper"}


def print_walk(console: Console, facts: Facts) -> None:
    """A table a slice: a row a night, what its lists scored on the days after it, and the plain rules beside it."""
    if not facts["nights"]:
        console.print("no night is measured yet: run measure for a night whose following days are loaded")
    for part in SLICES if facts["nights"] else ():
        table = Table(title=f"{TITLES[part]}, on the days after the night", title_justify="left")
        for name in ("night", "gate", "lists by"):
            table.add_column(name, no_wrap=True)
        for metric in METRICS:
            for system in SYSTEMS:
                table.add_column(f"{metric}\n{SHORT.get(system, system)}", justify="right")
        for night in facts["nights"]:
            said = "accepted" if night["accepted"] else "refused"
            table.add_row(night["night"], said, night["made_by"], *_figures(night["scores"][part]))
        table.add_section()
        table.add_row("mean", "", "", *_figures(facts["mean"][part]))
        console.print(table)


def _figures(scores: Facts) -> list[str]:
    return [_number(scores[system][metric]) for metric in METRICS for system in SYSTEMS]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def print_stale(console: Console, nights: list[Facts]) -> None:
    """A row a night, and what redoing all of them would cost."""
    if not nights:
        console.print("every night was made from what the lake says now")
        return
    table = Table()
    for name in ("night", "changed", "made again", "seconds"):
        table.add_column(name, justify="right" if name == "seconds" else "left")
    for night in nights:
        seconds = "" if night["seconds"] is None else f"{night['seconds']:,.0f}"
        table.add_row(night["night"], _changed(night), ", ".join(night["remade"]), seconds)
    console.print(table)
    total = sum(night["seconds"] or 0 for night in nights)
    number = "1 night" if len(nights) == 1 else f"{len(nights)} nights"
    console.print(f"{number}, {total:,.0f} seconds as their steps took last time", highlight=False)


def _changed(night: Facts) -> str:
    days, more = night["days"][:3], len(night["days"]) - 3
    told = ", ".join(days) + (f" and {more} more days" if more > 0 else "")
    return "; ".join(filter(None, [told, "catalogue" if night["catalogue"] else ""]))


def print_audit(console: Console, facts: Facts) -> None:
    """A row a rule: nothing found, or how much, with an example."""
    table = Table(title=f"night {facts['night']}, the lake as {facts['lake']}", title_justify="left")
    for name in ("rule", "found", "for example"):
        table.add_column(name, justify="right" if name == "found" else "left")
    for rule, findings in facts["rules"].items():
        if not findings:
            table.add_row(rule.replace("_", " "), "0", "")
        for finding in findings:
            table.add_row(finding["what"], f"{finding['count']:,}", finding["example"])
    console.print(table)
