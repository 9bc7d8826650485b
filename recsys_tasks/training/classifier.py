"""
Fit the purchase classifier: ``torchrun -m recsys_tasks.training.classifier FOLDER``.

The folder is that of ``classifier_job``. The loss is the cross-entropy in which both classes weigh alike, however many
negatives stand against a positive. With several processes each reads a share of the batch and all see all
logits, so any number of processes follows the same losses. Dropout is off, so a run repeats itself on one machine.
"""

import logging
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from recsys_tasks.model.arrays import Positions
from recsys_tasks.model.classifier import ClassifierFacts, PurchaseClassifier, Tokens, lengths_of
from recsys_tasks.model.full_memory import advice
from recsys_tasks.model.purchase import LABELS
from recsys_tasks.settings import ClassifierSettings
from recsys_tasks.training.batch_names import named_rows
from recsys_tasks.training.classifier_job import MODEL, ClassifierJob, ClassifierReport
from recsys_tasks.training.minimise import Care, minimise
from recsys_tasks.training.processes import Processes
from recsys_tasks.training.worker import work

log = logging.getLogger("classifier")

# Batches that are sorted by length together: enough that little is padded, few enough that batches stay mixed.
BUCKET = 16
WEIGHT_DECAY = 0.01
# A new head has far to go; at the rate of pretrained weights hundreds of steps would not move the loss.
HEAD_LEARNING_RATE = 2e-3


def main(folder: Path) -> None:
    processes = Processes.join(folder)
    job = ClassifierJob.read(folder)
    torch.manual_seed(job.seed)
    classifier = PurchaseClassifier.fresh(job.base, facts_of(job.settings), processes.device)
    pairs = job.pairs
    histories, items = pairs["history"].to_list(), pairs["text"].to_list()
    tokens = classifier.tokenise(histories, items)
    labels = pairs["purchased"].cast(int).to_numpy(writable=True)
    log.info(
        "%d pairs, %d purchased; %d steps of %d",
        len(pairs),
        labels.sum(),
        job.settings.steps,
        job.settings.batch_size,
    )
    lower = (
        f"lower classifier.batch_size (now {job.settings.batch_size}) "
        f"or classifier.max_tokens (now {job.settings.max_tokens})"
    )
    with advice("fitting the classifier", lower):
        named = partial(named_rows, histories, items)
        losses = fit(classifier, tokens, labels, job.settings, processes, job.seed, named)
    if processes.rank == 0:
        classifier.save(folder / MODEL)
        ClassifierReport.of(losses).write(folder)
    processes.leave()


def facts_of(settings: ClassifierSettings) -> ClassifierFacts:
    return ClassifierFacts(settings.max_tokens, settings.history_items, settings.candidates)


def fit(
    classifier: PurchaseClassifier,
    tokens: Tokens,
    labels: Positions,
    settings: ClassifierSettings,
    processes: Processes,
    seed: int,
    named: Callable[[Positions], str],
) -> list[float]:
    """
    Train all weights with AdamW and a warm-up; the loss of each step.

    ``labels`` (n,) are places in LABELS. Raises TrainingFailed, before the step, where a loss is not finite; ``named``
    says there which pairs it learned from.
    """
    weight = class_weights(labels).to(classifier.device)
    known = torch.from_numpy(labels).to(classifier.device)
    rng = np.random.default_rng(seed)
    batches = list(islice(bucketed(lengths_of(tokens), settings.batch_size, rng), settings.steps))

    def loss_of(step: int) -> Tensor:
        rows = batches[step]
        logits_B2 = processes.share(rows, lambda own: classifier.logits(tokens, own))
        return functional.cross_entropy(logits_B2, known[rows], weight=weight)

    rates = (settings.learning_rate, HEAD_LEARNING_RATE)
    groups = [
        {"params": parameters, "lr": rate, "weight_decay": WEIGHT_DECAY}
        for parameters, rate in zip(classifier.parameters(), rates, strict=True)
        if parameters
    ]
    care = Care(batch_of=lambda step: named(batches[step]), advice="Lower classifier.learning_rate")
    return minimise(loss_of, groups, settings.steps, processes, care=care)


def class_weights(labels: Positions) -> Tensor:
    """Inverse to how often each class stands, with mean 1 over the pairs, (2,)."""
    counts = np.bincount(labels, minlength=len(LABELS))
    weights: npt.NDArray[np.float32] = (len(labels) / (len(LABELS) * np.maximum(counts, 1))).astype(
        np.float32
    )
    return torch.from_numpy(weights)


def bucketed(lengths: Positions, size: int, rng: np.random.Generator) -> Iterator[Positions]:
    """
    Batches of ``size`` rows of about equal lengths, without end; each row once before any row twice.

    Rows are shuffled, sorted by length within BUCKET batches, cut into batches, and the batches shuffled. What is left
    of a pass and fills no batch waits for the next one; fewer rows than ``size`` are one batch.
    """
    size = min(size, len(lengths))
    while True:
        order = rng.permutation(len(lengths))
        order = order[: len(order) // size * size]
        buckets = [order[begin : begin + size * BUCKET] for begin in range(0, len(order), size * BUCKET)]
        sorted_rows = np.concatenate([rows[np.argsort(lengths[rows], kind="stable")] for rows in buckets])
        yield from rng.permutation(sorted_rows.reshape(-1, size))


if __name__ == "__main__":
    work(main)
