"""How the report of the purchase classifier reads."""

from rich.console import Console
from rich.table import Table

from recsys_tasks.evaluate.classification import FIGURES
from recsys_tasks.model.purchase import LABELS
from recsys_tasks.workspace import Facts

TITLES = {"all": "everything the shopper took", "new": "new to the shopper"}


def print_classifier(console: Console, facts: Facts) -> None:
    """What it learned from, then a table a slice: a row a class, and the ranking figures beside popularity's."""
    if not facts["fitted"]:
        console.print(f"no classifier: {facts['why']}", highlight=False)
        return
    console.print(
        f"{facts['artefact']}: learned from {facts['pairs']:,} pairs ({facts['positives']:,} purchased) of "
        f"{facts['cut'][:10]} to {facts['until'][:10]}, loss {facts['loss_first']:.3f} to {facts['loss_last']:.3f} in "
        f"{facts['steps']} steps; asked about {facts['window'][0][:10]} to {facts['window'][1][:10]}",
        highlight=False,
    )
    for name, figures in facts["slices"].items():
        console.print(_classes(TITLES[name], figures))
        console.print(_ranking(figures))


def _classes(title: str, figures: Facts) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("class")
    for name in (*FIGURES, "support"):
        table.add_column(name, justify="right")
    for label in LABELS:
        row = figures["classes"][label]
        table.add_row(label, *(f"{row[name]:.3f}" for name in FIGURES), f"{row['support']:,}")
    return table


def _ranking(figures: Facts) -> Table:
    table = Table()
    table.add_column("ranked by")
    for name in ("average precision", "ROC AUC"):
        table.add_column(name, justify="right")
    for system, row in (("the classifier", figures), ("buyers of 28 days", figures["popular"])):
        table.add_row(system, _number(row["average_precision"]), _number(row["roc_auc"]))
    table.add_row("chance", _number(figures["positive_share"]), _number(0.5))
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
