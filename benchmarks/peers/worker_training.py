"""
The work of `benchmarks.training_speed` by sentence-transformers: trainer, MultipleNegativesRankingLoss and encode.

It knows nothing of the product: texts, batches and numbers in, losses and vectors out. Every function loads what it
needs and returns the work that is measured.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

# datasets reads it when it is imported.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.losses import MultipleNegativesRankingLoss

Request = dict[str, Any]
Result = dict[str, Any]

# As the product trains: without dropout.
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


class TellingLoss(MultipleNegativesRankingLoss):
    """The library's loss; ``told`` has that of every batch."""

    def __init__(self, model: SentenceTransformer, scale: float) -> None:
        super().__init__(model, scale=scale)
        self.told: list[torch.Tensor] = []

    def forward(self, *arguments: Any, **named: Any) -> torch.Tensor:
        loss: torch.Tensor = super().forward(*arguments, **named)
        self.told.append(loss.detach())
        return loss


class InOrder:
    """A batch sampler that keeps the rows in their order: batch i is step i."""

    def __init__(self, dataset: Dataset, batch_size: int, **_: Any) -> None:
        self.rows, self.size = len(dataset), batch_size

    def __len__(self) -> int:
        return self.rows // self.size

    def __iter__(self) -> Iterator[list[int]]:
        return iter(np.arange(self.rows).reshape(-1, self.size).tolist())

    def set_epoch(self, epoch: int) -> None:
        """Every epoch has the same order."""


def as_it_comes(folder: Path, request: Request) -> Callable[[], Result]:
    """The library's defaults: dropout as the model has it, embeddings learn, its optimiser and schedule."""
    model = SentenceTransformer(request["model"], device=request["device"])
    return _training(folder, request, model, optimizers=(None, None))


def like_for_like(folder: Path, request: Request) -> Callable[[], Result]:
    """No dropout, embeddings as they are, and the learning rates of the request: the losses must be the others'."""
    model = SentenceTransformer(request["model"], device=request["device"], config_kwargs=NO_DROPOUT)
    model.max_seq_length = request["max_tokens"]
    transformer = model[0].auto_model
    transformer.embeddings.requires_grad_(False)
    rates = request["rates"]
    optimizer = torch.optim.AdamW(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=request["learning_rate"],
        weight_decay=request["weight_decay"],
    )
    # The trainer asks once more when all steps are done.
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: [*rates, 0.0][step])
    return _training(folder, request, model, optimizers=(optimizer, schedule))


def _training(
    folder: Path, request: Request, model: SentenceTransformer, optimizers: tuple[Any, Any]
) -> Callable[[], Result]:
    texts = pl.read_parquet(folder / "texts.parquet")["text"].to_list()
    batches = pl.read_parquet(folder / "batches.parquet")
    rows = {name: [texts[code] for code in batches[name]] for name in ("anchor", "positive")}
    on_cpu = request["device"] == "cpu"
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder / "peer"),
        per_device_train_batch_size=request["pairs"],
        num_train_epochs=1,
        batch_sampler=InOrder,
        use_cpu=on_cpu,
        bf16=not on_cpu,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    loss = TellingLoss(model, scale=1.0 / request["temperature"])
    trainer = SentenceTransformerTrainer(
        model=model, args=arguments, train_dataset=Dataset.from_dict(rows), loss=loss, optimizers=optimizers
    )

    def work() -> Result:
        trainer.train()
        return {"losses": [one.item() for one in loss.told]}

    return work


def vectors(folder: Path, request: Request) -> Callable[[], Result]:
    """The vectors of all texts by ``encode`` as it comes, left in ``peer.npy``."""
    texts = pl.read_parquet(folder / request["texts"])["text"].to_list()
    model = SentenceTransformer(request["model"], device=request["device"])
    model.max_seq_length = request["max_tokens"]

    def work() -> Result:
        np.save(folder / "peer.npy", model.encode(texts, show_progress_bar=False))
        return {}

    return work
