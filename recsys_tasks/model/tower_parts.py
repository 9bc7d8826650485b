"""What towers are made of: the facts that say how they are used, and the learned numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

ATTRIBUTES = ("category", "brand")
# Raise it whenever the same tensors would score differently: towers of an earlier night (the champion) must not be
# read with a meaning they were not fitted for.
FORMAT = 3


@dataclass(frozen=True, kw_only=True)
class TowerFacts:
    """What must be known to use the tensors."""

    half_lives_days: list[float]
    history_events: int
    popularity_days: list[int]
    similarity: str
    event_weights: dict[str, float]
    until: str
    """Weights were fitted on events before this instant (ISO)."""
    user: str = "mean"
    """What makes a shopper's vector of the history: ``mean`` or ``transformer``."""
    launch_prior: bool = False
    """Whether a launch starts with the popularity of earlier ones (``model.launches``)."""
    new_popularity: float = 1.0
    """How many times as much popularity counts where only items new to the shopper are ranked."""
    near_half_life_days: float = 365.0
    """Half-life of the bag that the neighbour factors are read with."""
    format: int = FORMAT
    attribute_values: dict[str, list[str]] = field(default_factory=dict)
    """Attribute -> its values; value ``i`` has row ``i + 1`` of the attribute's table, row 0 is "unknown"."""


@dataclass(frozen=True, kw_only=True)
class TowerTensors:
    """The learned numbers. V items of the vocabulary, D width, T text width, H half-lives, P popularity windows."""

    ids: Floats
    """(V, D)"""
    text: Floats
    """(T, D): text vector -> its part of the item vector."""
    user_weight: Floats
    """(H * D, D); (D, D) behind a transformer."""
    user_bias: Floats
    """(D,)"""
    gains: Floats
    """(P,)"""
    scale: Floats
    """(1,)"""
    warm_text: npt.NDArray[np.float16]
    """(R, T): the distinct texts of the vocabulary, half precision; what cold items borrow from."""
    warm_ids: Floats
    """(R, D): the mean id and attribute vector of each."""
    item_weight: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """(D, D) bilinear only: item vector -> what is compared."""
    item_bias: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    """(D,) likewise"""
    near_codes: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """(m,) the items of the vocabulary that have neighbour factors, ascending."""
    near_texts: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    """(m,) the row of ``warm_text`` of each."""
    near_given: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """(m, F) neighbour factors of an item of the history; the weight of the term is in them."""
    near_taken: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """(m, F) neighbour factors of an item that is scored."""
    attributes: dict[str, Floats] = field(default_factory=dict)
    """Attribute -> (values + 1, D)"""
    attribute_codes: dict[str, Ints] = field(default_factory=dict)
    """Attribute -> (V,): its row for each item of the vocabulary."""
    causal: dict[str, Floats] = field(default_factory=dict)
    """The weights of the causal transformer, where the user tower is one."""

    def flat(self) -> dict[str, npt.NDArray[Any]]:
        named = {name: value for name, value in vars(self).items() if not isinstance(value, dict)}
        named |= {f"attribute.{name}": table for name, table in self.attributes.items()}
        named |= {f"codes.{name}": codes for name, codes in self.attribute_codes.items()}
        named |= {f"causal.{name}": weight for name, weight in self.causal.items()}
        return {name: np.ascontiguousarray(named[name]) for name in sorted(named)}

    @classmethod
    def of_flat(cls, flat: Mapping[str, npt.NDArray[Any]]) -> "TowerTensors":
        plain = {name: value for name, value in flat.items() if "." not in name}
        return cls(
            **plain,
            attributes=_under("attribute.", flat),
            attribute_codes=_under("codes.", flat),
            causal=_under("causal.", flat),
        )


def _under(prefix: str, flat: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {name.removeprefix(prefix): value for name, value in flat.items() if name.startswith(prefix)}


def own_parts(ids: Floats, attributes: Mapping[str, Floats], codes: Mapping[str, Ints]) -> Floats:
    """Id vectors plus the vectors of each item's attributes."""
    own = ids.copy()
    for name in sorted(attributes):
        own += attributes[name][codes[name]]
    return own
