"""
A causal transformer over histories: each place sees itself and what came before, nothing else.

Shape letters: B histories, L places (oldest first, padding at the end), D width.
After Kang and McAuley, "Self-Attentive Sequential Recommendation" (2018), with pre-normalised blocks.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class CausalBlock(nn.Module):
    """Attention to the past, then two linear layers; each added to its input."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.share = heads, dropout
        self.before_attention, self.before_mlp = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_BLD: Tensor) -> Tensor:
        x_BLD = x_BLD + self.dropout(self._attended(self.before_attention(x_BLD)))
        out: Tensor = x_BLD + self.dropout(self.mlp(self.before_mlp(x_BLD)))
        return out

    def _attended(self, x_BLD: Tensor) -> Tensor:
        batch, length, dim = x_BLD.shape
        split = self.qkv(x_BLD).view(batch, length, 3, self.heads, dim // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        share = self.share if self.training else 0.0
        seen = functional.scaled_dot_product_attention(query, key, value, dropout_p=share, is_causal=True)
        attended: Tensor = self.out(seen.transpose(1, 2).reshape(batch, length, dim))
        return attended


class CausalTower(nn.Module):
    """
    Item vectors of histories -> the shopper's vector at every place.

    Histories are padded at their end: a place only looks back, so it never meets the padding, and histories of
    different shoppers never share a row. ``forward`` takes (B, L, D) with L <= ``max_length`` and returns
    (B, L, D); what stands at padded places means nothing.
    """

    def __init__(
        self, dim: int, max_length: int, layers: int = 2, heads: int = 2, dropout: float = 0.2
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"width {dim} is no multiple of {heads} heads")
        self.dim, self.max_length = dim, max_length
        self.places = nn.Parameter(torch.randn(max_length, dim) * 0.02)
        self.blocks = nn.ModuleList(CausalBlock(dim, heads, dropout) for _ in range(layers))
        self.norm, self.dropout = nn.LayerNorm(dim), nn.Dropout(dropout)

    def forward(self, x_BLD: Tensor) -> Tensor:
        # Item vectors start small (see SequenceNet); at sqrt(D) times they balance the normalised blocks.
        x_BLD = self.dropout(x_BLD * self.dim**0.5 + self.places[: x_BLD.shape[1]])
        for block in self.blocks:
            x_BLD = block(x_BLD)
        out: Tensor = self.norm(x_BLD)
        return out
