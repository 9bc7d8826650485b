"""
A transformer cut in two: frozen lower layers, whose states are computed once a text, and upper layers that learn.

Lower layers that stay: Lee et al. 2019, "What would Elsa do? Freezing layers during transformer fine-tuning" (arXiv
1911.03090). Both run over packed tokens (training.packed), so nothing is ever padded.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from recsys_tasks.errors import SettingsError
from recsys_tasks.model.arrays import Positions, Progress
from recsys_tasks.model.full_memory import is_out_of_memory
from recsys_tasks.model.pooling import Pooling, pooled, pooling_of
from recsys_tasks.training.packed import Family, equal_lengths, family_of

# Token states that are kept: 700 MB; a catalogue with more computes them again for each batch.
KEPT_STATES_BYTES = 700 * 2**20
TOKENS_AT_A_TIME = 4096
# Token ids of texts that show whether a model's packed layers are what the model itself computes.
PROBE = ((2,), (1, 3, 2, 4, 2), (4, 2, 2, 3, 1))


class Learning(nn.Module):
    """What learns: the upper layers, and what stands above the last of them."""

    def __init__(self, layers: nn.ModuleList, above: nn.Module) -> None:
        super().__init__()
        self.layers, self.above = layers, above


class SplitEncoder(nn.Module):
    """
    ``lower``: token ids -> states (T, d) of all tokens of some texts of given lengths, without gradient.
    ``forward``: such states -> pooled vectors (B, d), with gradients into the upper layers.

    Texts must be ordered by length. Raises SettingsError for a model that is built otherwise than the families
    known here: a short text shows whether the parts together compute what the model computes.
    """

    def __init__(self, model: Any, frozen_layers: int, pooling: Pooling | None = None) -> None:
        super().__init__()
        self.family: Family = family_of(model)
        layers = self.family.layers
        if frozen_layers >= len(layers):
            raise SettingsError(
                f"encoder.frozen_layers: the base has {len(layers)} layers; at least one must learn"
            )
        model.requires_grad_(False)
        self.pooling = pooling or pooling_of(model.config.model_type)
        self.width: int = model.config.hidden_size
        self.embeddings = self.family.embeddings
        self.frozen = layers[:frozen_layers]
        self.learning = Learning(layers[frozen_layers:], self.family.above).requires_grad_(True)
        self._compare_with(model)

    def twin(self) -> "SplitEncoder":
        """The same encoder with a copy of the learning layers that no gradient reaches; the frozen part is shared."""
        twin = copy.copy(self)
        # The copy has its own table of modules: the original keeps its learning layers.
        twin._modules = dict(self._modules)
        twin.learning = copy.deepcopy(self.learning).requires_grad_(False)
        return twin

    def trained(self) -> list[nn.Parameter]:
        """What an optimiser moves: the learning layers, or the adapters in them."""
        return [parameter for parameter in self.learning.parameters() if parameter.requires_grad]

    @torch.no_grad()
    def lower(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        lengths = [len(ids) for ids in tokens]
        states = self.embed(tokens)
        for layer in self.frozen:
            states = self.family.layer(layer, states, lengths)
        return states

    def embed(self, tokens: Sequence[Sequence[int]]) -> Tensor:
        """What the first layer reads, (T, d)."""
        device = next(self.parameters()).device
        return torch.cat(
            [
                self.family.embed(torch.tensor(tokens[start : start + count], device=device)).flatten(0, 1)
                for start, count, _ in equal_lengths([len(ids) for ids in tokens])
            ]
        )

    def upper(self, states: Tensor, lengths: Sequence[int]) -> Tensor:
        """The model's last states of all tokens, (T, d)."""
        for layer in self.learning.layers:
            states = self.family.layer(layer, states, lengths)
        last: Tensor = self.learning.above(states)
        return last

    def forward(self, states: Tensor, lengths: Sequence[int]) -> Tensor:
        runs = equal_lengths(lengths)
        blocks = torch.split(self.upper(states, lengths), [count * length for _, count, length in runs])
        vectors = [
            pooled(block.view(count, length, -1), self.pooling)
            for block, (_, count, length) in zip(blocks, runs, strict=True)
        ]
        return torch.cat(vectors)

    @torch.no_grad()
    def _compare_with(self, model: Any) -> None:
        lengths = [len(ids) for ids in PROBE]
        device = next(self.parameters()).device
        expected = [model(input_ids=torch.tensor([ids], device=device)).last_hidden_state[0] for ids in PROBE]
        try:
            found = self.upper(self.lower(PROBE), lengths)
            torch.testing.assert_close(found, torch.cat(expected), atol=1e-4, rtol=1e-3)
        except (AssertionError, AttributeError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise
            raise SettingsError(
                f"encoder.base: {type(model).__name__} cannot be fine-tuned: it is not built like the model of its "
                "family that this trainer knows; take another base, or set encoder.enabled: false"
            ) from error


class States:
    """The lower states of texts: kept where they fit into memory, else computed for each batch."""

    def __init__(self, encoder: SplitEncoder, tokens: list[list[int]]) -> None:
        self._encoder = encoder
        self._tokens = tokens
        self.lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
        self._kept: Tensor | None = None
        self._starts = np.concatenate([[0], np.cumsum(self.lengths)])

    def keep(self, progress: Progress | None = None) -> None:
        """Compute all states now, if they fit; ``progress`` is told (texts done, texts in all)."""
        width = self._encoder.width
        if int(self.lengths.sum()) * width * 4 > KEPT_STATES_BYTES:
            return
        device = next(self._encoder.parameters()).device
        kept = torch.empty(int(self.lengths.sum()), width, device=device)
        done = 0
        for codes in token_batches(self.lengths, np.arange(len(self.lengths))):
            kept[self._places(codes)] = self._encoder.lower([self._tokens[code] for code in codes]).float()
            done += len(codes)
            if progress is not None:
                progress(done, len(self.lengths))
        self._kept = kept

    def of(self, codes: Positions) -> tuple[Tensor, list[int]]:
        """States and lengths of these texts, which must be ordered by length."""
        lengths = self.lengths[codes].tolist()
        if self._kept is None:
            return self._encoder.lower([self._tokens[code] for code in codes]), lengths
        return self._kept[self._places(codes)], lengths

    def _places(self, codes: Positions) -> Tensor:
        lengths = self.lengths[codes]
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1]) + np.repeat(self._starts[codes] - (ends - lengths), lengths)
        return torch.from_numpy(places)


def by_length(lengths: Positions, codes: Positions) -> Positions:
    """The codes, shortest text first; equal lengths by code."""
    return codes[np.lexsort((codes, lengths[codes]))]


def token_batches(lengths: Positions, codes: Positions) -> list[Positions]:
    """The codes by length, cut into batches of about TOKENS_AT_A_TIME tokens."""
    ordered = by_length(lengths, codes)
    number = (np.cumsum(lengths[ordered]) - 1) // TOKENS_AT_A_TIME
    return np.split(ordered, np.flatnonzero(np.diff(number)) + 1) if len(ordered) else []
