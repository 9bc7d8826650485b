"""
The two towers as they are used: vectors of items and of shoppers whose product is the score.

score(user, item) = scale * u.v + sum_k gain_k * log1p(buyers of the item in window k)

The second term says "this sells now"; it needs no own index, because it folds into one more dimension: the item's
row is (v, second term), the user's row is (scale * u, 1). A shopper without history has u = 0 and so ranks by
popularity alone.

v = id vector + attribute vectors + text @ projection; an item the training never saw borrows the first two from
its nearest texts. u = W [bag; bag; ...] + b, one decayed bag of the same item vectors a half-life. How the numbers are
learned is ``training.towers``; here is only numpy, so that a night's later steps need no torch.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix

from recsys_tasks.errors import MissingArtefact, SchemaMismatch
from recsys_tasks.model.cold import borrow
from recsys_tasks.model.histories import Bags, Histories, microseconds
from recsys_tasks.workspace import write_whole

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

FACTS = "towers.json"
TENSORS = "towers.safetensors"
ITEMS = "items.parquet"
ATTRIBUTES = ("category", "brand")
# Raise it whenever the same tensors would score differently: towers of an earlier night (the champion) must not be
# read with a meaning they were not fitted for.
FORMAT = 2
USERS_AT_ONCE = 4096


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
    """(H * D, D)"""
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
    attributes: dict[str, Floats] = field(default_factory=dict)
    """Attribute -> (values + 1, D)"""
    attribute_codes: dict[str, Ints] = field(default_factory=dict)
    """Attribute -> (V,): its row for each item of the vocabulary."""

    def flat(self) -> dict[str, npt.NDArray[Any]]:
        named = {name: value for name, value in vars(self).items() if not isinstance(value, dict)}
        named |= {f"attribute.{name}": table for name, table in self.attributes.items()}
        named |= {f"codes.{name}": codes for name, codes in self.attribute_codes.items()}
        return {name: np.ascontiguousarray(named[name]) for name in sorted(named)}

    @classmethod
    def of_flat(cls, flat: Mapping[str, npt.NDArray[Any]]) -> "TowerTensors":
        plain = {name: value for name, value in flat.items() if "." not in name}
        return cls(**plain, attributes=_under("attribute.", flat), attribute_codes=_under("codes.", flat))


def _under(prefix: str, flat: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    return {name.removeprefix(prefix): value for name, value in flat.items() if name.startswith(prefix)}


@dataclass(frozen=True)
class TowerModel:
    """Fitted towers. ``item_ids`` is the vocabulary, sorted: the items that training saw."""

    facts: TowerFacts
    item_ids: pl.Series
    tensors: TowerTensors

    @property
    def dim(self) -> int:
        """Width of ``u`` and ``v``; the folded rows have one more."""
        return int(self.tensors.ids.shape[1])

    @property
    def text_dim(self) -> int:
        return int(self.tensors.text.shape[0])

    def save(self, folder: Path) -> None:
        """Write the towers as safetensors, JSON and Parquet."""
        folder.mkdir(parents=True, exist_ok=True)
        save_file(self.tensors.flat(), folder / TENSORS)
        pl.DataFrame({"item_id": self.item_ids}).write_parquet(folder / ITEMS)
        write_whole(folder / FACTS, json.dumps(asdict(self.facts), indent=2, sort_keys=True))

    @classmethod
    def load(cls, folder: Path) -> "TowerModel":
        """Read them back; raises as ``facts_in``."""
        facts = cls.facts_in(folder)
        item_ids = pl.read_parquet(folder / ITEMS)["item_id"]
        return cls(facts, item_ids, TowerTensors.of_flat(load_file(folder / TENSORS)))

    @staticmethod
    def facts_in(folder: Path) -> TowerFacts:
        """What stored towers say of themselves; raises MissingArtefact where they mean something else by now."""
        stored = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if stored.get("format") != FORMAT:
            raise MissingArtefact(
                f"the towers in {folder} have format {stored.get('format')}, this release reads {FORMAT}"
            )
        return TowerFacts(**stored)

    def item_matrix(self, item_ids: pl.Series, text: Floats, popularity: Floats) -> Floats:
        """
        (n, dim + 1): item vectors with the popularity term as the last dimension.

        ``text`` (n, T) holds the items' text vectors, a zero row where there is none; ``popularity`` (n, P) is
        ``popularity_matrix`` over ``facts.popularity_days`` as of the instant that is scored.
        """
        self._check_text(text)
        last = popularity.astype(np.float32) @ self.tensors.gains
        return np.column_stack([self._vectors(item_ids, text), last]).astype(np.float32)

    def user_matrix(
        self, users: pl.Series, events: pl.DataFrame, as_of: datetime, item_ids: pl.Series, text: Floats
    ) -> Floats:
        """
        (u, dim + 1): user vectors whose last dimension is 1, so that ``user_row @ item_row`` is the score.

        Histories are the events before ``as_of`` on items of ``item_ids`` (whose text vectors ``text`` holds); a
        shopper who has none gets zeros and the 1.
        """
        self._check_text(text)
        past = events.filter(pl.col("occurred_at") < as_of, pl.col("user_id").is_in(users.implode()))
        used = item_ids.is_in(past["item_id"].unique().implode())
        item_ids, text = item_ids.filter(used), text[used.to_numpy()]
        histories = Histories.collect(past, users, item_ids, self.facts.event_weights)
        vectors = self._vectors(item_ids, text)
        rows = [
            self._user_rows(
                histories, np.arange(start, min(start + USERS_AT_ONCE, len(users))), as_of, vectors
            )
            for start in range(0, len(users), USERS_AT_ONCE)
        ]
        return np.concatenate(rows) if rows else np.zeros((0, self.dim + 1), dtype=np.float32)

    def _user_rows(self, histories: Histories, users: Ints, as_of: datetime, vectors: Floats) -> Floats:
        until = np.full(len(users), microseconds(as_of))
        ends = histories.ends(users, until)
        facts = self.facts
        bags = histories.bags(users, ends, until, facts.half_lives_days, facts.history_events)
        return np.column_stack([self.scaled_users(bags, vectors), np.ones(len(users))]).astype(np.float32)

    def scaled_users(self, bags: Bags, vectors: Floats) -> Floats:
        """scale * u for rows of bags over item ``vectors``; a row without history is zero."""
        shape = (len(bags.lengths), len(vectors))
        means = [
            csr_matrix((value, bags.items, bags.offsets), shape=shape) @ vectors for value in bags.values
        ]
        u = np.concatenate(means, axis=1) @ self.tensors.user_weight + self.tensors.user_bias
        if self.facts.similarity == "cosine":
            u = unit_rows(u)
        known = (bags.lengths > 0)[:, None]
        return np.asarray(u * known * self.tensors.scale, dtype=np.float32)

    def _vectors(self, item_ids: pl.Series, text: Floats) -> Floats:
        vectors = self._own_parts(item_ids, text) + text @ self.tensors.text
        return unit_rows(vectors) if self.facts.similarity == "cosine" else vectors.astype(np.float32)

    def _own_parts(self, item_ids: pl.Series, text: Floats) -> Floats:
        """Id and attribute vectors; borrowed where training never saw the item."""
        codes = self._codes(item_ids)
        own = self.own[np.maximum(codes, 0)] if len(self.own) else np.zeros((len(text), self.dim), np.float32)
        cold = np.flatnonzero(codes < 0)
        own[cold] = borrow(text[cold], self.warm_text, self.tensors.warm_ids)
        return own

    @cached_property
    def warm_text(self) -> Floats:
        """(R, T): the distinct texts of the vocabulary in single precision."""
        return self.tensors.warm_text.astype(np.float32)

    @cached_property
    def own(self) -> Floats:
        """(V, D): id plus attribute vectors of the vocabulary."""
        return own_parts(self.tensors.ids, self.tensors.attributes, self.tensors.attribute_codes)

    def _codes(self, item_ids: pl.Series) -> Ints:
        known = pl.DataFrame({"item_id": self.item_ids, "code": np.arange(len(self.item_ids))})
        wanted = pl.DataFrame({"item_id": item_ids})
        found = wanted.join(known, on="item_id", how="left", maintain_order="left")["code"]
        return found.fill_null(-1).to_numpy()

    def _check_text(self, text: Floats) -> None:
        if text.ndim != 2 or text.shape[1] != self.text_dim:
            raise SchemaMismatch(
                f"text vectors have shape {text.shape}, these towers expect (items, {self.text_dim}): "
                "use the vectors of the encoder they were fitted with"
            )


def own_parts(ids: Floats, attributes: Mapping[str, Floats], codes: Mapping[str, Ints]) -> Floats:
    """Id vectors plus the vectors of each item's attributes."""
    own = ids.copy()
    for name in sorted(attributes):
        own += attributes[name][codes[name]]
    return own


def unit_rows(matrix: Floats) -> Floats:
    """Rows of length 1; a zero row stays zero."""
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.maximum(lengths, 1e-12), dtype=np.float32)
