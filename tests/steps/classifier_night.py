"""A small night with a tiny classifier; trainings run in this process, which is much quicker than torchrun."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from recsys_tasks.settings import ClassifierSettings
from recsys_tasks.steps import fit_classifier
from recsys_tasks.training import classifier
from tests.steps.list_night import ListJob
from tests.tiny_encoder import tiny_encoder


def settings(base: Path, **changes: object) -> ClassifierSettings:
    sizes = {"max_tokens": 32, "history_items": 3, "label_days": 14, "negatives": 2, "max_users": 30}
    training = {"steps": 3, "batch_size": 8, "learning_rate": 1e-3, "candidates": 6}
    return ClassifierSettings(base=str(base), **{**sizes, **training, **changes})


def with_classifier(job: ListJob, base: Path, **changes: object) -> ListJob:
    return replace(job, settings=replace(job.settings, classifier=settings(base, **changes)))


def base_in(folder: Path) -> Path:
    return tiny_encoder(folder)


@contextmanager
def in_this_process() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fit_classifier, "launch", lambda module, folder: classifier.main(folder))
        yield
