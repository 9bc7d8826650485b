"""
The night's ranker, with the base towers that it learned from.

The base towers see nothing of the ranker's days: a ranker must learn from candidates of a model that did not know
what was taken. For the same reason a tuned encoder ends where these days begin (``encoder_ground``), and the purchase
classifier, where the ranker reads one, is fitted to what the base towers saw; it stays with the ranker. The ranker
learns from cuts every other week within those days, each labelled by the four weeks behind it: a shopper takes few new
items in a week, and shorter labels, or one cut alone, were measured to be worse. How much the towers' own score counts
beside the learned order is decided at a cut that was held out (``ranker_proof``).
"""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

from recsys_tasks.errors import LeakFound
from recsys_tasks.model.one_blas_thread import ONE_BLAS_THREAD
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.pairs.audit import LearningCut, labels_in_the_window
from recsys_tasks.recommend.ahead import ahead
from recsys_tasks.recommend.batches import WORKERS
from recsys_tasks.recommend.context import Context
from recsys_tasks.recommend.features import NAMES
from recsys_tasks.recommend.night_model import NightModel
from recsys_tasks.recommend.ranker import HEADS, Groups, Ranker, fit_booster, load_lightgbm
from recsys_tasks.recommend.ranker_data import groups_at
from recsys_tasks.recommend.scorer import scorer_in
from recsys_tasks.steps.champion import context_of
from recsys_tasks.steps.examples_before import examples_before
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.ranker_cuts import Plan
from recsys_tasks.steps.ranker_plan import learned_until, preferred, taken
from recsys_tasks.steps.ranker_proof import prove
from recsys_tasks.steps.standing_ranker import (
    CLASSIFIER,
    classifier_base,
    earlier_ranker,
    rooms_of,
    settings_of,
)
from recsys_tasks.workspace import Artefact, Draft, Facts

log = logging.getLogger(__name__)

# Training groups by head and cut.
Heads = dict[str, dict[LearningCut, Groups]]

BASE = "base"
# Fewer candidates that were taken than this teach no order.
MIN_HITS = 50


def run(job: Job) -> Facts:
    """Make the artefact ``ranker``, or name the newest earlier one on nights that fit none."""
    vectors = job.workspace.need("vectors", job.night)
    encoder = str(vectors.manifest["inputs"]["encoder"])
    earlier = earlier_ranker(job, encoder)
    if earlier is not None:
        return {"artefact": earlier.ref, "reused": True, **earlier.metrics}
    before_window = job.night.shift(-job.night.gate_days)
    with job.workspace.artefact(
        "ranker",
        job.night,
        inputs={
            "vectors": vectors.ref,
            "classifier_base": classifier_base(job),
            **job.lake.state(before_window),
        },
        settings=settings_of(job),
        rooms=rooms_of(job),
        seed=job.settings.seed,
        recorded={
            **job.lake.versions(),
            "encoder": encoder,
            "train_until": job.night.train_until.isoformat(),
        },
    ) as draft:
        if draft.is_new:
            draft.metrics.update(encoder=encoder, features=list(NAMES))
            _make(job, vectors, draft, learned_until(job, encoder))
        facts = draft.metrics if draft.is_new else draft.artefact.metrics
    return {"artefact": draft.artefact.ref, "reused": not draft.is_new, **facts}


def _make(job: Job, vectors: Artefact, draft: Draft, seen: datetime | None) -> None:
    text = TextVectors.load(vectors.path)
    why = "the log has nothing to learn from before the ranker's days"
    for plan in preferred(job):
        begin = plan[0].at
        if seen is not None and begin < seen:
            why = (
                f"the encoder learned from the ranker's days, up to {seen}; the next encoder night's does not"
            )
            log.info("no cut at %s: the encoder has learned up to %s", begin, seen)
            continue
        # What is known of the first cut without a model is worked out while the base towers learn. Sums have other last
        # digits with other threads, so nobody's number of threads may depend on what runs beside.
        with ONE_BLAS_THREAD, ahead(_contexts(job, plan)) as contexts:
            base = _base_towers(job, text, begin)
            if base is not None:
                _learn(job, NightModel("base", base, text, None, job.settings.ranker), plan, contexts, draft)
                return
        log.info("the log has nothing to learn from before %s", begin)
    draft.metrics.update(fitted=False, why=why)


def _contexts(job: Job, plan: Plan) -> Iterator[Context]:
    """The shop as of each cut, with what takes longest of it."""
    for cut in plan:
        context = context_of(job, job.lake.snapshot(cut.at))
        _ = context.neighbours
        yield context


def _learn(job: Job, model: NightModel, plan: Plan, contexts: Iterator[Context], draft: Draft) -> None:
    """Fit a ranker to the candidates of ``model``, whose towers stay with it."""
    model.towers.save(draft.path / BASE)
    if job.settings.classifier.enabled:
        from recsys_tasks.steps.fit_classifier import fit_classifier

        draft.metrics.update(classifier=fit_classifier(job, plan[0].at, draft.path / CLASSIFIER))
    model = replace(model, scorer=scorer_in(draft.path / CLASSIFIER))
    draft.metrics.update(cuts=[cut.at.isoformat() for cut in plan])
    _fit(job, _groups(job, model, plan, contexts), draft)


def _base_towers(job: Job, text: TextVectors, until: datetime) -> TowerModel | None:
    """Towers fitted to what happened before the ranker's days; none where nothing can be learned from that."""
    settings = job.settings
    snapshot = job.lake.snapshot(until)
    examples = examples_before(job, snapshot)
    if examples is None:
        return None
    # Torch, which takes seconds to import, is needed on the nights that fit a ranker only.
    from recsys_tasks.training.towers import fit_towers

    fit = fit_towers(snapshot, examples, text, settings.towers, settings.event_weights, until, settings.seed)
    return fit.model


def _groups(job: Job, model: NightModel, plan: Plan, contexts: Iterator[Context]) -> Heads:
    """The training groups of each head at each cut."""
    leaks = labels_in_the_window(plan, job.night.train_until)
    if leaks:
        raise LeakFound("\n".join(map(str, leaks)))
    settings, seed = job.settings.ranker, job.settings.seed
    heads: Heads = {head: {} for head in HEADS}
    for cut, context in zip(plan, contexts, strict=True):
        for head, groups in groups_at(model.at(context), taken(job, cut), settings, seed).items():
            heads[head] |= {cut: groups} if groups else {}
        sizes = {head: len(parts[cut].sizes) for head, parts in heads.items() if cut in parts}
        log.info("cut %s: shoppers to learn from: %s", cut.at, sizes)
    return heads


def _fit(job: Job, heads: Heads, draft: Draft) -> None:
    joined = {head: Groups.joined([*parts.values()]) for head, parts in heads.items() if parts}
    able = {head: groups for head, groups in joined.items() if groups.labels.sum() >= MIN_HITS}
    if not able:
        draft.metrics.update(
            fitted=False, why=f"fewer than {MIN_HITS} candidates were taken in the ranker's days"
        )
        return
    settings, seed = job.settings.ranker, job.settings.seed
    load_lightgbm()
    # Each has one thread.
    with ThreadPoolExecutor(WORKERS) as pool:
        grown = {head: pool.submit(fit_booster, groups, settings, seed) for head, groups in able.items()}
        asked = {head: pool.submit(prove, heads[head], settings, seed, MIN_HITS) for head in able}
    proofs = {head: proof.result() for head, proof in asked.items()}
    ranker = Ranker(
        {head: booster.result() for head, booster in grown.items()},
        {head: proof.weight for head, proof in proofs.items()},
    )
    ranker.save(draft.path)
    draft.metrics.update(
        fitted=True,
        heads={
            head: {
                "rows": len(some.labels),
                "groups": len(some.sizes),
                "hits": int(some.labels.sum()),
                "tower_weight": proofs[head].weight,
                "tower_weight_is": proofs[head].how,
                "held_out_ndcg": {str(weight): round(ndcg, 4) for weight, ndcg in proofs[head].ndcg.items()},
            }
            for head, some in able.items()
        },
        importance={head: dict(list(gains.items())[:10]) for head, gains in ranker.importance().items()},
    )
