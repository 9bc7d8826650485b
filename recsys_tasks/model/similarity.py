"""
The similarity that texts were compared by in training, folded into plain vectors.

An index knows inner products only. Each similarity becomes one: cosine by unit vectors, the negative squared distance
by one more dimension (-|x - y|^2 = 2 x.y - |y|^2 - |x|^2, and |x|^2 is the same for all items of a query), the
bilinear form by applying its two maps. The folded product ranks the items of a query as the similarity does.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
from safetensors.numpy import load_file, save_file

from recsys_tasks.model.arrays import Floats

Kind = Literal["cosine", "dot", "euclidean", "bilinear"]


class Sides(NamedTuple):
    """Texts as they ask and as they are offered, (n, k) each: the inner product ranks what is offered."""

    asked: Floats
    offered: Floats

    def centred(self) -> "Sides":
        """
        The same order for every query, counted from the mean of what is offered: above zero is nearer than most.

        A distance is never above zero by itself, so nothing would tell what is near from what is far.
        """
        mean = self.offered.mean(axis=0, dtype=np.float64).astype(np.float32)
        return Sides(self.asked, self.offered - mean)


@dataclass(frozen=True)
class Maps:
    """The two maps of a bilinear form: x -> x @ weight.T + bias; weights (k, d), biases (k,)."""

    query_weight: Floats
    query_bias: Floats
    item_weight: Floats
    item_bias: Floats


@dataclass(frozen=True)
class TextSimilarity:
    """f of two raw vectors of an encoder: centred, rotated (mean (d,), rotation (d, d)), compared by ``kind``."""

    kind: Kind
    mean: Floats
    rotation: Floats
    maps: Maps | None = None

    def queries(self, raw: Floats) -> Floats:
        """Raw vectors (n, d) -> what to search with."""
        return fold_queries(self.kind, self._projected(raw), self.maps)

    def items(self, raw: Floats) -> Floats:
        """Raw vectors (n, d) -> what to put into an inner-product index."""
        return fold_items(self.kind, self._projected(raw), self.maps)

    def sides(self, raw: Floats) -> Sides:
        """The same raw vectors as both."""
        return Sides(self.queries(raw), self.items(raw))

    def _projected(self, raw: Floats) -> Floats:
        projected: Floats = ((raw - self.mean) @ self.rotation).astype(np.float32, copy=False)
        return projected

    def save(self, path: Path) -> None:
        code = np.array([get_args(Kind).index(self.kind)], dtype=np.int64)
        maps = {} if self.maps is None else vars(self.maps)
        tensors = {"kind": code, "mean": self.mean, "rotation": self.rotation, **maps}
        save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, path)

    @classmethod
    def load(cls, path: Path) -> "TextSimilarity":
        tensors = load_file(path)
        kind: Kind = get_args(Kind)[int(tensors.pop("kind")[0])]
        mean, rotation = tensors.pop("mean"), tensors.pop("rotation")
        return cls(kind, mean, rotation, Maps(**tensors) if tensors else None)


def fold_queries(kind: Kind, vectors: Floats, maps: Maps | None = None) -> Floats:
    """Queries (n, d) as plain vectors, (n, d), or (n, d + 1) for ``euclidean``. Raises ValueError without its maps."""
    if kind == "cosine":
        return _unit(vectors)
    if kind == "euclidean":
        return np.concatenate([2 * vectors, -np.ones_like(vectors[:, :1])], axis=1)
    if kind == "bilinear":
        maps = _needed(maps)
        return vectors @ maps.query_weight.T + maps.query_bias
    return vectors


def fold_items(kind: Kind, vectors: Floats, maps: Maps | None = None) -> Floats:
    """Items (n, d) as plain vectors that meet ``fold_queries``. Raises ValueError for a bilinear form without maps."""
    if kind == "cosine":
        return _unit(vectors)
    if kind == "euclidean":
        return np.concatenate([vectors, np.square(vectors).sum(axis=1, keepdims=True)], axis=1)
    if kind == "bilinear":
        maps = _needed(maps)
        return vectors @ maps.item_weight.T + maps.item_bias
    return vectors


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: Floats = (vectors / np.where(lengths > 0, lengths, 1.0)).astype(np.float32, copy=False)
    return unit


def _needed(maps: Maps | None) -> Maps:
    if maps is None:
        raise ValueError("a bilinear similarity needs its two maps")
    return maps
