"""
Fine-tune a text encoder: ``torchrun -m recsys_tasks.training.finetune FOLDER``.

The folder holds the request (``job.json``, ``texts.parquet``, ``data.safetensors``, maybe
``start.safetensors``) and receives the answer: the tuned
model, its projection, its vectors of all texts, ``report.json``. With several processes each encodes a
share of the batch's texts and all see all vectors, so any number of processes follows the same losses. Dropout is off
(the cached lower states would not fit it), so a run repeats itself to the last bit on one machine.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.model.arrays import Floats, Positions
from recsys_tasks.model.encoder import TextEncoder, autocast
from recsys_tasks.model.progress import progress_lines
from recsys_tasks.model.similarity import TextSimilarity
from recsys_tasks.model.whiten import Whitening
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.training.encoder_data import EncoderData
from recsys_tasks.training.encoder_steps import Encode, HistorySteps
from recsys_tasks.training.layers import SplitEncoder, States, by_length, token_batches
from recsys_tasks.training.objectives.momentum import follow
from recsys_tasks.training.objectives.objective import Objective
from recsys_tasks.training.pair_steps import PairSteps
from recsys_tasks.training.parent import die_with_parent
from recsys_tasks.training.processes import Processes
from recsys_tasks.training.projection import Bank, Projection

log = logging.getLogger("finetune")

MODEL = "tuned"
PROJECTION = "projection.safetensors"
VECTORS = "vectors.safetensors"
# Where texts were compared by anything but the cosine: how (model.similarity).
SIMILARITY = "similarity.safetensors"
START = "start.safetensors"
REPORT = "report.json"
JOB = "job.json"
TEXTS = "texts.parquet"
DATA = "data.safetensors"

CLIP = 1.0
SCALAR_LEARNING_RATE = 1e-2
WARM_UP_SHARE = 0.2
WARM_UP_STEPS = 50
STEPS_BETWEEN_LINES = 10
# First and last loss are means over this many steps: single batches scatter more than training moves them.
LOSS_STEPS = 10


@dataclass(frozen=True)
class Report:
    """How the training went; losses are means over the first and the last LOSS_STEPS steps."""

    loss_first: float
    loss_last: float
    steps: int
    texts: int


def write_job(
    folder: Path,
    model: Path,
    settings: EncoderSettings,
    seed: int,
    texts: pl.Series,
    data: EncoderData,
    start_vectors: Floats | None = None,
) -> None:
    """What ``main`` reads. ``start_vectors``: the model's raw vectors of all texts, where they are known already."""
    folder.mkdir(parents=True, exist_ok=True)
    job = {"model": str(model), "settings": settings.model_dump(mode="json"), "seed": seed}
    (folder / JOB).write_text(json.dumps(job, indent=2), encoding="utf-8")
    pl.DataFrame({"text": texts}).write_parquet(folder / TEXTS)
    data.save(folder / DATA)
    if start_vectors is not None:
        save_file({"start": np.ascontiguousarray(start_vectors)}, folder / START)


def read_report(folder: Path) -> Report:
    return Report(**json.loads((folder / REPORT).read_text(encoding="utf-8")))


def read_vectors(folder: Path) -> Floats:
    """The tuned encoder's raw vectors of all texts."""
    tuned: Floats = load_file(folder / VECTORS)["tuned"]
    return tuned


def main(folder: Path) -> None:
    processes = Processes.join(folder)
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    settings = EncoderSettings(**job["settings"])
    texts = pl.read_parquet(folder / TEXTS)["text"].to_list()
    torch.manual_seed(job["seed"])
    encoder = TextEncoder.load(Path(job["model"]), settings.max_tokens, processes.device)
    split = SplitEncoder(encoder.model, settings.frozen_layers)
    states = States(split, encoder.tokenise(texts))
    log.info(
        "%d texts, %d tokens; computing the %d frozen layers",
        len(texts),
        states.lengths.sum(),
        settings.frozen_layers,
    )
    states.keep(progress_lines(log, "texts through the frozen layers"))
    known = folder / START
    start = load_file(known)["start"] if known.is_file() else encode_all(split, states, processes.device)
    log.info("%d steps of %d texts (%s)", settings.steps, settings.batch_texts, settings.objective)
    data = EncoderData.load(folder / DATA)
    losses, similarity = fit_encoder(data, settings, start, split, states, processes, job["seed"])
    tuned = encode_all(split, states, processes.device)
    projection = fit_projection(data, settings, tuned, job["seed"])
    if processes.rank == 0:
        encoder.save(folder / MODEL)
        projection.save(folder / PROJECTION)
        if similarity is not None:
            similarity.save(folder / SIMILARITY)
        save_file({"tuned": tuned}, folder / VECTORS)
        _write_report(folder, losses, len(texts))
    processes.leave()


def fit_encoder(
    data: EncoderData,
    settings: EncoderSettings,
    start: Floats,
    split: SplitEncoder,
    states: States,
    processes: Processes,
    seed: int,
) -> tuple[list[float], TextSimilarity | None]:
    """
    Train the upper layers: the loss of each step, and what texts were compared by where that is not the cosine.

    Half of a step's texts are positives, half are drawn.
    """
    projection = _projection(data, settings, start, processes.device)
    bank = Bank.of(_tensor(start, processes.device), projection)

    def encoder(of: SplitEncoder) -> Encode:
        return lambda codes: processes.share(codes, lambda own: _encode(of, states, own, processes.device))

    # The whitening stays: its mean and axes are taken anew from the tuned vectors.
    groups = [
        {"params": list(split.learning.parameters()), "lr": settings.learning_rate, "weight_decay": 0.01},
        {"params": projection.scalars(), "lr": SCALAR_LEARNING_RATE, "weight_decay": 0.0},
    ]
    encode = encoder(split)
    if settings.objective == "history":
        history = HistorySteps(
            data,
            settings,
            projection,
            bank,
            positives=max(1, settings.batch_texts // 2),
            sampled=settings.batch_texts // 2,
            seed=seed,
        )
        return minimise(lambda step: history.loss(step, encode), groups, settings.steps, processes), None
    pairs = PairSteps(data, settings, projection, bank, seed)
    groups += _beside(pairs.objective, settings)
    momentum = pairs.objective.momentum
    twin = split if momentum is None else split.twin()
    slow = encoder(twin)

    def after_step() -> None:
        if momentum is not None:
            follow(twin.learning, split.learning, momentum)
        pairs.objective.after_step()

    losses = minimise(
        lambda step: pairs.loss(step, encode, slow), groups, settings.steps, processes, after_step
    )
    return losses, pairs.compared_by()


def _beside(objective: Objective, settings: EncoderSettings) -> list[dict[str, Any]]:
    """What an objective learns beside the encoder: a temperature quickly, maps as quickly as the projection."""
    scalars = [parameter for parameter in objective.parameters() if parameter.ndim == 0]
    maps = [parameter for parameter in objective.parameters() if parameter.ndim > 0]
    rates = ((scalars, SCALAR_LEARNING_RATE), (maps, settings.projection_learning_rate))
    return [
        {"params": parameters, "lr": rate, "weight_decay": 0.0} for parameters, rate in rates if parameters
    ]


def fit_projection(data: EncoderData, settings: EncoderSettings, tuned: Floats, seed: int) -> Whitening:
    """
    The linear map behind the tuned encoder: its whitening, trained on where it is to be used.

    The vectors stand still, so many candidates cost little. Only the history objective has a step for it.
    """
    projection = _projection(data, settings, tuned, "cpu")
    if settings.objective != "history" or settings.projection_steps == 0:
        return projection.whitening()
    bank = Bank.of(_tensor(tuned, "cpu"), projection)
    training = HistorySteps(
        data,
        settings,
        projection,
        bank,
        positives=settings.batch_texts,
        sampled=settings.sampled_negatives,
        seed=seed + 1,
    )
    log.info("%d steps of the projection", settings.projection_steps)
    groups = [
        {"params": [projection.rotation], "lr": settings.projection_learning_rate, "weight_decay": 0.0},
        {"params": projection.scalars(), "lr": SCALAR_LEARNING_RATE, "weight_decay": 0.0},
    ]
    minimise(lambda step: training.loss(step, bank.rows), groups, settings.projection_steps, Processes())
    return projection.whitening()


def minimise(
    loss_of: Callable[[int], Tensor],
    groups: list[dict[str, Any]],
    steps: int,
    processes: Processes,
    after_step: Callable[[], None] = lambda: None,
) -> list[float]:
    """AdamW over all steps; the loss of each. Raises TrainingFailed, before the step, where a loss is not finite."""
    optimizer = torch.optim.AdamW(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(step, steps))
    parameters = [parameter for group in groups for parameter in group["params"]]
    losses: list[float] = []
    began = time.monotonic()
    for step in range(steps):
        loss = loss_of(step)
        if not torch.isfinite(loss):
            raise TrainingFailed(f"step {step}: the loss is {loss.item()}; lower encoder.learning_rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        processes.average(parameters)
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
        schedule.step()
        after_step()
        losses.append(loss.item())
        if (step + 1) % STEPS_BETWEEN_LINES == 0:
            pace = (time.monotonic() - began) / (step + 1)
            recent = float(np.mean(losses[-STEPS_BETWEEN_LINES:]))
            log.info("step %d of %d: loss %.4f, %.2f s a step", step + 1, steps, recent, pace)
    return losses


def rate(step: int, steps: int) -> float:
    """The share of the learning rate: up in a straight line, then down to zero at the last step."""
    warm_up = max(1.0, min(WARM_UP_STEPS, WARM_UP_SHARE * steps))
    return min((step + 1) / warm_up, (steps - step) / max(1.0, steps - warm_up), 1.0)


def encode_all(split: SplitEncoder, states: States, device: str) -> Floats:
    """The vectors of all texts as the encoder is now."""
    everything = np.arange(len(states.lengths))
    vectors = np.empty((len(everything), split.embeddings.word_embeddings.embedding_dim), dtype=np.float32)
    tell, done = progress_lines(log, "texts encoded"), 0
    with torch.no_grad():
        for codes in token_batches(states.lengths, everything):
            vectors[codes] = _ordered(split, states, codes, device).cpu().numpy()
            done += len(codes)
            tell(done, len(everything))
    return vectors


def _encode(split: SplitEncoder, states: States, codes: Positions, device: str) -> Tensor:
    """The vectors of these texts, in their order."""
    ordered = by_length(states.lengths, codes)
    back = np.argsort(np.argsort(states.lengths[codes] * len(states.lengths) + codes))
    return _ordered(split, states, ordered, device)[torch.from_numpy(back)]


def _ordered(split: SplitEncoder, states: States, codes: Positions, device: str) -> Tensor:
    with autocast(device):
        vectors: Tensor = split(*states.of(codes))
    return vectors.float()


def _projection(data: EncoderData, settings: EncoderSettings, vectors: Floats, device: str) -> Projection:
    """The whitening of the texts that may be learned from."""
    whitening = Whitening.fit(vectors[~data.held_out])
    return Projection(whitening, settings.temperature, data.popularity.shape[2]).to(device)


def _tensor(vectors: Floats, device: str) -> Tensor:
    return torch.from_numpy(vectors).to(device)


def _write_report(folder: Path, losses: list[float], texts: int) -> None:
    first, last = np.mean(losses[:LOSS_STEPS]), np.mean(losses[-LOSS_STEPS:])
    report = Report(round(float(first), 5), round(float(last), 5), len(losses), texts)
    (folder / REPORT).write_text(json.dumps(asdict(report)), encoding="utf-8")


if __name__ == "__main__":
    die_with_parent()
    if os.environ.get("RANK", "0") == "0":
        logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(message)s")
    main(Path(sys.argv[1]))
