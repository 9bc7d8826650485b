"""
The two towers as they are used: vectors of items and of shoppers whose product is the score.

score(user, item) = scale * u.v + weight * n.t + sum_k gain_k * log1p(buyers of the item in window k)

u.v is the cosine where that is what the towers learned by. A squared distance is a product too: -|u - v|^2 / 2 ranks
items as (u, 1).(v, -|v|^2 / 2) does, and a bilinear form u.(W v + b) as u and W v + b do: one index serves them all.

The second term is a neighbour model (EASE) in factors (``model.factors``): n is a decayed bag of what the items of the
history give, t what the item takes; it knows which items go together, however rarely they are bought, and costs no
training. The third says "this sells now". Neither needs an own index: the item's row is (v, t, third term), the
user's row is (scale * u, weight * n, 1). A shopper without history has u = n = 0 and so ranks by popularity alone.
Where only items new to the shopper are ranked, the user's last number is ``new_popularity``: the gains are learned of
all that shoppers take, own items first, of which likeness tells more than of new ones.

v = id vector + attribute vectors + text @ projection; an item the training never saw borrows the first two from
its nearest texts. u = W [bag; bag; ...] + b, one decayed bag of the same item vectors a half-life (or W times what a
causal transformer makes of the history). How the numbers are learned is ``training.towers``; here is only numpy, so
that a night's later steps need no torch.
"""

import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_matrix

from recsys_tasks.errors import MissingArtefact, SchemaMismatch
from recsys_tasks.files import write_whole
from recsys_tasks.model.cold import borrow
from recsys_tasks.model.histories import Bags, Histories, microseconds
from recsys_tasks.model.launches import Launches
from recsys_tasks.model.popularity import popularity_matrix
from recsys_tasks.model.products import row_products
from recsys_tasks.model.tower_parts import FORMAT, TowerFacts, TowerTensors, own_parts

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

FACTS = "towers.json"
TENSORS = "towers.safetensors"
ITEMS = "items.parquet"
USERS_AT_ONCE = 4096


@dataclass(frozen=True)
class TowerModel:
    """Fitted towers. ``item_ids`` is the vocabulary, sorted: the items that training saw."""

    facts: TowerFacts
    item_ids: pl.Series
    tensors: TowerTensors

    @property
    def width(self) -> int:
        """Width of ``u`` and ``v``."""
        return int(self.tensors.ids.shape[1])

    @property
    def dim(self) -> int:
        """Width of (v, t), and of what a similarity adds; the folded rows have one more, for popularity."""
        return self.width + (self.facts.similarity == "euclidean") + int(self.tensors.near_taken.shape[1])

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
        unknown = sorted(stored.keys() - {fact.name for fact in fields(TowerFacts)})
        if unknown:
            raise MissingArtefact(
                f"the towers in {folder} were written by a newer release: this one knows no {', '.join(unknown)}"
            )
        return TowerFacts(**stored)

    def popularity(
        self, events: pl.DataFrame, as_of: datetime, item_ids: pl.Series, items: pl.DataFrame
    ) -> Floats:
        """(n, P): log1p of the buyers in each window before ``as_of``; launches by the ``category`` in ``items``."""
        facts = self.facts
        matrix = popularity_matrix(events, as_of, item_ids, facts.popularity_days, facts.event_weights)
        if not facts.launch_prior:
            return matrix
        past = events.filter(pl.col("occurred_at") < as_of)
        launches = Launches.of(past, item_ids, items, facts.popularity_days, facts.event_weights)
        return launches.complete(matrix, microseconds(as_of))

    def item_matrix(self, item_ids: pl.Series, text: Floats, popularity: Floats) -> Floats:
        """
        (n, dim + 1): item vectors, neighbour factors, and the popularity term as the last dimension.

        ``text`` (n, T) holds the items' text vectors, a zero row where there is none; ``popularity`` (n, P) is
        ``self.popularity`` as of the instant that is scored.
        """
        self._check_text(text)
        last = popularity.astype(np.float32) @ self.tensors.gains
        codes = self._codes(item_ids)
        near = self._near(codes, text, self.tensors.near_taken)
        return np.column_stack([self._compared(self._vectors(codes, text)), near, last]).astype(np.float32)

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
        codes = self._codes(item_ids)
        vectors, near = self._vectors(codes, text), self._near(codes, text, self.tensors.near_given)
        rows = [
            self._user_rows(
                histories, np.arange(start, min(start + USERS_AT_ONCE, len(users))), as_of, vectors, near
            )
            for start in range(0, len(users), USERS_AT_ONCE)
        ]
        return np.concatenate(rows) if rows else np.zeros((0, self.dim + 1), dtype=np.float32)

    def _user_rows(
        self, histories: Histories, users: Ints, as_of: datetime, vectors: Floats, near: Floats
    ) -> Floats:
        until = np.full(len(users), microseconds(as_of))
        ends = histories.ends(users, until)
        facts = self.facts
        half_lives = [*facts.half_lives_days, facts.near_half_life_days]
        bags = histories.bags(users, ends, until, half_lives, facts.history_events)
        last = csr_matrix((bags.values[-1], bags.items, bags.offsets), shape=(len(users), len(near))) @ near
        taste = Bags(bags.offsets, bags.items, bags.values[:-1])
        parts = [self.scaled_users(taste, vectors), last, np.ones(len(users))]
        return np.column_stack(parts).astype(np.float32)

    def scaled_users(self, bags: Bags, vectors: Floats) -> Floats:
        """scale * u for rows of bags over item ``vectors``; a row without history is zero."""
        u = row_products(self._read(bags, vectors), self.tensors.user_weight) + self.tensors.user_bias
        if self.facts.similarity == "cosine":
            u = unit_rows(u)
        if self.facts.similarity == "euclidean":
            u = np.column_stack([u, np.ones(len(u))])
        known = (bags.lengths > 0)[:, None]
        return np.asarray(u * known * self.tensors.scale, dtype=np.float32)

    def _read(self, bags: Bags, vectors: Floats) -> Floats:
        """What the user tower's last layer is applied to: a decayed mean a half-life, or a transformer's output."""
        if self.facts.user == "transformer":
            from recsys_tasks.model.causal_users import causal_rows

            return causal_rows(self.tensors.causal, bags, vectors)
        shape = (len(bags.lengths), len(vectors))
        means = [
            csr_matrix((value, bags.items, bags.offsets), shape=shape) @ vectors for value in bags.values
        ]
        return np.concatenate(means, axis=1)

    def _vectors(self, codes: Ints, text: Floats) -> Floats:
        """(n, D) v as it stands in a history."""
        return self._own_parts(codes, text) + row_products(text, self.tensors.text)

    def _compared(self, vectors: Floats) -> Floats:
        """What a shopper's row meets: as ``training.tower_net.TowerNet.folded``."""
        similarity = self.facts.similarity
        if similarity == "cosine":
            return unit_rows(vectors)
        if similarity == "bilinear":
            return np.asarray(vectors @ self.tensors.item_weight + self.tensors.item_bias, np.float32)
        if similarity == "euclidean":
            return np.column_stack([vectors, -np.square(vectors).sum(axis=1) / 2])
        return vectors

    def _near(self, codes: Ints, text: Floats, factors: Floats) -> Floats:
        """(n, F) neighbour factors: borrowed where training never saw the item, zeros where it saw too little."""
        known = self.tensors.near_codes
        rows = np.zeros((len(codes), factors.shape[1]), np.float32)
        if len(known):
            place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
            has = known[place] == codes
            rows[has] = factors[place[has]]
            cold = np.flatnonzero(codes < 0)
            rows[cold] = borrow(text[cold], self.near_text, factors)
        return rows

    def _own_parts(self, codes: Ints, text: Floats) -> Floats:
        """Id and attribute vectors; borrowed where training never saw the item."""
        own = (
            self.own[np.maximum(codes, 0)] if len(self.own) else np.zeros((len(text), self.width), np.float32)
        )
        cold = np.flatnonzero(codes < 0)
        own[cold] = borrow(text[cold], self.warm_text, self.tensors.warm_ids)
        return own

    @cached_property
    def warm_text(self) -> Floats:
        """(R, T): the distinct texts of the vocabulary in single precision."""
        return self.tensors.warm_text.astype(np.float32)

    @cached_property
    def near_text(self) -> Floats:
        """(m, T): the text of each item that has neighbour factors."""
        return self.warm_text[self.tensors.near_texts]

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


def unit_rows(matrix: Floats) -> Floats:
    """Rows of length 1; a zero row stays zero."""
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.maximum(lengths, 1e-12), dtype=np.float32)
