"""
The pictures of docs/quality.md, drawn in the bench environment: ``python -m benchmarks.pictures RESULTS FOLDER``.

Accuracy against coverage, a point a system; and quality cut by cut, a line a system.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib
from adjustText import adjust_text

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

Row = dict[str, Any]

OURS = {"ours": "#c0392b", "ours-tower": "#e67e22", "ours-text": "#f1c40f"}
WALKED = {
    "ours": "#c0392b",
    "ours-tower": "#e67e22",
    "ease+popularity": "#2980b9",
    "als": "#8e44ad",
    "repeat": "#27ae60",
    "popularity-7": "#7f8c8d",
    "popularity-28": "#34495e",
}
GREY = "#7f8c8d"


def draw(results: Path, folder: Path) -> None:
    """quality-coverage.png and quality-walk.png, a panel a set, from all files of ``results``/time_split."""
    found = {
        file.stem: json.loads(file.read_text()) for file in sorted((results / "time_split").glob("*.json"))
    }
    sets = {name: rows for name, rows in found.items() if isinstance(rows, list)}
    for picture, panel in (("quality-coverage", coverage), ("quality-walk", walk)):
        figure, axes = plt.subplots(1, len(sets), figsize=(6 * len(sets), 4.5), squeeze=False)
        for axis, (name, rows) in zip(axes[0], sets.items(), strict=True):
            panel(axis, rows)
            axis.set_title(name)
        figure.tight_layout()
        figure.savefig(folder / f"{picture}.png", dpi=110, metadata={"Software": None})
        plt.close(figure)


def coverage(axis: Axes, rows: list[Row]) -> None:
    """NDCG@10 on new items over coverage@10, pooled."""
    names = []
    for system in dict.fromkeys(row["system"] for row in rows if row["against"] is None):
        x, y = (_value(rows, system, "test", metric) for metric in ("coverage@10", "NDCG@10"))
        if x and y is not None:
            axis.scatter(x, y, color=OURS.get(system, GREY), zorder=3)
            names.append(axis.text(x, y, system, fontsize=8))
    axis.set_xscale("log")
    axis.margins(x=0.3, y=0.1)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(lambda share, _place: f"{100 * share:g}%")
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("coverage@10: share of the offer that stands in somebody's list")
    axis.set_ylabel('NDCG@10, "new to the shopper"')
    axis.grid(alpha=0.3)
    # A number of rounds, where a second is usual: the same rows shall make the same picture.
    adjust_text(names, ax=axis, iter_lim=500, arrowprops={"arrowstyle": "-", "color": GREY, "lw": 0.5})


def walk(axis: Axes, rows: list[Row]) -> None:
    """NDCG@10 on new items at each cut."""
    longest = max(row["horizon"] for row in rows)
    cuts = sorted({row["cut"] for row in rows if row["cut"] != "pooled" and row["horizon"] == longest})
    for system, color in WALKED.items():
        values = [_value(rows, system, f"test/{cut}", "NDCG@10") for cut in cuts]
        if all(value is not None for value in values):
            axis.plot(cuts, values, marker="o", color=color, label=system)
    axis.set_ylabel(f'NDCG@10, "new to the shopper", {longest} days')
    axis.tick_params(axis="x", labelsize=8)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.1))


def _value(rows: list[Row], system: str, split: str, metric: str) -> float | None:
    for row in rows:
        if (row["system"], row["split"], row["slice"], row["metric"]) == (system, split, "new", metric):
            return float(row["value"])
    return None


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
