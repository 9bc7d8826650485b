"""The night's text encoder: fine-tuned on its own nights, the newest earlier one on the others."""

import logging
import shutil
from pathlib import Path

import polars as pl

from recsys_tasks.errors import EmptyPartition, MissingArtefact
from recsys_tasks.evaluate import encoder_gate
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.model.encoder import base_folder, model_files, weights_hash
from recsys_tasks.model.similarity import Sides
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.settings.encoder import HOW_IT_RUNS
from recsys_tasks.steps.encoder_files import (
    COSINE,
    JUDGED_BY,
    MODEL,
    PICTURES,
    REFUSED,
    SIDES,
    SIMILARITY,
    WHITENING,
)
from recsys_tasks.steps.encoder_ground import Ground, gate_cut, gate_trial, training_data
from recsys_tasks.steps.encoder_pictures import draw_or_tell
from recsys_tasks.steps.encoder_start import earlier_encoder, start_of, warm_start
from recsys_tasks.steps.encoder_training import Asked, train
from recsys_tasks.steps.encoder_vectors import as_used, base_vectors
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.ranker_plan import ranker_begins
from recsys_tasks.steps.rooms import COMMON
from recsys_tasks.training import job_folder, trackers
from recsys_tasks.training.adaptation import read_adaptation
from recsys_tasks.training.checkpoints import prune
from recsys_tasks.training.encoder_data import EncoderData, as_texts, held_out, known_texts
from recsys_tasks.workspace import Artefact, Draft, Facts

log = logging.getLogger(__name__)

ROOMS = (
    *COMMON,
    "evaluate/bootstrap",
    "evaluate/encoder_days",
    "evaluate/encoder_gate",
    "extract/text",
    "model/augment",
    "model/encoder",
    "model/histories",
    "model/linear",
    "model/losses",
    "model/pooling",
    "model/similarity",
    "model/vector_cache",
    "model/whiten",
    "pairs",
    "steps/encoder_files",
    "steps/encoder_ground",
    "steps/encoder_start",
    "steps/encoder_training",
    "steps/encoder_vectors",
    "steps/finetune_encoder",
    "training/adaptation",
    "training/averaging",
    "training/checkpoints",
    "training/drift",
    "training/encoder_data",
    "training/encoding",
    "training/encoder_steps",
    "training/finetune",
    "training/held",
    "training/job_folder",
    "training/layers",
    "training/lora",
    "training/masked_tokens",
    "training/minimise",
    "training/objectives",
    "training/optimisation",
    "training/packed",
    "training/pair_steps",
    "training/processes",
    "training/projection",
    "training/projection_fit",
    "training/replay",
    "training/view_steps",
    "training/views",
)

# Which nights tune and which start cold is decided before: the start itself is an input.
NO_PART = {"every_nights", "cold_start_nights", "base", *HOW_IT_RUNS}
# What a start from the base never reads, nor one on views: they ask nothing of the log.
ONLY_WARM = {"replay_share"}


def run(job: Job) -> Facts:
    """
    On an encoder night make the artefact ``encoder``: ``model/`` and its whitening, chosen by the encoder gate.

    Where the gate refuses the tuned encoder, the base is chosen and the tuned one lies in ``refused/``. On other nights
    nothing is made: the standing encoder goes on, as long as tonight's settings would start from the same base and
    hold out the same texts.
    """
    earlier = earlier_encoder(job)
    if earlier is not None:
        log.info("night %s is no encoder night: %s goes on", job.night, earlier.ref)
        return {"artefact": earlier.ref, "reused": True, **earlier.metrics}
    warm = warm_start(job)
    pairs = job.workspace.need("pairs", job.night)
    base = base_folder(job.settings.encoder.base)
    with job.workspace.artefact(
        "encoder",
        job.night,
        inputs={
            # The pairs stand for the events before the window: nothing else of the log is read.
            "pairs": pairs.ref,
            "items": job.lake.state(job.night)["items"],
            "base": weights_hash(base),
            "warm": None if warm is None else warm.ref,
            # Where training ends is up to them.
            "ranker_begins": [at.isoformat() for at in ranker_begins(job)]
            if job.settings.encoder.enabled
            else None,
        },
        settings={
            **job.settings.encoder.model_dump(mode="json", exclude=_no_part(job, warm)),
            "event_weights": job.settings.event_weights,
            "target_events": job.settings.target_events,
        },
        rooms=ROOMS,
        seed=job.settings.seed,
        recorded={**job.lake.versions(), "train_until": job.night.train_until.isoformat()},
    ) as draft:
        if draft.is_new:
            _make(job, draft, base, warm, pairs.path)
        metrics = draft.metrics if draft.is_new else draft.artefact.metrics
    # Only now: what fails until the artefact is there goes on from them.
    shutil.rmtree(_checkpoints(job, draft), ignore_errors=True)
    log.info("encoder %s", metrics["why"])
    return {"artefact": draft.artefact.ref, "reused": not draft.is_new, **metrics}


def _no_part(job: Job, warm: Artefact | None) -> set[str]:
    """The settings that change nothing about tonight's encoder."""
    replays = warm is not None and job.settings.encoder.objective != "views"
    return NO_PART if replays else NO_PART | ONLY_WARM


def encoder_for(job: Job) -> Artefact:
    """
    The encoder this night's vectors come from.

    On encoder nights the night's own. On other nights the newest earlier one, or, before there is any, the night's
    own. Raises MissingArtefact where ``finetune_encoder`` has to run first.
    """
    found = earlier_encoder(job) or job.workspace.find("encoder", job.night)
    if found is None:
        raise MissingArtefact(f"night {job.night} has no encoder yet: run finetune_encoder first")
    return found


def _make(job: Job, draft: Draft, base: Path, warm: Artefact | None, pairs: Path) -> None:
    snapshot = job.lake.snapshot(job.night.as_of)
    if snapshot.items.is_empty():
        raise EmptyPartition(f"night {job.night}: the catalogue is empty, there is no text to learn from")
    scratch = draft.path / "training"
    facts: Facts = {"kept": False, "why": "the base as it is: encoder.enabled is false"}
    if job.settings.encoder.enabled:
        trackers.require(job.settings.encoder.trackers)
        prune(job.workspace.checkpoints, keep=draft.fingerprint)
        places = job_folder.Places(
            checkpoints=str(_checkpoints(job, draft)),
            curves=str(job.workspace.curves / f"{job.night}-{draft.fingerprint}"),
        )
        facts = _tune(job, snapshot, base, warm, pairs, scratch, places)
        if (scratch / job_folder.LOSSES).is_file():
            draw_or_tell(job, snapshot, scratch, draft.path / PICTURES)
    if facts["kept"]:
        _copy_model(scratch / job_folder.MODEL, draft.path / MODEL)
        Whitening.load(scratch / job_folder.PROJECTION).save(draft.path / WHITENING)
        if (scratch / job_folder.SIMILARITY).is_file():
            shutil.copyfile(scratch / job_folder.SIMILARITY, draft.path / SIMILARITY)
    else:
        _copy_model(base, draft.path / MODEL)
        catalogue = snapshot.items["text"].unique().sort()
        Whitening.fit(base_vectors(job, base, catalogue)).save(draft.path / WHITENING)
        if (scratch / job_folder.MODEL).is_dir():
            (scratch / job_folder.MODEL).replace(draft.path / REFUSED)
    shutil.rmtree(scratch, ignore_errors=True)
    draft.metrics.update(facts)


def _checkpoints(job: Job, draft: Draft) -> Path:
    """Outside of the draft, which is thrown away where the training fails."""
    return job.workspace.checkpoints / draft.fingerprint


def _tune(
    job: Job,
    snapshot: Snapshot,
    base: Path,
    warm: Artefact | None,
    pairs: Path,
    scratch: Path,
    places: job_folder.Places,
) -> Facts:
    """Train in ``scratch`` and put the result before the encoder gate: the decision and its figures."""
    settings, seed = job.settings.encoder, job.settings.seed
    before_window = snapshot.events.filter(pl.col("occurred_at") < job.night.train_until)
    events = as_texts(before_window, snapshot.items)
    cut = gate_cut(job, events)
    texts = known_texts(events, cut, job.settings.event_weights)
    held = held_out(texts, settings.cold_share, seed)
    ground = Ground(
        snapshot=snapshot,
        events=events,
        texts=texts,
        held=held,
        cut=cut,
        until=job.night.train_until,
        examples=pairs / "examples.parquet",
    )
    start = start_of(warm, base, cut)
    data = training_data(job, ground, settings, job.settings.pairs, start.seen_until)
    if data is None:
        return {"kept": False, "why": f"the base as it is: nothing to learn from before {cut:%Y-%m-%d}"}
    # From the one encoder whose vectors are cached: the trainer's own differ in the last digits, and what a later night
    # finds in the cache must not depend on who put it there.
    frozen = base_vectors(job, base, texts)
    asked = Asked(texts, data, lambda: _whole(job, ground, data), base, frozen, places)
    trained = train(job, scratch, asked, start)
    adaptation = read_adaptation(scratch)
    whitened = Whitening.fit(frozen).apply(frozen)
    tuned = as_used(scratch)
    verdict = encoder_gate.judge(gate_trial(job, ground), whitened, tuned, seed=seed)
    return {
        **encoder_gate.facts(verdict),
        JUDGED_BY: SIDES if isinstance(tuned, Sides) else COSINE,
        **vars(trained.report),
        **({} if adaptation is None else {"adaptation": vars(adaptation)}),
        "held_out": int(held.sum()),
        "trained_before": cut.isoformat(),
        "warm_started": trained.start.is_warm,
        "drift_of_refused_warm_start": trained.refused_drift,
    }


def _whole(job: Job, ground: Ground, data: EncoderData) -> EncoderData:
    """What a start from the base learns from, where a warm start learned from ``data``."""
    if job.settings.encoder.replay_share is None:
        return data
    whole = training_data(job, ground, job.settings.encoder, job.settings.pairs)
    assert whole is not None, "data is a part of it"
    return whole


def _copy_model(source: Path, target: Path) -> None:
    target.mkdir()
    for file in model_files(source):
        shutil.copyfile(file, target / file.name)
