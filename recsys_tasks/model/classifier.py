"""
Whether a shopper purchases an item, from two texts: a transformer with a head of two classes.

A cross-encoder (Devlin et al., BERT, arXiv 1810.04805, section 3.2: a pair of texts in one sequence): history and item
read each other in every layer, so it can see what two vectors cannot, and costs a forward pass for every pair.
"""

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from recsys_tasks.errors import MissingArtefact
from recsys_tasks.files import write_whole
from recsys_tasks.model.arrays import Floats, Positions, Progress
from recsys_tasks.model.encoder import autocast, best_device, equal_length_batches
from recsys_tasks.model.full_memory import advice
from recsys_tasks.model.purchase import LABELS

FACTS = "purchase_classifier.json"
# What the tokenizer makes of pairs: a list of token numbers a pair, under each of its names.
Tokens = Mapping[str, Sequence[Sequence[int]]]


@dataclass(frozen=True)
class ClassifierFacts:
    """How it was fitted, and so how it must be asked: see ClassifierSettings."""

    max_tokens: int
    history_items: int
    candidates: int


class PurchaseClassifier:
    """A model with a head of two classes, its tokenizer, and how a question is put to it."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        facts: ClassifierFacts,
        device: str,
        new: frozenset[str] = frozenset(),
    ) -> None:
        self.model = model.eval().to(device)
        self.tokenizer = tokenizer
        self.facts = facts
        self.device = device
        self._new = new
        if tokenizer.pad_token_id is None:
            # Decoders were trained without one.
            tokenizer.pad_token = tokenizer.eos_token
        model.config.pad_token_id = tokenizer.pad_token_id
        # A tokenizer refuses two threads at once, and torch has threads of its own.
        self._alone = threading.Lock()

    @classmethod
    def fresh(cls, base: Path, facts: ClassifierFacts, device: str) -> "PurchaseClassifier":
        """A pretrained model under a new head, which torch's own generator draws: seed that first."""
        model, tokenizer, new = _read(base)
        return cls(model, tokenizer, facts, device, new)

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> "PurchaseClassifier":
        """What ``save`` wrote; ``device`` auto takes a GPU where there is one. Raises MissingArtefact without it."""
        file = folder / FACTS
        if not file.is_file():
            raise MissingArtefact(f"{folder} holds no {FACTS}: fit the classifier again")
        facts = ClassifierFacts(**json.loads(file.read_text(encoding="utf-8")))
        model, tokenizer, _ = _read(folder)
        return cls(model, tokenizer, facts, best_device() if device == "auto" else device)

    def save(self, folder: Path) -> None:
        """Write a folder that AutoModelForSequenceClassification and AutoTokenizer read, and the facts."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        write_whole(folder / FACTS, json.dumps(asdict(self.facts), indent=2))

    def parameters(self) -> tuple[list[Parameter], list[Parameter]]:
        """Those that the base brought, and those that are new: its head, and a pooling layer where it had none."""
        named = list(self.model.named_parameters())
        return [it for name, it in named if name not in self._new], [
            it for name, it in named if name in self._new
        ]

    @property
    def history_items(self) -> int:
        return self.facts.history_items

    @property
    def candidates(self) -> int:
        return self.facts.candidates

    def tokenise(self, histories: Sequence[str], texts: Sequence[str]) -> Tokens:
        """Each pair as one sequence of at most ``max_tokens``; the longer text gives way first, from its end."""
        most = min(
            self.facts.max_tokens,
            getattr(self.model.config, "max_position_embeddings", self.facts.max_tokens),
        )
        encoded = self.tokenizer(
            list(histories), list(texts), truncation="longest_first", max_length=most, padding=False
        )
        return dict(encoded)

    def logits(self, tokens: Tokens, rows: Positions) -> Tensor:
        """The logits of some pairs, (B, 2) in fp32; shorter ones are padded to the longest of the batch."""
        chosen = {name: [values[row] for row in rows] for name, values in tokens.items()}
        batch = self.tokenizer.pad(chosen, return_tensors="pt").to(self.device)
        with autocast(self.device):
            result: Tensor = self.model(**batch).logits
        return result.float()

    def log_odds(
        self, histories: Sequence[str], texts: Sequence[str], progress: Progress | None = None
    ) -> Floats:
        """
        The log odds of Purchased for each (history, item), (n,).

        Pairs of one length share a batch, so nothing is padded; equal calls give equal numbers. ``progress`` is told
        (pairs read, pairs in all) after each batch. Raises TrainingFailed where memory is full.
        """
        odds = np.zeros(len(texts), dtype=np.float32)
        if not len(texts):
            return odds
        done = 0
        lower = f"lower classifier.max_tokens (now {self.facts.max_tokens})"
        with advice("asking the classifier", lower), self._alone, torch.inference_mode():
            tokens = self.tokenise(histories, texts)
            for rows in equal_length_batches(lengths_of(tokens)):
                logits_B2 = self.logits(tokens, rows)
                odds[rows] = (logits_B2[:, 1] - logits_B2[:, 0]).cpu().numpy()
                done += len(rows)
                if progress is not None:
                    progress(done, len(texts))
        return odds


def lengths_of(tokens: Tokens) -> Positions:
    return np.array([len(ids) for ids in tokens["input_ids"]], dtype=np.int64)


def _read(folder: Path) -> tuple[Any, Any, frozenset[str]]:
    """The model, its tokenizer, and the names of the weights that the folder does not hold."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    # It warns that the head of a base is new: so it must be.
    transformers_logging.set_verbosity_error()
    model, found = AutoModelForSequenceClassification.from_pretrained(
        folder,
        local_files_only=True,
        output_loading_info=True,
        dtype=torch.float32,
        id2label=dict(enumerate(LABELS)),
        label2id={label: code for code, label in enumerate(LABELS)},
    )
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return model, tokenizer, frozenset(found["missing_keys"])
