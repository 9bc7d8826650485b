"""The rows of a JSON as tables people read."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.metrics import COVERAGE, GINI, METRICS
from benchmarks.results import REFERENCES, SPLIT, Row

WIDTH = 170
LEADS = ("NDCG@10", "Recall@20")


class Rows:
    """Rows found by what they say."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows = list(rows)
        self._by_key = {(row["system"], row["split"], row["slice"], row["metric"]): row for row in self.rows}

    def find(self, system: str, split: str, name: str, metric: str) -> Row | None:
        return self._by_key.get((system, split, name, metric))

    def systems(self) -> list[str]:
        return list(dict.fromkeys(row["system"] for row in self.rows if row["against"] is None))

    def slices(self, target: str) -> list[str]:
        return list(dict.fromkeys(row["slice"] for row in self.rows if row["target"] == target))

    def splits(self, horizon: int) -> list[str]:
        found = {row["split"]: row for row in self.rows if row["horizon"] == horizon}
        return sorted(found, key=lambda split: (found[split]["cut"] != "pooled", split))

    def targets(self) -> list[str]:
        return list(dict.fromkeys(row["target"] for row in self.rows))

    def longest(self) -> int:
        return max(int(row["horizon"]) for row in self.rows)


def show(rows: Iterable[Row], console: Console | None = None) -> None:
    """Print every target's table, the leads of ours, and NDCG@10 by slice: pooled over the cuts, longest horizon."""
    told, console = Rows(rows), console or Console(width=WIDTH)
    for target in told.targets():
        console.print(overview(told, target))
        for reference in REFERENCES:
            if reference in told.systems():
                console.print(leads(told, target, reference))
        console.print(by_slice(told, target))


def overview(told: Rows, target: str) -> Table:
    table = Table(
        title=f'"{target}", {told.longest()} days behind the cuts, all cuts pooled (95 % interval of NDCG@10)'
    )
    columns = [*METRICS, COVERAGE, GINI]
    _head(table, ["system", *columns, "interval", "s", "MB"])
    for system in told.systems():
        found = [told.find(system, SPLIT, target, metric) for metric in columns]
        ndcg = told.find(system, SPLIT, target, "NDCG@10")
        if ndcg is not None:
            cells = [_number(row) for row in found]
            interval = f"{ndcg['ci_low']:.4f} to {ndcg['ci_high']:.4f}"
            table.add_row(system, *cells, interval, f"{ndcg['seconds']:.0f}", f"{ndcg['peak_mb']:.0f}")
    return table


def leads(told: Rows, target: str, reference: str) -> Table:
    """How far the reference is ahead: pooled, and at each cut."""
    splits = told.splits(told.longest())
    # A single cut is the pool itself.
    splits = splits[:1] if len(splits) == 2 else splits
    table = Table(title=f'{reference} ahead of ..., "{target}" (* the interval excludes 0)')
    _head(table, ["of", *(f"{metric} {_short(split)}" for metric in LEADS for split in splits)])
    for other in told.systems():
        found = [
            told.find(f"{reference} - {other}", split, target, metric) for metric in LEADS for split in splits
        ]
        if any(found):
            table.add_row(other, *map(_lead, found))
    return table


def by_slice(told: Rows, target: str, metric: str = "NDCG@10") -> Table:
    names = told.slices(target)
    table = Table(title=f'{metric} by slice of "{target}"')
    _head(table, ["system", *(name.partition("/")[2] or name for name in names)])
    for system in told.systems():
        table.add_row(system, *(_number(told.find(system, SPLIT, name, metric)) for name in names))
    users = [told.find(told.systems()[0], SPLIT, name, metric) for name in names]
    table.add_row("shoppers", *("" if row is None else str(row["users"]) for row in users))
    return table


COLD_SLICES = (
    ("cold among cold", "Recall@50"),
    ("cold among all", "Recall@50"),
    ("new", "NDCG@10"),
    ("all", "NDCG@10"),
)
COLD_SHARES = ("share of impressions@10", "share of hits@10", "share of offer", "share of taken")


def cold(rows: Iterable[Row], console: Console | None = None) -> None:
    """Print what ``cold_items`` found: recall of the fold with intervals, the lead of the tower, and the shares."""
    told, console = Rows(rows), console or Console(width=WIDTH)
    recalls = Table(title="items without history: value [95 % interval]")
    _head(recalls, ["system", *(f"{name}: {metric}" for name, metric in COLD_SLICES)])
    lead = Table(title="ours-tower ahead of ... (* the interval excludes 0)")
    _head(lead, ["of", *(f"{name}: {metric}" for name, metric in COLD_SLICES)])
    part = Table(title="the fold's share, in lists that leave out what is known / in all lists")
    _head(part, ["system", *COLD_SHARES])
    for system in told.systems():
        recalls.add_row(system, *(_ranged(told.find(system, SPLIT, *of)) for of in COLD_SLICES))
        lead.add_row(system, *(_lead(told.find(f"ours-tower - {system}", SPLIT, *of)) for of in COLD_SLICES))
        cells = [
            [_number(told.find(system, SPLIT, name, share)) for name in ("new", "all")]
            for share in COLD_SHARES
        ]
        part.add_row(system, *(" / ".join(cell) for cell in cells))
    for table in (recalls, lead, part):
        console.print(table)


def _ranged(row: Row | None) -> str:
    return "" if row is None else f"{row['value']:.4f} [{row['ci_low']:.4f}, {row['ci_high']:.4f}]"


def _head(table: Table, names: Sequence[str]) -> None:
    table.add_column(names[0], no_wrap=True)
    for name in names[1:]:
        table.add_column(name, justify="right")


def _short(split: str) -> str:
    return split.removeprefix(SPLIT).strip("/") or "pooled"


def _number(row: Row | None) -> str:
    return "" if row is None else f"{row['value']:.4f}"


def _lead(row: Row | None) -> str:
    if row is None:
        return ""
    half = (row["ci_high"] - row["ci_low"]) / 2
    sure = "*" if row["ci_low"] > 0 or row["ci_high"] < 0 else ""
    return f"{row['value']:+.4f} ±{half:.4f}{sure}"
