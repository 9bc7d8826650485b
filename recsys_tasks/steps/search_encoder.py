"""
Search encoder settings on days and texts that the encoder gate never asks about.

The gate's days are cut off, and so are the texts it holds out. Of what is left, the last days (as many as the gate
would take) and other held-out texts are the search's own; each trial trains before those days and is judged on them.
So the gate stays an honest judge of whatever the search finds, and the window behind it is twice out of sight.
"""

import shutil
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from recsys_tasks.calendar import days_before
from recsys_tasks.errors import EmptyPartition, TrainingFailed
from recsys_tasks.evaluate.encoder_days import validation_cut
from recsys_tasks.evaluate.encoder_gain import gain
from recsys_tasks.evaluate.encoder_gate import Trial
from recsys_tasks.model.arrays import Floats
from recsys_tasks.model.encoder import base_folder, layers_of, weights_hash
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.search.arena import Arena, Days
from recsys_tasks.search.encoder_spaces import Choice, EncoderSpace
from recsys_tasks.search.study import Score
from recsys_tasks.steps import finetune_encoder
from recsys_tasks.steps.encoder_ground import Ground, gate_cut, gate_trial, separators, training_data
from recsys_tasks.steps.encoder_vectors import as_used, base_vectors
from recsys_tasks.steps.finetune_encoder import NO_PART, ONLY_WARM
from recsys_tasks.steps.job import Job
from recsys_tasks.training import finetune, job_folder
from recsys_tasks.training.encoder_data import as_texts, held_out, known_texts
from recsys_tasks.training.launch import launch

# Added to the shop's seed: the search holds out other texts than the gate, or it would choose what the gate asks about.
OTHER_TEXTS = 7919


def encoder_arena(job: Job, kind: type[EncoderSpace], scratch: Path) -> "EncoderArena":
    """The night's arena for one kind of encoder settings; trials are trained in the folder ``scratch``."""
    ground = ground_of(job)
    return EncoderArena(Days(ground.cut, ground.until), job, ground, kind, scratch)


def ground_of(job: Job) -> Ground:
    """The search's own days and texts."""
    settings, snapshot = job.settings, job.lake.snapshot(job.night.as_of)
    known = as_texts(snapshot.events.filter(pl.col("occurred_at") < job.night.train_until), snapshot.items)
    until = gate_cut(job, known)
    texts = known["item_id"].unique().sort()
    gates = texts.filter(held_out(texts, settings.encoder.cold_share, settings.seed))
    events = known.filter(pl.col("occurred_at") < until, ~pl.col("item_id").is_in(gates.implode()))
    if events.is_empty():
        raise EmptyPartition(
            f"night {job.night}: nothing happened before the encoder gate's days ({until:%Y-%m-%d}): load more history"
        )
    texts = events["item_id"].unique().sort()
    cut = validation_cut(
        events,
        texts.filter(held_out(texts, settings.encoder.cold_share, settings.seed + OTHER_TEXTS)),
        until=until,
        days_before=lambda days: days_before(until, days, settings.zone),
        target_events=settings.target_events,
    )
    texts = known_texts(events, cut, settings.event_weights)
    return Ground(
        snapshot=snapshot,
        events=events,
        texts=texts,
        held=held_out(texts, settings.encoder.cold_share, settings.seed + OTHER_TEXTS),
        cut=cut,
        until=until,
        examples=job.workspace.need("pairs", job.night).path / "examples.parquet",
    )


@dataclass(frozen=True)
class EncoderArena(Arena[Choice]):
    """Where encoders are trained and judged; what all of them share is made once."""

    job: Job
    ground: Ground
    kind: type[EncoderSpace]
    scratch: Path

    rooms: ClassVar[tuple[str, ...]] = (
        *finetune_encoder.ROOMS,
        "evaluate/encoder_gain",
        "evaluate/relative",
        "search/encoder_spaces",
        "steps/search_encoder",
    )

    @cached_property
    def space(self) -> EncoderSpace:
        return self.kind(self.job.settings.encoder, self.job.settings.pairs, layers_of(self.base))

    @cached_property
    def base(self) -> Path:
        return base_folder(self.job.settings.encoder.base)

    @cached_property
    def frozen(self) -> Floats:
        return base_vectors(self.job, self.base, self.ground.texts)

    @cached_property
    def trial(self) -> Trial:
        return gate_trial(self.job, self.ground)

    def score(self, choice: Choice) -> Score:
        """Train as the choice says, from the base, and compare with the whitened base."""
        began = time.monotonic()
        data = training_data(self.job, self.ground, choice.encoder, choice.pairs)
        if data is None:
            # Of this trial's objective, that is: another may find something.
            raise TrainingFailed(
                f"objective {choice.encoder.objective} finds nothing to learn from before {self.ground.cut:%Y-%m-%d}"
            )
        shutil.rmtree(self.scratch, ignore_errors=True)
        job_folder.write_job(
            self.scratch,
            self.base,
            choice.encoder,
            self.job.settings.seed,
            self.ground.texts,
            data,
            # Adapted to the catalogue first, the base has other vectors than these.
            start_vectors=self.frozen if choice.encoder.adapt is None else None,
            separators=separators(self.job, choice.encoder),
        )
        launch(finetune.__name__, self.scratch)
        whitened = Whitening.fit(self.frozen).apply(self.frozen)
        found = gain(self.trial, whitened, as_used(self.scratch))
        shutil.rmtree(self.scratch, ignore_errors=True)
        figures = {name: round(value, 5) for name, value in vars(found).items() if name != "value"}
        return Score(found.value, {**figures, "seconds": round(time.monotonic() - began, 1)})

    def depends_on(self) -> dict[str, Any]:
        settings = self.job.settings
        return {
            "pairs": self.job.workspace.need("pairs", self.job.night).ref,
            "lake": self.job.lake.state(self.job.night),
            "base": weights_hash(self.base),
            # A trial starts from the base and is judged at once: where it lands, and from where, is no part of it.
            "encoder": settings.encoder.model_dump(mode="json", exclude=NO_PART | ONLY_WARM | {"max_drift"}),
            "pair settings": settings.pairs.model_dump(mode="json"),
        }
