"""Which ranker a night uses: the standing one, as long as tonight would fit it in the same way, or its own."""

import logging
from typing import Any

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.lineage import goes_on
from recsys_tasks.steps.rooms import ranker_rooms
from recsys_tasks.workspace import Artefact, code_version

log = logging.getLogger(__name__)

# The folder of its purchase classifier in a ranker's artefact.
CLASSIFIER = "classifier"
REFIT = "run train_ranker again"


def ranker_of(job: Job, encoder: str) -> Artefact:
    """
    The ranker that goes with tonight's towers, which read vectors of ``encoder``.

    Raises MissingArtefact where ``train_ranker`` has to run first.
    """
    found = earlier_ranker(job, encoder) or job.workspace.find("ranker", job.night)
    if found is None:
        raise MissingArtefact(f"night {job.night} has no ranker yet: run train_ranker first")
    if found.manifest["recorded"]["encoder"] != encoder:
        raise MissingArtefact(f"the ranker of night {job.night} was fitted with another encoder: {REFIT}")
    return found


def earlier_ranker(job: Job, encoder: str) -> Artefact | None:
    """The ranker that goes on; none where tonight would fit it otherwise: another encoder, settings or code."""
    found = goes_on(job, "ranker", job.settings.ranker.every_nights)
    if found is None:
        return None
    made_by = found.manifest
    differs = {
        "encoder": made_by["recorded"].get("encoder") != encoder,
        "settings": made_by["settings"] != settings_of(job),
        "seed": made_by["seed"] != job.settings.seed,
        "base of the classifier": made_by["inputs"].get("classifier_base") != classifier_base(job),
        "code": made_by["code"] != {room: code_version(room) for room in sorted(rooms_of(job))},
    }
    changed = [name for name, is_other in differs.items() if is_other]
    if changed:
        log.info("%s does not go on: it was fitted with other %s", found.ref, " and ".join(changed))
    return None if changed else found


def classifier_base(job: Job) -> str | None:
    """What the weights are that the ranker's classifier starts from; none where there is to be no classifier."""
    if not job.settings.classifier.enabled:
        return None
    # Torch, which takes seconds to import, is needed where there is one only.
    from recsys_tasks.steps.fit_classifier import base_hash

    return base_hash(job.settings.classifier)


def rooms_of(job: Job) -> tuple[str, ...]:
    """The code that fits a ranker of tonight."""
    return ranker_rooms(classifier=job.settings.classifier.enabled)


def settings_of(job: Job) -> dict[str, Any]:
    """The settings that a ranker of tonight is fitted with, as its manifest holds them."""
    classifier = job.settings.classifier
    sections = {name: getattr(job.settings, name) for name in ("ranker", "pairs", "rules")}
    return {
        **{name: section.model_dump(mode="json") for name, section in sections.items()},
        "towers": job.settings.towers.as_fitted(),
        # Without it a ranker is the same, whatever else stands there.
        "classifier": classifier.model_dump(mode="json", exclude={"base"}) if classifier.enabled else None,
        "event_weights": dict(job.settings.event_weights),
        "target_events": list(job.settings.target_events),
        "gate_days": job.night.gate_days,
        "time_zone": job.settings.time_zone,
    }
