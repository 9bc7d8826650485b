"""The night's towers, fitted to what happened before the window."""

import logging

import polars as pl

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.settings import Settings
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.lineage import of_champion
from recsys_tasks.steps.rooms import TOWER_ROOMS
from recsys_tasks.training.tower_data import has_positives
from recsys_tasks.training.towers import FitResult, fit_towers
from recsys_tasks.workspace import Artefact, Draft, Facts

log = logging.getLogger(__name__)

ROOMS = (*TOWER_ROOMS, "steps/train_towers")


def run(job: Job) -> Facts:
    """
    Make the artefact ``towers``.

    They start from the towers of the champion (the newest accepted model of an earlier night) where the operator
    lets them and the champion reads the same encoder's vectors; else from scratch. A shop too young for a single
    training example gets none: the artefact says ``fitted: false`` and ``why``.
    """
    pairs, vectors = (job.workspace.need(name, job.night) for name in ("pairs", "vectors"))
    warm = warm_start(job, vectors)
    with job.workspace.artefact(
        "towers",
        job.night,
        inputs={"pairs": pairs.ref, "vectors": vectors.ref, "warm": warm.ref if warm else None},
        settings={
            **job.settings.towers.as_fitted(),
            "event_weights": job.settings.event_weights,
        },
        rooms=ROOMS,
        seed=job.settings.seed,
        recorded={
            **job.lake.versions(),
            "encoder": encoder_of(vectors),
            "train_until": job.night.train_until.isoformat(),
        },
    ) as draft:
        if draft.is_new:
            _make(job, draft, pairs, vectors, warm)
        facts = draft.metrics if draft.is_new else draft.artefact.metrics
    return {"artefact": draft.artefact.ref, "reused": not draft.is_new, **facts}


def encoder_of(vectors: Artefact) -> str:
    """The ref of the encoder that made these vectors."""
    return str(vectors.manifest["inputs"]["encoder"])


def warm_start(job: Job, vectors: Artefact) -> Artefact | None:
    """The champion's towers, where tonight's may go on from them."""
    earlier = of_champion(job, "towers") if job.options.start == "warm" else None
    if earlier is None:
        return None
    try:
        TowerModel.facts_in(earlier.path)
    except MissingArtefact as gone:
        log.warning("%s; the towers start from scratch", gone)
        return None
    same_encoder = earlier.manifest["recorded"]["encoder"] == encoder_of(vectors)
    # What is learned under one similarity or by one kind of user tower is no start for another: its scale would stay.
    same = ("dim", "similarity", "user")
    asked = job.settings.towers.model_dump(mode="json", include=set(same))
    alike = all(earlier.manifest["settings"].get(name) == asked[name] for name in same)
    return earlier if same_encoder and alike else None


def why_no_examples(settings: Settings) -> str:
    """What an operator reads where the log is too short to learn from."""
    return (
        f"the log has no training example yet: one needs a history, and {settings.pairs.target_days} days behind it "
        "(pairs.target_days) that end before the days kept for the gate (gate.days)"
    )


def _make(job: Job, draft: Draft, pairs: Artefact, vectors: Artefact, warm: Artefact | None) -> None:
    examples = pl.read_parquet(pairs.path / "examples.parquet")
    if not has_positives(examples, job.settings.towers, job.night.train_until):
        draft.metrics.update(fitted=False, why=why_no_examples(job.settings), warm=False)
        log.warning("no towers: %s", draft.metrics["why"])
        return
    result = _fit(job, examples, vectors, warm)
    result.model.save(draft.path)
    draft.metrics.update(figures(result), fitted=True, warm=warm is not None)


def _fit(job: Job, examples: pl.DataFrame, vectors: Artefact, warm: Artefact | None) -> FitResult:
    return fit_towers(
        job.lake.snapshot(job.night.train_until),
        examples,
        TextVectors.load(vectors.path),
        job.settings.towers,
        job.settings.event_weights,
        job.night.train_until,
        job.settings.seed,
        TowerModel.load(warm.path) if warm else None,
    )


def figures(result: FitResult) -> Facts:
    """How a fit went, for the manifest and the page."""
    return {
        "loss_first": round(result.loss_first, 4),
        "loss_last": round(result.loss_last, 4),
        "epochs": result.epochs,
        "examples": result.examples,
        "items": len(result.model.item_ids),
    }
