"""What an encoder is trained on and judged by: the texts, the days, and the arrays of one training."""

import logging
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl

from recsys_tasks.calendar import days_before
from recsys_tasks.errors import LeakFound
from recsys_tasks.evaluate import encoder_gate
from recsys_tasks.evaluate.encoder_days import validation_cut
from recsys_tasks.extract.text import separators_of
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.pairs.audit import wrong_pairs
from recsys_tasks.pairs.coding import code_log
from recsys_tasks.pairs.negatives import named_negatives
from recsys_tasks.pairs.positives import named_pairs
from recsys_tasks.schema import Negatives, Pairs
from recsys_tasks.settings import EncoderSettings, PairSettings
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.ranker_plan import ranker_begins
from recsys_tasks.training.encoder_data import Bools, EncoderData, Source, encoder_data, held_out
from recsys_tasks.training.replay import before, limited

log = logging.getLogger(__name__)

# What an objective reads of the log; views ask nothing of it.
READ = {"history": "examples", "pairs": "pairs"}


@dataclass(frozen=True, kw_only=True)
class Ground:
    """
    Training ends at ``cut``; the days from there to ``until`` are asked about.

    ``events`` are about texts (``item_id`` holds the text) and end before ``until``; ``texts`` are those known at the
    cut, sorted; ``held`` says which of them may not be learned from; ``examples`` is the file of the night's examples.
    """

    snapshot: Snapshot
    events: pl.DataFrame
    texts: pl.Series
    held: Bools
    cut: datetime
    until: datetime
    examples: Path


def gate_cut(job: Job, events: pl.DataFrame) -> datetime:
    """
    Where training ends and the days of the encoder gate begin.

    It ends before the days that tonight's ranker learns from as well: its texts' vectors are behind the ranker's
    candidates and features, and would tell there what was taken, as they will not at serving.
    """
    settings, night = job.settings, job.night
    texts = events["item_id"].unique().sort()
    asked = validation_cut(
        events,
        texts.filter(held_out(texts, settings.encoder.cold_share, settings.seed)),
        until=night.train_until,
        days_before=lambda days: days_before(night.train_until, days, settings.zone),
        target_events=settings.target_events,
    )
    begin = events["occurred_at"].min()
    ranked = next((at for at in ranker_begins(job) if begin is not None and begin < at), asked)  # type: ignore[operator]
    return min(asked, ranked)


def training_data(
    job: Job,
    ground: Ground,
    encoder: EncoderSettings,
    pairs: PairSettings,
    seen_until: datetime | None = None,
) -> EncoderData | None:
    """
    The training's arrays; none where nothing can be learned (the shop's log is too young).

    ``seen_until``: up to where a warm start has learned from the log already; encoder.replay_share limits what is
    older, as long as enough for one step is left to learn from.
    """
    source = _source(job, ground, encoder, pairs)
    data = None
    if seen_until is not None and encoder.replay_share is not None and encoder.objective in READ:
        data = _limited(job, ground, encoder, source, seen_until, encoder.replay_share)
    return data or _arrays(job, ground, encoder, source)


def _limited(
    job: Job, ground: Ground, encoder: EncoderSettings, source: Source, seen_until: datetime, share: float
) -> EncoderData | None:
    """What the share leaves; none where that does not fill one step: many of them would learn the same few rows."""
    limit = limited(source, ground.cut, seen_until, share, job.settings.seed)
    data = _arrays(job, ground, encoder, limit)
    if data is None or _found(data, ground)[encoder.objective] < encoder.batch_texts // 2:
        log.info("too little is new since %s: encoder.replay_share has no part tonight", seen_until)
        return None
    rows = READ[encoder.objective]
    left, known = (len(getattr(some, rows)) for some in (limit, before(source, ground.cut)))
    log.info(
        "encoder.replay_share %.2f: %d of %d %s of the log are left to learn from", share, left, known, rows
    )
    return data


def _source(job: Job, ground: Ground, encoder: EncoderSettings, pairs: PairSettings) -> Source:
    source = Source(
        events=ground.events,
        items=ground.snapshot.items,
        pairs=Pairs.create_empty(),
        negatives=Negatives.create_empty(),
        examples=pl.read_parquet(ground.examples),
    )
    if encoder.objective == "pairs":
        source = replace(source, **_pairs_before(job, ground, pairs))
    return source


def _arrays(job: Job, ground: Ground, encoder: EncoderSettings, source: Source) -> EncoderData | None:
    """None where the objective finds nothing in them."""
    data = encoder_data(
        source,
        ground.texts,
        ground.held,
        cut=ground.cut,
        weights=job.settings.event_weights,
        examples=max(
            encoder.steps * encoder.batch_texts // 2, encoder.projection_steps * encoder.batch_texts
        ),
        seed=job.settings.seed,
    )
    found = _found(data, ground)[encoder.objective]
    return data if found and np.count_nonzero(~ground.held) > 1 else None


def _found(data: EncoderData, ground: Ground) -> dict[str, int]:
    """What each objective has to learn from."""
    return {
        "history": len(data.example_user),
        "pairs": len(data.pair_anchor),
        # Views ask nothing of shoppers.
        "views": len(ground.texts),
    }


def gate_trial(job: Job, ground: Ground) -> encoder_gate.Trial:
    """The shoppers and texts that an encoder is judged by."""
    return encoder_gate.trial(
        ground.events,
        ground.texts,
        ground.held,
        cut=ground.cut,
        until=ground.until,
        weights=job.settings.event_weights,
        target_events=job.settings.target_events,
        seed=job.settings.seed,
    )


def separators(job: Job, encoder: EncoderSettings) -> list[str]:
    """What stands between the fields of a text; only views ask."""
    if encoder.objective != "views":
        return []
    return separators_of(job.settings.sources.items.text, "sources.items.text")


def _pairs_before(job: Job, ground: Ground, settings: PairSettings) -> dict[str, pl.DataFrame]:
    """
    Pairs and negatives as of the cut: the night's own are its newest, and lie mostly behind it.

    So the audit of time has not seen these; raises LeakFound as it would.
    """
    log_before = code_log(ground.snapshot.events, job.settings.event_weights, ground.cut)
    pairs = named_pairs(log_before, settings, ground.cut)
    negatives = named_negatives(pairs, log_before, settings, job.settings.seed, ground.cut)
    wrong = wrong_pairs(pairs, negatives, log_before, ground.cut)
    if wrong:
        raise LeakFound("\n".join(["the encoder would learn from the future:", *map(str, wrong)]))
    return {"pairs": pairs, "negatives": negatives}
