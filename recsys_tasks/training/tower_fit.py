"""The loop of a towers fit: the net, the id table, their optimisers, and what joins them."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recsys_tasks.errors import SettingsError, TrainingFailed
from recsys_tasks.model.causal import CausalTower
from recsys_tasks.model.causal_users import causal_tower, recent
from recsys_tasks.model.tower_parts import ATTRIBUTES
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.settings import TowerSettings
from recsys_tasks.training.batch_names import named_items
from recsys_tasks.training.history_views import history_views
from recsys_tasks.training.lazy_adam import LazyAdam
from recsys_tasks.training.row_sums import RowSums
from recsys_tasks.training.tower_catalogue import Catalogue
from recsys_tasks.training.tower_data import Batch, TowerData, batches, steps_of
from recsys_tasks.training.tower_net import TorchBatch, TorchViews, TowerNet
from recsys_tasks.training.tower_start import continue_from

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

ID_SD = 0.05
WARM_UP_STEPS = 50
# The popularity gains are few and their gradients small: at the common rate they barely move. Which window tells most
# differs between shops (measured on a content shop: at 10 times the rate a fifth of the gain of 180 days was lost).
GAIN_RATE = 30.0
# A transformer learns in smaller steps than a table.
CAUSAL_RATE = 1 / 3
VIEWS = 1
NO_ORDER = np.zeros((0, 0), np.int64), np.zeros(0, np.int64)


class Fit:
    """One fit: the net, the id table, their optimisers, and the loop that joins them."""

    def __init__(
        self,
        data: TowerData,
        catalogue: Catalogue,
        settings: TowerSettings,
        seed: int,
        warm: TowerModel | None,
    ) -> None:
        self.data, self.catalogue, self.settings, self.seed = data, catalogue, settings, seed
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator().manual_seed(seed)
        # Of their own, so that everything else is drawn the same with views and without.
        self.view_rng = np.random.default_rng([seed, VIEWS])
        self.net = TowerNet(
            dim=settings.dim,
            text_dim=catalogue.texts.shape[1],
            bags=len(settings.half_lives_days),
            windows=len(settings.popularity_days),
            attributes=[len(catalogue.attribute_values[name]) + 1 for name in ATTRIBUTES],
            similarity=settings.similarity,
            learn_temperature=settings.learn_temperature,
            causal=self._causal(seed),
        )
        self.ids = self._normal(len(data.item_ids), settings.dim, sd=ID_SD)
        self._start(warm)
        self.net.to(self.device)
        self.ids = self.ids.to(self.device)
        self.texts = torch.from_numpy(catalogue.texts).to(self.device)
        self._place = np.zeros(len(data.item_ids), dtype=np.int64)
        self._text_place = np.zeros(len(catalogue.texts), dtype=np.int64)

    def run(self, epochs: int) -> list[float]:
        """Mean loss of each epoch; raises TrainingFailed, before the step, where one is no longer a number."""
        self._prepare(epochs * steps_of(self.data, self.settings))
        losses = []
        for epoch in range(1, epochs + 1):
            with torch.random.fork_rng():
                # A transformer's dropout knows no other generator.
                torch.manual_seed(self.seed + epoch)
                each = [self._step(batch) for batch in batches(self.data, self.settings, self.rng)]
            losses.append(float(np.mean(each)))
            log.info("towers, epoch %d of %d: mean loss %.4f", epoch, epochs, losses[-1])
        return losses

    def _prepare(self, steps: int) -> None:
        rate = self.settings.learning_rate
        causal = [] if self.net.causal is None else list(self.net.causal.parameters())
        others = [
            p
            for name, p in self.net.named_parameters()
            if name != "gains" and not name.startswith("causal.") and p.requires_grad
        ]
        groups: list[dict[str, Any]] = [
            {"params": others},
            {"params": [self.net.gains], "lr": rate * GAIN_RATE},
            *([{"params": causal, "lr": rate * CAUSAL_RATE}] if causal else []),
        ]
        self.dense, self.lazy = torch.optim.Adam(groups, lr=rate), LazyAdam(self.ids, rate)
        self.ramp = min(WARM_UP_STEPS, max(steps // 4, 1)), steps
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.dense, lambda step: _rate(step, *self.ramp))

    def _step(self, batch: Batch) -> float:
        items, on_device = self._on_device(batch)
        rows = torch.from_numpy(items).to(self.device)
        ids_LD = self.ids.index_select(0, rows).requires_grad_()
        kept = self._random(len(items), 1) >= self.settings.id_dropout
        p = self.settings.input_dropout
        width = self.settings.dim * len(self.settings.half_lives_days)
        dropped = (self._random(len(batch.rows), width) >= p) / max(1 - p, 1e-6)
        loss: Tensor = self.net(on_device, ids_LD * kept, dropped)
        value = loss.item()
        if not np.isfinite(value):
            raise TrainingFailed(
                f"the towers' loss is {value} at step {self.lazy.steps + 1} of {self.ramp[1]}, of {len(batch.rows)} "
                f"examples (taken: {named_items(self.data.item_ids, batch.positives)}): lower towers.learning_rate"
            )
        loss.backward()  # type: ignore[no-untyped-call]
        assert ids_LD.grad is not None
        share = _rate(self.lazy.steps, *self.ramp)
        self.lazy.step(rows, ids_LD.detach(), ids_LD.grad, share)
        self.dense.step()
        self.schedule.step()
        self.dense.zero_grad(set_to_none=True)
        return value

    def _causal(self, seed: int) -> CausalTower | None:
        if self.settings.user == "mean":
            return None
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return causal_tower(self.settings.dim)

    def _on_device(self, batch: Batch) -> tuple[Ints, TorchBatch]:
        """The distinct items of the batch, and the batch with its items numbered among them."""
        items = _number(self._place, batch.bags.items, batch.positives, batch.negatives)
        texts = _number(self._text_place, self.catalogue.text_codes[items])
        popularity = self.data.popularity
        codes, last = recent(batch.bags) if self.net.causal is not None else NO_ORDER
        place, count = self._place, len(items)
        tables = len(texts) + sum(len(table) for table in self.net.attributes)
        sums = {
            "parts": self._parts(items, len(texts), tables),
            "bags": RowSums.of(place[batch.bags.items], batch.bags.offsets, count),
            "recent": RowSums.single(place[codes].ravel(), count),
            "owners": RowSums.single(batch.positive_rows, len(batch.rows)),
            "positives": RowSums.single(place[batch.positives], count),
            "negatives": RowSums.single(place[batch.negatives], count),
        }
        arrays = {
            "bag_values": batch.bags.values,
            "last": last,
            "known": (batch.bags.lengths > 0).astype(np.float32),
            "weights": batch.weights,
            "cuts": batch.cuts,
            "positive_rows": batch.positive_rows,
            "positive_popularity": popularity[batch.cuts[batch.positive_rows], batch.positives],
            "negative_popularity": popularity[:, batch.negatives],
            "correction": batch.correction,
            "masked_rows": batch.masked_rows,
            "masked_columns": batch.masked_columns,
        }
        parts: dict[str, Any] = sums | {name: torch.from_numpy(array) for name, array in arrays.items()}
        handed = {name: part.to(self.device) for name, part in parts.items()}
        rows = torch.from_numpy(texts).to(self.device)
        return items, TorchBatch(
            texts=self.texts.index_select(0, rows), views=self._views(batch, count), **handed
        )

    def _views(self, batch: Batch, items: int) -> TorchViews | None:
        """Views of the batch's histories, whose items are numbered already; none where they count nothing."""
        settings = self.settings
        if not settings.view_weight:
            return None
        if isinstance(settings.augment, Path):
            raise SettingsError(f"towers.augment: {settings.augment} was not read; load the settings with it")
        made = history_views(batch.bags, self.data.users[batch.rows], settings.augment, self.view_rng)
        codes = RowSums.single(self._place[made.codes].ravel(), items).to(self.device)
        arrays = (made.masked, made.last, made.users)
        masked, last, users = (torch.from_numpy(array).to(self.device) for array in arrays)
        return TorchViews(
            codes, masked, last, users, weight=settings.view_weight, temperature=settings.view_temperature
        )

    def _parts(self, items: Ints, texts: int, tables: int) -> RowSums:
        """Where each item's text and attributes stand in [texts; attribute table; ...]."""
        columns, before = [self._text_place[self.catalogue.text_codes[items]]], texts
        for name, table in zip(ATTRIBUTES, self.net.attributes, strict=True):
            columns.append(before + self.catalogue.attribute_codes[name][items])
            before += len(table)
        starts = np.arange(len(items) + 1) * len(columns)
        return RowSums.of(np.stack(columns, axis=1).ravel(), starts, tables)

    def _start(self, warm: TowerModel | None) -> None:
        with torch.no_grad():
            self.net.text.copy_(self._normal(*self.net.text.shape, sd=self.net.text.shape[0] ** -0.5))
            for table in self.net.attributes:
                table.copy_(self._normal(*table.shape, sd=ID_SD / 5))
            if warm is not None:
                continue_from(warm, self.net, self.ids, self.data.item_ids, self.catalogue.attribute_values)
            if not self.settings.text:
                self.net.text.zero_().requires_grad_(False)
            if self.settings.id_dropout == 1:
                self.ids.zero_()

    def _normal(self, *shape: int, sd: float) -> Tensor:
        return torch.randn(*shape, generator=self.generator) * sd

    def _random(self, *shape: int) -> Tensor:
        """Uniform on [0, 1); drawn on the CPU, so that a fit does not depend on the device's generator."""
        return torch.rand(*shape, generator=self.generator).to(self.device)


def _rate(step: int, warm_up: int, steps: int) -> float:
    """Share of the learning rate: linear warm-up, then linear decay to nothing."""
    return min((step + 1) / warm_up, max(steps - step, 0) / max(steps - warm_up, 1), 1.0)


def _number(place: Ints, *codes: Ints) -> Ints:
    """The distinct codes, sorted; ``place[code]`` becomes the number of each among them."""
    marked = np.zeros(len(place), dtype=bool)
    for some in codes:
        marked[some] = True
    distinct = np.flatnonzero(marked)
    place[distinct] = np.arange(len(distinct))
    return distinct
