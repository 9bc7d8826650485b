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
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.model.arrays import Floats, Positions
from recsys_tasks.model.augment.texts import token_texts
from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.model.full_memory import advice
from recsys_tasks.model.progress import progress_lines
from recsys_tasks.model.similarity import TextSimilarity
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.training.adaptation import adapted
from recsys_tasks.training.averaging import minimise_averaged
from recsys_tasks.training.batch_names import named_pairs, named_texts
from recsys_tasks.training.checkpoints import Checkpoints
from recsys_tasks.training.curves import Curves
from recsys_tasks.training.drift import drift
from recsys_tasks.training.encoder_data import EncoderData
from recsys_tasks.training.encoder_steps import Encode, HistorySteps
from recsys_tasks.training.encoding import encode, encode_all
from recsys_tasks.training.job_folder import (
    DATA,
    JOB,
    MODEL,
    PROJECTION,
    SIMILARITY,
    START,
    TEXTS,
    VECTORS,
    read_places,
    request_of,
    shown_settings,
    write_report,
)
from recsys_tasks.training.layers import SplitEncoder, States
from recsys_tasks.training.lora import adapters
from recsys_tasks.training.memory import what_adaptation_lowers, what_to_lower
from recsys_tasks.training.minimise import UNATTENDED, Care
from recsys_tasks.training.objectives.momentum import follow
from recsys_tasks.training.objectives.objective import Objective
from recsys_tasks.training.pair_steps import PairSteps
from recsys_tasks.training.processes import Processes
from recsys_tasks.training.projection import Bank
from recsys_tasks.training.projection_fit import (
    SCALAR_LEARNING_RATE,
    fit_projection,
    projection_of,
    recentred,
)
from recsys_tasks.training.tracker_runs import Run
from recsys_tasks.training.view_steps import ViewSteps
from recsys_tasks.training.views import Views
from recsys_tasks.training.worker import work

log = logging.getLogger("finetune")


def main(folder: Path) -> None:
    job = json.loads((folder / JOB).read_text(encoding="utf-8"))
    settings = EncoderSettings(**job["settings"])
    places = read_places(folder)
    processes = Processes.join(folder)
    request = one_training(folder, processes)
    watched = places.curves != "" and processes.rank == 0
    run = Run(Path(places.curves), request, shown_settings(folder)) if watched else None
    with Curves(run, settings.trackers) as curves:
        checkpoints = Checkpoints()
        if places.checkpoints:
            checkpoints = Checkpoints.of(Path(places.checkpoints), request, settings.checkpoint_steps)
        train(folder, job, settings, processes, Care(checkpoints=checkpoints, curves=curves))
    processes.leave()


def train(
    folder: Path, job: dict[str, Any], settings: EncoderSettings, processes: Processes, care: Care
) -> None:
    """Answer the job in its folder; ``care`` is around the encoder's steps."""
    texts = pl.read_parquet(folder / TEXTS)["text"].to_list()
    torch.manual_seed(job["seed"])
    data = EncoderData.load(folder / DATA)
    model = Path(job["model"])
    if settings.adapt is not None:
        with advice("adapting the base", what_adaptation_lowers(settings)):
            model = adapted(
                folder,
                model,
                texts,
                data.held_out,
                settings.adapt,
                settings.max_tokens,
                processes,
                job["seed"],
            )
    with advice("loading the encoder", "take a smaller encoder.base, or a machine with more memory"):
        encoder = TextEncoder.load(model, settings.max_tokens, processes.device, pooling=settings.pooling)
        split = SplitEncoder(encoder.model, settings.frozen_layers, encoder.pooling)
    states = States(split, encoder.tokenise(texts))
    log.info(
        "%d texts, %d tokens; computing the %d frozen layers",
        len(texts),
        states.lengths.sum(),
        settings.frozen_layers,
    )
    with advice("encoding all texts", f"lower encoder.max_tokens (now {settings.max_tokens})"):
        states.keep(progress_lines(log, "texts through the frozen layers"))
        known = folder / START
        start = load_file(known)["start"] if known.is_file() else encode_all(split, states, processes.device)
    log.info("%d steps of %d texts (%s)", settings.steps, settings.batch_texts, settings.objective)
    views = None
    if settings.objective == "views":
        read = token_texts(encoder.tokenizer, texts, encoder.max_tokens, job["separators"], encoder.end_token)
        views = Views(read, settings.augment)
    with advice("tuning the encoder", what_to_lower(settings)):
        with adapters(split, settings.lora):
            losses, similarity = fit_encoder(
                data, settings, start, split, states, processes, job["seed"], views, care, texts
            )
        tuned = encode_all(split, states, processes.device)
    if settings.objective == "history":
        fewer = f"lower encoder.sampled_negatives (now {settings.sampled_negatives}) or encoder.batch_texts"
        with advice("training the projection", fewer):
            projection = fit_projection(data, texts, settings, tuned, job["seed"])
    else:
        projection = recentred(data, start, tuned)
    if processes.rank == 0:
        encoder.save(folder / MODEL)
        projection.save(folder / PROJECTION)
        if similarity is not None:
            similarity.save(folder / SIMILARITY)
        save_file({"tuned": tuned}, folder / VECTORS)
        write_report(folder, losses, len(texts), drift(start, tuned))


def one_training(folder: Path, processes: Processes) -> str:
    """
    The request of ``folder``, which every process that met has to have.

    Raises TrainingFailed where one reads another: it came from another shop that meets at the same address.
    """
    request = request_of(folder)
    # Fifteen digits fit into the integers that are sent.
    if len(set(processes.gathered(int(request[:15], 16)))) > 1:
        raise TrainingFailed(
            f"the processes that met are to train different things, this one {folder}: give each shop an "
            "encoder.rendezvous of its own"
        )
    return request


def fit_encoder(
    data: EncoderData,
    settings: EncoderSettings,
    start: Floats,
    split: SplitEncoder,
    states: States,
    processes: Processes,
    seed: int,
    views: Views | None = None,
    care: Care = UNATTENDED,
    texts: Sequence[str] = (),
) -> tuple[list[float], TextSimilarity | None]:
    """
    Train the upper layers: the loss of each step, and what texts were compared by where that is not the cosine.

    Half of a step's texts are positives, half are drawn. With ``views`` its texts are what these have drawn.
    """
    projection = projection_of(data, settings, start, processes.device)
    bank = Bank.of(torch.from_numpy(start).to(processes.device), projection)

    def encoder(of: SplitEncoder) -> Encode:
        def own_share(own: Positions) -> Tensor:
            seen = states if views is None else States(of, views.tokens)
            return encode(of, seen, own, processes.device, settings.chunk_texts)

        return lambda codes: processes.share(codes, own_share)

    # The whitening stays: the encoder learns to be compared behind it.
    moved = {"lr": settings.learning_rate, "weight_decay": 0.01, "pull": settings.pull_to_start}
    groups = [
        {"params": split.trained(), **moved},
        {"params": projection.scalars(), "lr": SCALAR_LEARNING_RATE, "weight_decay": 0.0},
    ]
    fresh = encoder(split)

    def descend(
        loss_of: Callable[[int], Tensor], care: Care, after_step: Callable[[], None] = lambda: None
    ) -> list[float]:
        share = settings.average_share
        return minimise_averaged(loss_of, groups, settings.steps, processes, after_step, care, share)

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
        care = replace(care, batch_of=lambda step: named_texts(texts, history.positives_of(step)))
        return descend(lambda step: history.loss(step, fresh), care), None
    pairs = (
        PairSteps(data, settings, projection, bank, seed)
        if views is None
        else ViewSteps(data, settings, projection, bank, seed, views)
    )
    groups += _beside(pairs.objective, settings)
    momentum = pairs.objective.momentum
    twin = split if momentum is None else split.twin()
    slow = encoder(twin)

    def after_step() -> None:
        if momentum is not None:
            follow(twin.learning, split.learning, momentum)
        pairs.objective.after_step()

    care = replace(
        care,
        remembered={"objective": pairs.objective, **({} if twin is split else {"slow": twin.learning})},
        batch_of=lambda step: named_pairs(texts, *pairs.pairs_of(step)),
        advice=care.advice if hasattr(settings.contrast, "temperature") else "Lower encoder.learning_rate",
    )
    losses = descend(lambda step: pairs.loss(step, fresh, slow), care, after_step)
    return losses, pairs.compared_by()


def _beside(objective: Objective, settings: EncoderSettings) -> list[dict[str, Any]]:
    """What an objective learns beside the encoder: a temperature quickly, maps as quickly as the projection."""
    scalars = [parameter for parameter in objective.parameters() if parameter.ndim == 0]
    maps = [parameter for parameter in objective.parameters() if parameter.ndim > 0]
    rates = ((scalars, SCALAR_LEARNING_RATE), (maps, settings.projection_learning_rate))
    return [
        {"params": parameters, "lr": rate, "weight_decay": 0.0} for parameters, rate in rates if parameters
    ]


if __name__ == "__main__":
    work(main)
