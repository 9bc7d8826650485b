"""
Masked-token training: some tokens of a text are hidden, and the encoder learns to guess them from the others.

Devlin et al. 2019 (arXiv 1810.04805), section 3.1, task 1, on the shop's own texts (Gururangan et al. 2020,
arXiv 2004.10964: more of it on the texts of the task helps). Only states of hidden tokens meet the head, whose output
matrix is that of the embeddings.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys_tasks.errors import SettingsError
from recsys_tasks.model.arrays import Positions
from recsys_tasks.model.encoder import TextEncoder, autocast
from recsys_tasks.training.encoder_data import Bools, Ints
from recsys_tasks.training.layers import SplitEncoder, by_length, token_batches

# Of the tokens to be guessed so many are replaced by the mask, so many by any token; the others stay.
MASKED, ANY = 0.8, 0.1
# A stream of its own for the masks that losses are compared under; steps count from 0.
COMPARISON = 2**31


@dataclass(frozen=True)
class Vocabulary:
    """What masking has to know of a tokenizer: the mask's id, and the ids that stand for a piece of text."""

    mask: int
    plain: Ints

    @classmethod
    def of(cls, tokenizer: Any) -> "Vocabulary":
        if tokenizer.mask_token_id is None:
            raise SettingsError(
                "encoder.adapt: the tokenizer of encoder.base has no mask token; set it to null"
            )
        special = np.asarray(tokenizer.all_special_ids)
        return cls(tokenizer.mask_token_id, np.setdiff1d(np.arange(len(tokenizer)), special))


def hide(
    ids: Ints, share: float, vocabulary: Vocabulary, generator: np.random.Generator
) -> tuple[Ints, Bools]:
    """The ids as the encoder sees them, and which are to be guessed, (n,) each: ``share`` of those that are text."""
    chosen = (generator.random(len(ids)) < share) & np.isin(ids, vocabulary.plain)
    lot = generator.random(len(ids))
    anything = generator.choice(vocabulary.plain, size=len(ids))
    replaced = np.where(lot < MASKED, vocabulary.mask, np.where(lot < MASKED + ANY, anything, ids))
    return np.where(chosen, replaced, ids), chosen


class MaskedTokens:
    """An encoder with a head over its vocabulary; all of both learns. Texts go by their codes."""

    def __init__(
        self, encoder: TextEncoder, head: nn.Module, texts: list[str], share: float, seed: int
    ) -> None:
        self.head, self.share, self.seed, self.device = head, share, seed, encoder.device
        self.vocabulary = Vocabulary.of(encoder.tokenizer)
        self.split = SplitEncoder(encoder.model, 0, encoder.pooling)
        self.split.embeddings.requires_grad_(True)
        self.tokens = [np.asarray(ids, dtype=np.int64) for ids in encoder.tokenise(texts)]
        self.lengths = np.array([len(ids) for ids in self.tokens], dtype=np.int64)

    def parameters(self) -> list[nn.Parameter]:
        """Each once, though the head shares the embeddings' matrix."""
        return list(nn.ModuleList([self.split.embeddings, self.split.learning, self.head]).parameters())

    def losses(self, codes: Positions, stream: int) -> Tensor:
        """
        The summed cross-entropy of each text's hidden tokens, and how many these are, (n, 2).

        What is hidden is drawn by text and ``stream``: the same whatever the company, whichever the process.
        """
        ordered = by_length(self.lengths, codes)
        generators = [np.random.default_rng([self.seed, stream, int(code)]) for code in ordered]
        shown, chosen = zip(
            *(
                hide(self.tokens[code], self.share, self.vocabulary, generator)
                for code, generator in zip(ordered, generators, strict=True)
            ),
            strict=True,
        )
        places = np.flatnonzero(np.concatenate(chosen))
        text_of = np.repeat(np.arange(len(ordered)), self.lengths[ordered])[places]
        wanted = np.concatenate([self.tokens[code] for code in ordered])[places]
        with autocast(self.device):
            embedded = self.split.embed([ids.tolist() for ids in shown])
            states = self.split.upper(embedded, self.lengths[ordered].tolist())
            logits = self.head(states[self._tensor(places)])
        surprise = functional.cross_entropy(logits.float(), self._tensor(wanted), reduction="none")
        of_texts = torch.zeros(len(ordered), 2, device=self.device)
        told = torch.stack([surprise, torch.ones_like(surprise)], dim=1)
        of_texts = of_texts.index_add(0, self._tensor(text_of), told)
        # Equal codes have equal rows, so any of their places will do.
        return of_texts[self._tensor(_places_in(ordered, codes))]

    @torch.no_grad()
    def loss_of(self, codes: Positions) -> float | None:
        """The mean cross-entropy of the hidden tokens of these texts, hidden the same way each time; none of none."""
        if len(codes) == 0:
            return None
        parts = [self.losses(some, COMPARISON) for some in token_batches(self.lengths, codes)]
        surprise, hidden = torch.cat(parts).sum(dim=0).tolist()
        return float(surprise / hidden) if hidden else None

    def _tensor(self, array: Positions) -> Tensor:
        return torch.from_numpy(array).to(self.device)


def _places_in(ordered: Positions, codes: Positions) -> Positions:
    order = np.argsort(ordered, kind="stable")
    return order[np.searchsorted(ordered[order], codes)]


def head_of(folder: Path, model: Any) -> tuple[nn.Module, bool]:
    """
    The masked-token head of the model in ``folder``, tied to ``model``'s embeddings, and whether the folder had it.

    A head that is not there is drawn from torch's generator. Raises SettingsError for a model that has none.
    """
    from transformers import AutoModelForMaskedLM
    from transformers.utils import logging as transformers_logging

    # It warns of the pooling layer that is left out, and of a head that is new: so it must be, and is told in a line.
    transformers_logging.set_verbosity_error()
    try:
        whole, told = AutoModelForMaskedLM.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    except ValueError:
        raise _no_head(model) from None
    name = next((name for name in ("cls", "lm_head") if hasattr(whole, name)), None)
    if name is None:
        raise _no_head(model)
    whole.get_output_embeddings().weight = model.get_input_embeddings().weight
    head: nn.Module = getattr(whole, name).to(model.device)
    return head, not any(key.startswith(f"{name}.") for key in told["missing_keys"])


def _no_head(model: Any) -> SettingsError:
    return SettingsError(
        f"encoder.adapt: {type(model).__name__} has no masked-token head; set it to null, or take a base of the BERT "
        "family"
    )
