"""A search as one picture: the value of every trial, and what mattered."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

SHOWN = 12
INCHES = (10.0, 4.2)
DOTS, BEST, BARS, SOME_BARS = "#7a8ba3", "#c0392b", "#2f6f9f", "#b9922f"


def draw(
    file: Path,
    values: list[float | None],
    mattered: dict[str, float],
    axis: str,
    where_asked: dict[str, float] | None = None,
) -> None:
    """
    ``values`` of the trials in order, none where training failed, and what they are; ``mattered`` may be empty, and
    ``where_asked`` is the same of settings that only some trials had, among these.
    """
    figure = Figure(figsize=INCHES, layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    _draw_trials(left, values, axis)
    _draw_mattered(right, mattered, where_asked or {})
    figure.savefig(file, dpi=120)


def _draw_trials(axes: Axes, values: list[float | None], axis: str) -> None:
    known = [(number, value) for number, value in enumerate(values) if value is not None]
    axes.set(title="Trials", xlabel="trial", ylabel=axis)
    axes.axhline(0.0, color="#bbbbbb", linewidth=0.8)
    if not known:
        axes.text(0.5, 0.5, "no trial has a value", ha="center", transform=axes.transAxes)
        return
    numbers, gains = map(np.array, zip(*known, strict=True))
    axes.plot(numbers, gains, "o", color=DOTS, label="trial")
    axes.step(numbers, np.maximum.accumulate(gains), where="post", color=BEST, label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:+.1%}")
    axes.legend(loc="best", frameon=False)


def _draw_mattered(axes: Axes, mattered: dict[str, float], where_asked: dict[str, float]) -> None:
    axes.set(title="What mattered", xlabel="share of the variance explained")
    if not mattered:
        axes.text(0.5, 0.5, "too few trials to tell", ha="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
        return
    both = {**mattered, **where_asked}
    names = sorted(both, key=lambda name: (-both[name], name))[:SHOWN][::-1]
    for shares, colour, label in (
        (mattered, BARS, "of all trials"),
        (where_asked, SOME_BARS, "of the trials that had it"),
    ):
        # A bar of no length where it is the other kind's, so that all stand in one order.
        axes.barh(names, [shares.get(name, 0.0) for name in names], color=colour, label=label)
    if where_asked:
        axes.legend(loc="lower right", frameon=False)
    axes.set_xlim(left=0.0)
