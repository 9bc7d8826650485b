"""The training of a night's encoder, and its second try where a warm start drifts too far."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys_tasks.model.arrays import Floats
from recsys_tasks.steps.encoder_ground import separators
from recsys_tasks.steps.encoder_start import Start
from recsys_tasks.steps.job import Job
from recsys_tasks.training import finetune, job_folder
from recsys_tasks.training.encoder_data import EncoderData
from recsys_tasks.training.launch import Nodes, launch
from recsys_tasks.training.nodes import announced

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """
    What a training gets beside the model it starts from.

    ``data`` is what the first start learns from, ``whole`` what the base does, should a warm start drift too far;
    ``frozen`` are the base's raw vectors of the texts.
    """

    texts: pl.Series
    data: EncoderData
    whole: Callable[[], EncoderData]
    base: Path
    frozen: Floats
    places: job_folder.Places


@dataclass(frozen=True)
class Trained:
    """How the training that counts began and went; ``refused_drift`` is that of a warm start that was thrown away."""

    start: Start
    report: job_folder.Report
    refused_drift: float | None = None


def train(job: Job, folder: Path, asked: Asked, start: Start) -> Trained:
    """Train in ``folder``, which is made anew; from the base where a warm start drifts beyond encoder.max_drift."""
    report = _run(job, folder, asked, start, asked.data)
    allowed = job.settings.encoder.max_drift
    if not start.is_warm or report.drift <= allowed:
        return Trained(start, report)
    log.warning(
        "the warm start drifted by %.3f, more than encoder.max_drift %.3f: training starts from the base",
        report.drift,
        allowed,
    )
    cold = Start(asked.base)
    return Trained(cold, _run(job, folder, asked, cold, asked.whole()), refused_drift=report.drift)


def _run(job: Job, folder: Path, asked: Asked, start: Start, data: EncoderData) -> job_folder.Report:
    # What is replayed lies in the data; by name it would throw away the checkpoints of a start from the base.
    settings = job.settings.encoder.model_copy(update={"replay_share": None})
    if start.is_warm:
        # An encoder that goes on from an earlier night knows the catalogue's language from there.
        if settings.adapt is not None:
            log.info("encoder.adapt has no part tonight: training goes on from an earlier night's encoder")
        settings = settings.model_copy(update={"adapt": None})
    shutil.rmtree(folder, ignore_errors=True)
    job_folder.write_job(
        folder,
        start.model,
        settings,
        job.settings.seed,
        asked.texts,
        data,
        start_vectors=asked.frozen if not start.is_warm and settings.adapt is None else None,
        separators=separators(job, settings),
        places=asked.places,
    )
    nodes = Nodes(count=settings.nodes, endpoint=settings.rendezvous or "")
    with announced(job.workspace.home, nodes, finetune.__name__, folder):
        launch(finetune.__name__, folder, nodes=nodes)
    return job_folder.read_report(folder)
