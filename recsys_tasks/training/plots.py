"""
Pictures of a training, to be looked at: the loss of every step, and the space as a map.

Neighbours on the map are neighbours in the space (t-SNE keeps small distances); how far apart groups lie says little.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recsys_tasks.model.arrays import Floats, Positions

# t-SNE of so many texts takes some seconds on two cores.
MAP_TEXTS = 1500
# With fewer it has no neighbourhoods to keep.
TSNE_TEXTS = 10
# As many colours as can be told apart from each other and from the grey of the rest.
COLOURS = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C8", "C9", "#1b1b3a")
GREY = "#c4c4c4"
NO_CATEGORY = "no category"
SMOOTHED_STEPS = 10
LEGEND_LETTERS = 28


def plot_loss(losses: Sequence[float], title: str, file: Path) -> None:
    """The loss of each step, and the mean of the SMOOTHED_STEPS around it."""
    figure, axes = _figure(8, 4.5)
    steps = np.arange(1, len(losses) + 1)
    axes.plot(steps, losses, ".", color=GREY, label="each step")
    if len(losses) >= SMOOTHED_STEPS:
        means = np.convolve(losses, np.full(SMOOTHED_STEPS, 1.0 / SMOOTHED_STEPS), mode="valid")
        middles = np.arange(len(means)) + (SMOOTHED_STEPS + 1) / 2
        label = f"mean of the {SMOOTHED_STEPS} steps around"
        axes.plot(middles, means, color="C0", linewidth=2, label=label)
    axes.set(xlabel="step", ylabel="loss", title=title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(file)


def plot_map(
    vectors: Floats, categories: Sequence[str | None], title: str, file: Path, seed: int = 0
) -> None:
    """
    Vectors (n, d) of texts in two dimensions (van der Maaten and Hinton 2008), coloured by the most common categories.

    Of many texts a seeded sample is drawn. Distances are those of the directions: vectors are taken at unit length.
    """
    chosen = _sample(len(vectors), seed)
    places_N2 = flat(vectors[chosen], seed)
    names = np.array([categories[row] or NO_CATEGORY for row in chosen])
    figure, axes = _figure(10, 7)
    common = most_common(names)
    rest = ~np.isin(names, common)
    axes.scatter(*places_N2[rest].T, s=8, color=GREY, linewidths=0, label=f"{rest.sum()} others")
    for colour, name in zip(COLOURS, common, strict=False):
        here = names == name
        axes.scatter(*places_N2[here].T, s=12, color=colour, linewidths=0, label=_labelled(name, here))
    axes.set(title=f"{title}: {len(chosen)} texts", xticks=[], yticks=[], aspect="equal")
    axes.legend(
        frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=2.5, title="category"
    )
    figure.savefig(file)


def flat(vectors: Floats, seed: int = 0) -> Floats:
    """(n, d) -> (n, 2): t-SNE of the directions, begun at their principal axes; of few rows two of their numbers."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = vectors / np.maximum(lengths, 1e-12)
    if len(vectors) < TSNE_TEXTS:
        return _two_columns(directions - directions.mean(axis=0))
    axes = min(50, *vectors.shape)
    reduced = PCA(axes, random_state=seed, svd_solver="full").fit_transform(directions)
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    start = _two_columns(reduced) / max(float(reduced[:, 0].std()), 1e-12) * 1e-4
    placed: Floats = TSNE(
        perplexity=perplexity, init=start, random_state=seed, max_iter=500, n_jobs=1
    ).fit_transform(reduced)
    return placed


def most_common(names: Any, limit: int = len(COLOURS)) -> list[str]:
    """The most common categories, at most ``limit``; equally common ones by name."""
    distinct, counts = np.unique(names[names != NO_CATEGORY], return_counts=True)
    return [str(distinct[place]) for place in np.argsort(-counts, kind="stable")[:limit]]


def _two_columns(reduced: Floats) -> Floats:
    padded = np.zeros((len(reduced), 2), dtype=np.float32)
    padded[:, : min(2, reduced.shape[1])] = reduced[:, :2]
    return padded


def _sample(texts: int, seed: int) -> Positions:
    if texts <= MAP_TEXTS:
        return np.arange(texts)
    return np.sort(np.random.default_rng(seed).choice(texts, MAP_TEXTS, replace=False))


def _labelled(name: str, here: Any) -> str:
    short = name if len(name) <= LEGEND_LETTERS else name[: LEGEND_LETTERS - 3] + "..."
    # A dollar would begin a formula.
    return f"{short} ({here.sum()})".replace("$", r"\$")


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure of its own, without the state and the windows of pyplot."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()
