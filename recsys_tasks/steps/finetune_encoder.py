"""The night's text encoder: fine-tuned on its own nights, the newest earlier one on the others."""

import logging
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from recsys_tasks.calendar import days_before
from recsys_tasks.errors import EmptyPartition, MissingArtefact
from recsys_tasks.evaluate import encoder_gate
from recsys_tasks.evaluate.encoder_days import validation_cut
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.model.arrays import Floats
from recsys_tasks.model.encoder import TextEncoder, base_folder, model_files, weights_hash
from recsys_tasks.model.progress import progress_lines
from recsys_tasks.model.vector_cache import VectorCache, encode_cached
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.settings.encoder import HOW_IT_RUNS
from recsys_tasks.steps.encoder_ground import Ground, gate_trial, separators, training_data
from recsys_tasks.steps.encoder_pictures import draw_or_tell
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.lineage import goes_on, standing
from recsys_tasks.steps.rooms import COMMON
from recsys_tasks.training import finetune, job_folder, trackers
from recsys_tasks.training.adaptation import read_adaptation
from recsys_tasks.training.checkpoints import prune
from recsys_tasks.training.encoder_data import EncoderData, as_texts, held_out, known_texts
from recsys_tasks.training.launch import launch
from recsys_tasks.training.nodes import Nodes, announced
from recsys_tasks.workspace import Artefact, Draft, Facts

log = logging.getLogger(__name__)

MODEL = "model"
# The linear map behind the model: the base's whitening, or the one that was trained from it.
WHITENING = "whitening.safetensors"
REFUSED = "refused"
PICTURES = "pictures"

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
    "steps/encoder_ground",
    "steps/finetune_encoder",
    "training/adaptation",
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
    "training/view_steps",
    "training/views",
)

# Which nights tune and which start cold is decided before: the start itself is an input.
NO_PART = {"every_nights", "cold_start_nights", "base", *HOW_IT_RUNS}


def run(job: Job) -> Facts:
    """
    On an encoder night make the artefact ``encoder``: ``model/`` and its whitening, chosen by the encoder gate.

    Where the gate refuses the tuned encoder, the base is chosen and the tuned one lies in ``refused/``. On other nights
    nothing is made: the standing encoder goes on, as long as tonight's settings would start from the same base and
    hold out the same texts.
    """
    earlier = _earlier(job)
    if earlier is not None:
        log.info("night %s is no encoder night: %s goes on", job.night, earlier.ref)
        return {"artefact": earlier.ref, "reused": True, **earlier.metrics}
    warm = _warm_start(job)
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
        },
        settings={
            **job.settings.encoder.model_dump(mode="json", exclude=NO_PART),
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


def encoder_for(job: Job) -> Artefact:
    """
    The encoder this night's vectors come from.

    On encoder nights the night's own. On other nights the newest earlier one, or, before there is any, the night's
    own. Raises MissingArtefact where ``finetune_encoder`` has to run first.
    """
    found = _earlier(job) or job.workspace.find("encoder", job.night)
    if found is None:
        raise MissingArtefact(f"night {job.night} has no encoder yet: run finetune_encoder first")
    return found


def caches(job: Job) -> Path:
    """The folder of the vector caches of all encoders."""
    return job.workspace.home / "cache" / "vectors"


def _earlier(job: Job) -> Artefact | None:
    """The encoder that goes on, on nights that do not make their own."""
    return _if_alike(job, goes_on(job, "encoder", job.settings.encoder.every_nights))


def _warm_start(job: Job) -> Artefact | None:
    """The standing encoder, if its tuning was kept and the operator does not start from scratch."""
    if job.options.start == "scratch" or not job.settings.encoder.enabled:
        return None
    cold = job.settings.encoder.cold_start_nights
    if cold is not None and job.night.is_every(cold):
        log.info("night %s starts from the base: encoder.cold_start_nights is %d", job.night, cold)
        return None
    earlier = _if_alike(job, standing(job, "encoder"))
    return earlier if earlier is not None and earlier.metrics["kept"] else None


def _if_alike(job: Job, earlier: Artefact | None) -> Artefact | None:
    """
    An earlier encoder, if tonight's settings mean the same base and the same held-out texts.

    Trained on texts that tonight holds out, it would pass tonight's encoder gate by having seen the answers.
    """
    if earlier is None:
        return None
    made_by, settings = earlier.manifest, job.settings.encoder
    differs = {
        "base": made_by["inputs"]["base"] != weights_hash(base_folder(settings.base)),
        "cold_share": made_by["settings"]["cold_share"] != settings.cold_share,
        "max_tokens": made_by["settings"]["max_tokens"] != settings.max_tokens,
        "pooling": made_by["settings"].get("pooling", "auto") != settings.pooling,
        "seed": made_by["seed"] != job.settings.seed,
    }
    changed = [name for name, is_other in differs.items() if is_other]
    if changed:
        log.info("%s does not go on: it was made with another %s", earlier.ref, " and ".join(changed))
    return None if changed else earlier


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
            shutil.copyfile(scratch / job_folder.SIMILARITY, draft.path / job_folder.SIMILARITY)
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
    data = training_data(job, ground, settings, job.settings.pairs)
    if data is None:
        return {"kept": False, "why": f"the base as it is: nothing to learn from before {cut:%Y-%m-%d}"}
    start = _start(warm, base, cut)
    # From the one encoder whose vectors are cached: the trainer's own differ in the last digits, and what a later night
    # finds in the cache must not depend on who put it there.
    frozen = base_vectors(job, base, texts)
    asked = Asked(texts, data, base, frozen, places)
    report = _trained(job, scratch, asked, start)
    drifted = report.drift if start != base and report.drift > settings.max_drift else None
    if drifted is not None:
        log.warning(
            "the warm start drifted by %.3f, more than encoder.max_drift %.3f: training starts from the base",
            drifted,
            settings.max_drift,
        )
        start = base
        report = _trained(job, scratch, asked, start)
    tuned, adaptation = job_folder.read_vectors(scratch), read_adaptation(scratch)
    trial = gate_trial(job, ground)
    projected = Whitening.load(scratch / job_folder.PROJECTION).apply(tuned)
    verdict = encoder_gate.judge(trial, Whitening.fit(frozen).apply(frozen), projected, seed=seed)
    return {
        **encoder_gate.facts(verdict),
        **vars(report),
        **({} if adaptation is None else {"adaptation": vars(adaptation)}),
        "held_out": int(held.sum()),
        "trained_before": cut.isoformat(),
        "warm_started": start != base,
        "drift_of_refused_warm_start": drifted,
    }


@dataclass(frozen=True)
class Asked:
    """What a training gets beside the model it starts from."""

    texts: pl.Series
    data: EncoderData
    base: Path
    frozen: Floats
    places: job_folder.Places


def _trained(job: Job, folder: Path, asked: Asked, start: Path) -> job_folder.Report:
    """Train from ``start`` in ``folder``, which is made anew."""
    settings = job.settings.encoder
    if start != asked.base:
        # An encoder that goes on from an earlier night knows the catalogue's language from there.
        if settings.adapt is not None:
            log.info("encoder.adapt has no part tonight: training goes on from an earlier night's encoder")
        settings = settings.model_copy(update={"adapt": None})
    shutil.rmtree(folder, ignore_errors=True)
    job_folder.write_job(
        folder,
        start,
        settings,
        job.settings.seed,
        asked.texts,
        asked.data,
        start_vectors=asked.frozen if start == asked.base and settings.adapt is None else None,
        separators=separators(job, settings),
        places=asked.places,
    )
    nodes = Nodes(count=settings.nodes, endpoint=settings.rendezvous or "")
    with announced(job.workspace.home, nodes, finetune.__name__, folder):
        launch(finetune.__name__, folder, nodes=nodes)
    return job_folder.read_report(folder)


def _start(warm: Artefact | None, base: Path, cut: datetime) -> Path:
    """The model that training starts from: one that has seen days the gate asks about would pass by knowing them."""
    if warm is None:
        return base
    if datetime.fromisoformat(warm.metrics["trained_before"]) > cut:
        log.info("%s has seen days that tonight's gate asks about: training starts from the base", warm.ref)
        return base
    return warm.path / MODEL


def gate_cut(job: Job, events: pl.DataFrame) -> datetime:
    """Training ends where the days of the encoder gate begin."""
    settings, night = job.settings, job.night
    texts = events["item_id"].unique().sort()
    return validation_cut(
        events,
        texts.filter(held_out(texts, settings.encoder.cold_share, settings.seed)),
        until=night.train_until,
        days_before=lambda days: days_before(night.train_until, days, settings.zone),
        target_events=settings.target_events,
    )


def base_vectors(job: Job, base: Path, texts: pl.Series) -> Floats:
    """The base's raw vectors, from the cache where known."""
    settings = job.settings.encoder
    cache = VectorCache.of(caches(job), base, settings.max_tokens, settings.pooling)
    encoder = TextEncoder.load(base, settings.max_tokens, pooling=settings.pooling)
    return encode_cached(encoder, cache, texts.to_list(), progress_lines(log, "texts encoded"))[0]


def _copy_model(source: Path, target: Path) -> None:
    target.mkdir()
    for file in model_files(source):
        shutil.copyfile(file, target / file.name)
