"""Pictures of an encoder's training, for people; no result rests on them."""

import logging
import shutil
from pathlib import Path

import polars as pl

from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.steps.job import Job
from recsys_tasks.training import job_folder
from recsys_tasks.training.plots import plot_loss, plot_map

log = logging.getLogger(__name__)


def draw_or_tell(job: Job, snapshot: Snapshot, scratch: Path, folder: Path) -> None:
    """Hours of training are not lost over a picture."""
    try:
        _draw(job, snapshot, scratch, folder)
    except (ValueError, TypeError, RuntimeError, ArithmeticError, OSError) as error:
        log.warning("the encoder has no pictures: %s", error)
        shutil.rmtree(folder, ignore_errors=True)


def _draw(job: Job, snapshot: Snapshot, scratch: Path, folder: Path) -> None:
    """The loss, and a map of the texts the encoder learned among, by the category of the first item of each."""
    folder.mkdir()
    settings = job.settings.encoder
    title = f"Encoder of {job.night} ({settings.objective})"
    plot_loss(job_folder.read_losses(scratch), title, folder / "loss.png")
    texts = pl.read_parquet(scratch / job_folder.TEXTS)
    first = snapshot.items.sort("item_id").unique("text", keep="first", maintain_order=True)
    categories = texts.join(first.select("text", "category"), on="text", how="left", maintain_order="left")[
        "category"
    ]
    vectors = Whitening.load(scratch / job_folder.PROJECTION).apply(job_folder.read_vectors(scratch))
    plot_map(vectors, categories.to_list(), title, folder / "map.png", job.settings.seed)
