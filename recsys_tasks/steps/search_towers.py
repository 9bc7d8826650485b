"""
Search policies of views of histories on days before the window, which the gate keeps for itself.

The last days before the window are the search's own. Towers see what is before them only, and are judged there by
their own lists, without a ranker, as a night's lists are made and measured. What counts is how much they gain over the
shop's own towers without views. A shop without views has them tried with ``user: transformer`` and a ``view_weight``
of .1.
"""

import time
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

import polars as pl

from recsys_tasks.calendar import days_before
from recsys_tasks.errors import DataError, EmptyPartition, LeakFound, MissingArtefact, TrainingFailed
from recsys_tasks.evaluate.encoder_days import validation_cut
from recsys_tasks.evaluate.gate import deciding_slice
from recsys_tasks.evaluate.relative import relative_gain
from recsys_tasks.evaluate.window import K
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.recommend.night_model import NightModel
from recsys_tasks.search.arena import Arena, Days
from recsys_tasks.search.history_space import HistorySpace
from recsys_tasks.search.study import Score
from recsys_tasks.settings import TowerSettings
from recsys_tasks.steps.evaluate import list_settings
from recsys_tasks.steps.examples_before import examples_before
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.ranker_plan import learned_until
from recsys_tasks.steps.rooms import LIST_ROOMS, TOWER_ROOMS
from recsys_tasks.steps.scoreboard import score_models
from recsys_tasks.steps.train_towers import encoder_of
from recsys_tasks.training.towers import fit_towers
from recsys_tasks.workspace import Artefact

NDCG = f"ndcg@{K}"


def towers_arena(job: Job) -> "TowersArena":
    """
    The night's arena for towers.

    Raises MissingArtefact where the night has no vectors, LeakFound where these know the days that are judged on,
    EmptyPartition where the log is too short to hold days back.
    """
    vectors = job.workspace.need("vectors", job.night)
    days = _days(job)
    _require_blind(job, vectors, days.cut)
    snapshot = job.lake.snapshot(days.cut)
    examples = examples_before(job, snapshot)
    if examples is None:
        raise EmptyPartition(
            f"night {job.night}: before {days.cut:%Y-%m-%d}, where the search's own days begin, no shopper has a "
            f"history and {job.settings.pairs.target_days} days behind it (pairs.target_days): load more history"
        )
    return TowersArena(days, job, vectors, snapshot, examples)


@dataclass(frozen=True)
class TowersArena(Arena[TowerSettings]):
    """Where towers are fitted and judged; what all of them share is made once."""

    job: Job
    vectors: Artefact
    snapshot: Snapshot
    """The shop as towers know it: at the cut."""
    examples: pl.DataFrame

    rooms: ClassVar[tuple[str, ...]] = (
        *LIST_ROOMS,
        *TOWER_ROOMS,
        "evaluate",
        "pairs",
        "search/history_space",
        "steps/evaluate",
        "steps/examples_before",
        "steps/ranker_plan",
        "steps/scoreboard",
        "steps/search_towers",
    )

    @cached_property
    def space(self) -> HistorySpace:
        return HistorySpace(self.job.settings.towers)

    @cached_property
    def text(self) -> TextVectors:
        return TextVectors.load(self.vectors.path)

    @cached_property
    def without_views(self) -> float:
        """NDCG of the towers that every trial is compared with; what stops their fit is no trial's failure."""
        try:
            return self._ndcg(self.space.without_views())
        except TrainingFailed as error:
            raise DataError(
                f"the towers without views, which every trial is compared with: {error}"
            ) from error

    def score(self, choice: TowerSettings) -> Score:
        without = self.without_views
        began = time.monotonic()
        found = self._ndcg(choice)
        figures = {"ndcg": found, "ndcg_without": without, "seconds": round(time.monotonic() - began, 1)}
        return Score(relative_gain(found, without), figures)

    def depends_on(self) -> dict[str, Any]:
        job, settings = self.job, self.job.settings
        return {
            "vectors": self.vectors.ref,
            # What happens inside the window changes no value.
            "lake": job.lake.state(job.night.shift(-job.night.gate_days)),
            "towers": settings.towers.as_fitted(),
            "pairs": settings.pairs.model_dump(mode="json"),
            "lists": list_settings(job),
            "gate": settings.gate.model_dump(mode="json"),
            "time_zone": settings.time_zone,
        }

    def _ndcg(self, settings: TowerSettings) -> float:
        """NDCG@10 of the lists that such towers make, over the shoppers whom the gate would ask."""
        job = self.job
        weights, seed = job.settings.event_weights, job.settings.seed
        fit = fit_towers(self.snapshot, self.examples, self.text, settings, weights, self.days.cut, seed)
        model = NightModel("towers", fit.model, self.text, None, job.settings.ranker)
        board = score_models(job, {model.ref: model}, model.ref, *self.days)
        part = deciding_slice(job.settings.rules.repeats_allowed)
        row = board.tables[part][0]
        if not row["users"]:
            raise EmptyPartition(
                f"night {job.night}: nobody took an item that counts ({part}) from {self.days.cut:%Y-%m-%d} to "
                f"{self.days.until:%Y-%m-%d}: nothing to search by; load more history"
            )
        return float(row[NDCG])


def _days(job: Job) -> Days:
    """As many days as the encoder gate would take if it asked about every item."""
    until = job.night.train_until
    events = job.lake.snapshot(until).events
    cut = validation_cut(
        events,
        # The more that may be asked about, the fewer the days: the night's own encoder ends before them.
        events["item_id"].unique(),
        until=until,
        days_before=lambda days: days_before(until, days, job.settings.zone),
        target_events=job.settings.target_events,
    )
    return Days(cut, until)


def _require_blind(job: Job, vectors: Artefact, cut: datetime) -> None:
    """An encoder that learned from the days that are judged on would tell there what was taken."""
    encoder = encoder_of(vectors)
    try:
        job.workspace.at(encoder)
    except MissingArtefact:
        raise MissingArtefact(
            f"night {job.night}: {encoder}, which made its vectors, is gone, so nobody can tell which days it has "
            "learned from: run finetune_encoder and encode_items again"
        ) from None
    seen = learned_until(job, encoder)
    if seen is not None and seen > cut:
        raise LeakFound(
            f"night {job.night}: the encoder of its vectors has learned up to {seen:%Y-%m-%d}, from the days that the "
            f"search judges on (from {cut:%Y-%m-%d} on): search the next encoder night, whose own encoder ends before"
        )
