"""The tables of docs/quality.md: rows of a benchmark's JSON as Markdown."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

Row = dict[str, Any]

SPLIT = "test"
TIME_SPLIT_COLUMNS = ("Recall@10", "NDCG@10", "Recall@20", "Recall@50", "MAP@12", "coverage@10", "Gini@10")
NEXT_ITEM_COLUMNS = ("HR@5", "HR@10", "HR@20", "NDCG@5", "NDCG@10", "NDCG@20")
COLD_COLUMNS = (
    ("cold among cold", "Recall@50"),
    ("cold among all", "Recall@50"),
    ("new", "NDCG@10"),
    ("new", "share of impressions@10"),
    ("new", "share of hits@10"),
    ("new", "share of offer"),
    ("new", "share of taken"),
)
COMPARED = ("NDCG@10", "Recall@20")


def lists(rows: Sequence[Row], name: str, columns: Sequence[str] = TIME_SPLIT_COLUMNS) -> str:
    """A row a system, a column a metric: the pooled figures of one slice, and what they cost."""
    found = [
        row for row in rows if row["split"] == SPLIT and row["slice"] == name and row.get("against") is None
    ]
    metrics = [metric for metric in columns if any(row["metric"] == metric for row in found)]
    lines = []
    for system in dict.fromkeys(row["system"] for row in found):
        mine = {row["metric"]: row for row in found if row["system"] == system}
        cost = next(iter(mine.values()))
        lines.append([_bold(system), *(_value(mine.get(metric)) for metric in metrics), *_cost(cost)])
    return markdown(["system", *metrics, "s", "MB"], lines)


def next_item(rows: Sequence[Row], *name: str) -> str:
    return lists(rows, " ".join(name), NEXT_ITEM_COLUMNS)


def leads(rows: Sequence[Row], name: str, reference: str = "ours") -> str:
    """How far the reference is ahead of every other row: pooled over the cuts, and at the cut where it is least."""
    mine = [row for row in rows if row.get("against") and row["system"].startswith(f"{reference} - ")]
    mine = [row for row in mine if row["slice"] == name and row["horizon"] == max(r["horizon"] for r in rows)]
    head = [f"{metric} {which}" for metric in COMPARED for which in ("pooled", "at the worst cut")]
    lines = []
    for other in dict.fromkeys(row["against"] for row in mine):
        cells = []
        for metric in COMPARED:
            found = {row["split"]: row for row in mine if (row["against"], row["metric"]) == (other, metric)}
            pooled = found.pop(SPLIT, None)
            cells += [_lead(pooled), _lead(min(found.values(), key=lambda row: row["value"], default=None))]
        lines.append([other, *cells])
    return markdown([f"{reference} ahead of", *head], lines)


def parts(rows: Sequence[Row], target: str, metric: str = "NDCG@10") -> str:
    """A column a slice of the target."""
    found = [
        row for row in rows if row["split"] == SPLIT and row["metric"] == metric and not row.get("against")
    ]
    found = [row for row in found if row.get("target") == target]
    names = list(dict.fromkeys(row["slice"] for row in found))
    lines = []
    for system in dict.fromkeys(row["system"] for row in found):
        mine = {row["slice"]: row for row in found if row["system"] == system}
        lines.append([_bold(system), *(_value(mine.get(name)) for name in names)])
    users = {row["slice"]: row["users"] for row in found}
    lines.append(["shoppers", *(str(users[name]) for name in names)])
    return markdown([metric, *(name.split("/")[-1] for name in names)], lines)


def ablation(rows: Sequence[Row], name: str) -> str:
    """A row a variant: how far its lists are ahead of the night as it is; below 0 the part was worth having."""
    found = [row for row in rows if row.get("against") and row["slice"] == name]
    systems = list(dict.fromkeys(row["against"] for row in found))
    columns = [(system, metric) for system in systems for metric in COMPARED]
    lines = []
    for variant in dict.fromkeys(row["system"].rsplit(": ", 1)[0] for row in found):
        cells = {
            (row["against"], row["metric"]): row for row in found if row["system"].startswith(f"{variant}: ")
        }
        lines.append([variant, *(_lead(cells.get(column)) for column in columns)])
    return markdown(["variant", *(f"{system} {metric}" for system, metric in columns)], lines)


def cold(rows: Sequence[Row]) -> str:
    """Items without history, a row a system: are they found, and are they shown."""
    found = [row for row in rows if not row.get("against")]
    columns = [column for column in COLD_COLUMNS if any(_at(row) == column for row in found)]
    lines = []
    for system in dict.fromkeys(row["system"] for row in found):
        cells = {_at(row): row for row in found if row["system"] == system}
        lines.append([_bold(system), *(_value(cells.get(column)) for column in columns)])
    return markdown(["system", *(f"{name}: {metric}" for name, metric in columns)], lines)


def _at(row: Row) -> tuple[str, str]:
    return row["slice"], row["metric"]


# Kind of table -> the folder of its JSON, and what makes it.
TABLES: dict[str, tuple[str, Callable[..., str]]] = {
    "lists": ("time_split", lists),
    "leads": ("time_split", leads),
    "parts": ("time_split", parts),
    "next-item": ("leave_one_out", next_item),
    "ablation": ("ablation", ablation),
    "cold": ("cold_items", cold),
}


def markdown(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table: the first column to the left, the others to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])


def _bold(system: str) -> str:
    return f"**{system}**" if system.startswith("ours") else system


def _value(row: Row | None) -> str:
    return "" if row is None or row["value"] is None else f"{row['value']:.4f}".replace("0.", ".", 1)


def _lead(row: Row | None) -> str:
    """A difference with its interval; in bold where that leaves out 0."""
    if row is None:
        return ""
    told = f"{row['value']:+.4f} [{row['ci_low']:+.4f}, {row['ci_high']:+.4f}]".replace("0.", ".")
    return f"**{told}**" if row["ci_low"] > 0 or row["ci_high"] < 0 else told


def _cost(row: Row) -> list[str]:
    return [f"{row['seconds']:.0f}", f"{row['peak_mb']:.0f}"]
