"""
The net of a next-item model: item vectors from id and text, and a user tower over the items of a history.

Shape letters: B histories, L places, D width, T text width, V items of the catalogue, M some of them.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys_tasks.model.causal import CausalTower
from recsys_tasks.model.sequence_settings import SequenceSettings

ID_SPREAD = 0.02
DECAY_START = 0.73
TEXT_SPREAD = 0.5


class DecayedTower(nn.Module):
    """
    The decayed mean of the items so far, and what a small MLP makes of it together with the newest item.

    u = LN(MLP(LN[x_last; m]) + sqrt(D) m), m the mean weighted by lambda ** age with a learned lambda. Takes and
    returns (B, L, D): the shopper's vector at every place, padding at the end.
    """

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.dim = dim
        self.logit = nn.Parameter(torch.logit(torch.tensor(DECAY_START)))
        self.dropout = nn.Dropout(dropout)
        self.inner, self.outer = nn.LayerNorm(2 * dim), nn.LayerNorm(dim)
        self.last = nn.Linear(2 * dim, dim)
        self.mlp = nn.Sequential(nn.Linear(2 * dim, 2 * dim), nn.GELU(), self.last)
        # It begins as the plain mean.
        nn.init.zeros_(self.last.weight)

    def forward(self, x_BLD: Tensor) -> Tensor:
        x_BLD = self.dropout(x_BLD)
        mean_BLD = self.shares(x_BLD.shape[1]) @ x_BLD
        refined = self.mlp(self.inner(torch.cat([x_BLD, mean_BLD], dim=-1)))
        out: Tensor = self.outer(refined + self.dim**0.5 * mean_BLD)
        return out

    def shares(self, length: int) -> Tensor:
        """(L, L): how much each place takes of each earlier one; rows sum to 1, nothing lies above the diagonal."""
        place = torch.arange(length, device=self.logit.device)
        age = (place[:, None] - place[None, :]).clamp(min=0)
        powers = torch.tril(torch.sigmoid(self.logit) ** age)
        return powers / powers.sum(dim=1, keepdim=True)


class ItemParts(NamedTuple):
    """(M, D) each: id vectors, projected texts."""

    ids: Tensor
    texts: Tensor


class SequenceNet(nn.Module):
    """Item table and user tower. ``text_VT`` holds the frozen text vectors, a zero row where there is none."""

    text_VT: Tensor  # torch finds it by its name

    def __init__(self, text_VT: Tensor, settings: SequenceSettings) -> None:
        super().__init__()
        items, width = text_VT.shape
        self.register_buffer("text_VT", text_VT, persistent=False)
        self.ids = nn.Parameter(torch.randn(items, settings.dim) * ID_SPREAD)
        self.text = nn.Linear(width, settings.dim)
        start_at_likeness(self.text, text_VT)
        self.id_dropout = settings.id_dropout
        self.user: nn.Module = user_tower(settings)

    def parts(self, codes_M: Tensor) -> ItemParts:
        """What the vectors of these items are made of; a step projects each text once."""
        return ItemParts(functional.embedding(codes_M, self.ids), self.text(self.text_VT[codes_M]))

    def items(self, parts: ItemParts, places: Tensor) -> Tensor:
        """Vectors at ``places`` of the parts, of their shape and D; in training each place may lose its id."""
        kept = torch.ones(places.shape, device=places.device)
        if self.training and self.id_dropout:
            kept = (torch.rand(places.shape, device=places.device) >= self.id_dropout).float()
        ids, texts = (functional.embedding(places, part_MD) for part_MD in parts)
        out: Tensor = texts + ids * kept.unsqueeze(-1)
        return out


@torch.no_grad()
def start_at_likeness(text: nn.Linear, text_VT: Tensor) -> None:
    """
    Let the projection begin as the D strongest axes of the texts: likeness of texts is then what is known first.

    A random start forgets it, and a small log cannot teach it again.
    """
    axes_TT = torch.linalg.eigh(text_VT.T @ text_VT).eigenvectors.flip(1)
    size = min(text.out_features, axes_TT.shape[1])
    text.weight.zero_()
    text.weight[:size] = axes_TT[:, :size].T * TEXT_SPREAD
    text.bias.zero_()


def user_tower(settings: SequenceSettings) -> nn.Module:
    """The tower that ``settings.user`` names."""
    if settings.user == "transformer":
        return CausalTower(
            settings.dim, settings.max_length, settings.layers, settings.heads, settings.tower_dropout
        )
    return DecayedTower(settings.dim, settings.input_dropout)
