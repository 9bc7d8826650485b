"""
The night's ranker, with the base towers that it learned from.

The base towers see nothing of the ranker's days: a ranker must learn from candidates of a model that did not know
what was taken. Lists that may repeat are learned from weekly cuts within those days, each labelled by the week
behind it. Lists of new items are learned from the first cut, labelled by all of the days: a shopper takes few new
items in a week, and shorter labels were measured to be worse.
"""

import logging
from collections.abc import Iterator
from datetime import datetime

import polars as pl

from recsys_tasks.model.towers import TowerModel
from recsys_tasks.model.vectors import TextVectors
from recsys_tasks.pairs.examples import basket_examples
from recsys_tasks.recommend.features import NAMES
from recsys_tasks.recommend.night_model import NightModel
from recsys_tasks.recommend.ranker import HEADS, Groups, Ranker, fit_booster
from recsys_tasks.recommend.ranker_data import groups_at
from recsys_tasks.steps.champion import recommender
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.rooms import RANKER_ROOMS
from recsys_tasks.steps.standing_ranker import earlier_ranker, settings_of
from recsys_tasks.training.tower_data import has_positives
from recsys_tasks.training.towers import fit_towers
from recsys_tasks.workspace import Artefact, Draft, Facts

log = logging.getLogger(__name__)

BASE = "base"
LABEL_DAYS = 7
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
        inputs={"vectors": vectors.ref, **job.lake.state(before_window)},
        settings=settings_of(job),
        rooms=RANKER_ROOMS,
        seed=job.settings.seed,
        recorded={
            **job.lake.versions(),
            "encoder": encoder,
            "train_until": job.night.train_until.isoformat(),
        },
    ) as draft:
        if draft.is_new:
            draft.metrics.update(encoder=encoder, features=list(NAMES))
            _make(job, vectors, draft)
        facts = draft.metrics if draft.is_new else draft.artefact.metrics
    return {"artefact": draft.artefact.ref, "reused": not draft.is_new, **facts}


def _make(job: Job, vectors: Artefact, draft: Draft) -> None:
    text = TextVectors.load(vectors.path)
    base = _base_towers(job, text)
    if base is None:
        draft.metrics.update(fitted=False, why="the log has nothing to learn from before the ranker's days")
        return
    base.save(draft.path / BASE)
    model = NightModel("base", base, text, None, job.settings.ranker)
    _fit(job, _groups(job, model), draft)


def _base_towers(job: Job, text: TextVectors) -> TowerModel | None:
    """Towers fitted to what happened before the ranker's days; none where nothing can be learned from that."""
    settings = job.settings
    until, _ = next(cuts(job))
    snapshot = job.lake.snapshot(until)
    if snapshot.events.is_empty():
        return None
    examples = basket_examples(
        snapshot.events,
        settings.pairs,
        settings.event_weights,
        until,
        target_events=settings.target_events,
        zone=settings.zone,
    )
    if not has_positives(examples, settings.towers, until):
        return None
    fit = fit_towers(snapshot, examples, text, settings.towers, settings.event_weights, until, settings.seed)
    return fit.model


def cuts(job: Job) -> Iterator[tuple[datetime, datetime]]:
    """(cut, end of its labels), oldest first: weeks that end at train_until, none beyond it."""
    days, gate = job.settings.ranker.days, job.night.gate_days
    for back in range(days, 0, -LABEL_DAYS):
        yield (
            job.night.days_before_end(gate + back),
            job.night.days_before_end(gate + max(back - LABEL_DAYS, 0)),
        )


def _groups(job: Job, model: NightModel) -> dict[str, list[Groups]]:
    """The training groups of each head."""
    heads: dict[str, list[Groups]] = {head: [] for head in HEADS}
    max_users, seed = job.settings.ranker.max_users, job.settings.seed
    every = list(cuts(job))
    for number, (cut, until) in enumerate(every):
        opened = model.at(recommender(job, model, job.lake.snapshot(cut)).context)
        week = groups_at(opened, _taken(job, cut, until), new_only=False, max_users=max_users, seed=seed)
        heads["all"] += [week] if week else []
        if number == 0:
            taken, users = _taken(job, cut, job.night.train_until), max_users * len(every)
            whole = groups_at(opened, taken, new_only=True, max_users=users, seed=seed)
            heads["new"] += [whole] if whole else []
        log.info("cut %s: %d shoppers", cut, len(week.sizes) if week else 0)
    return heads


def _taken(job: Job, start: datetime, end: datetime) -> pl.DataFrame:
    events = job.lake.events_between(start, end)
    return events.filter(pl.col("event_type").is_in(job.settings.target_events))


def _fit(job: Job, heads: dict[str, list[Groups]], draft: Draft) -> None:
    joined = {head: Groups.joined(parts) for head, parts in heads.items() if parts}
    able = {head: groups for head, groups in joined.items() if groups.labels.sum() >= MIN_HITS}
    if not able:
        draft.metrics.update(
            fitted=False, why=f"fewer than {MIN_HITS} candidates were taken in the ranker's days"
        )
        return
    boosters = {
        head: fit_booster(groups, job.settings.ranker, job.settings.seed) for head, groups in able.items()
    }
    ranker = Ranker(boosters)
    ranker.save(draft.path)
    draft.metrics.update(
        fitted=True,
        heads={
            head: {"rows": len(some.labels), "groups": len(some.sizes), "hits": int(some.labels.sum())}
            for head, some in able.items()
        },
        importance={head: dict(list(gains.items())[:10]) for head, gains in ranker.importance().items()},
    )
