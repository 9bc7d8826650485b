"""
Families of transformers over packed tokens: the tokens of all texts in one row, and nothing is ever padded.

Linear layers, norms and activations run over all tokens (T, d) at once; only attention runs by groups of texts of equal
length, so texts must be ordered by length. The layers are the model's own modules: what is trained here is what
``save_pretrained`` writes, whatever stands in the place of their linear layers.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys_tasks.errors import SettingsError


class Family(ABC):
    """How a kind of transformer is taken apart: embeddings, layers, and what stands above the last of them."""

    embeddings: nn.Module
    layers: nn.ModuleList
    above: nn.Module

    @abstractmethod
    def embed(self, ids_BL: Tensor) -> Tensor:
        """Token ids of texts of one length to what the first layer reads, (B, L, d)."""

    @abstractmethod
    def layer(self, layer: Any, states_TD: Tensor, lengths: Sequence[int]) -> Tensor:
        """One layer over packed states."""


class Bert(Family):
    """Reads both ways: BERT, MiniLM, RoBERTa, ELECTRA; models with ``embeddings`` and ``encoder.layer``."""

    def __init__(self, model: Any) -> None:
        self.embeddings, self.layers, self.above = model.embeddings, model.encoder.layer, nn.Identity()

    def embed(self, ids_BL: Tensor) -> Tensor:
        embedded: Tensor = self.embeddings(input_ids=ids_BL)
        return embedded

    def layer(self, layer: Any, states_TD: Tensor, lengths: Sequence[int]) -> Tensor:
        own = layer.attention.self
        mixed = attend(
            own.query(states_TD), own.key(states_TD), own.value(states_TD), lengths, own.attention_head_size
        )
        attended = layer.attention.output(mixed, states_TD)
        out: Tensor = layer.output(layer.intermediate(attended), attended)
        return out


class Gpt2(Family):
    """Reads from left to right, with learned positions: GPT-2; models with ``wte``, ``wpe``, ``h`` and ``ln_f``."""

    def __init__(self, model: Any) -> None:
        self.embeddings = nn.ModuleList([model.wte, model.wpe])
        self.layers, self.above = model.h, model.ln_f

    def embed(self, ids_BL: Tensor) -> Tensor:
        tokens, places = self.embeddings.children()
        embedded: Tensor = tokens(ids_BL) + places(torch.arange(ids_BL.shape[1], device=ids_BL.device))
        return embedded

    def layer(self, layer: Any, states_TD: Tensor, lengths: Sequence[int]) -> Tensor:
        own = layer.attn
        query, key, value = own.c_attn(layer.ln_1(states_TD)).chunk(3, dim=1)
        mixed = attend(query, key, value, lengths, own.head_dim, causal=True, scale=own.scaling)
        states_TD = states_TD + own.c_proj(mixed)
        out: Tensor = states_TD + layer.mlp(layer.ln_2(states_TD))
        return out


class Llama(Family):
    """
    Reads from left to right, with rotated keys and queries, maybe fewer keys than queries: Llama, Mistral, Qwen.

    Models with ``embed_tokens``, ``layers``, ``norm`` and ``rotary_emb``; no text may be longer than the window that
    some of them limit attention to.
    """

    def __init__(self, model: Any) -> None:
        self.embeddings, self.layers, self.above = model.embed_tokens, model.layers, model.norm
        self._rotation = model.rotary_emb

    def embed(self, ids_BL: Tensor) -> Tensor:
        embedded: Tensor = self.embeddings(ids_BL)
        return embedded

    def layer(self, layer: Any, states_TD: Tensor, lengths: Sequence[int]) -> Tensor:
        own, normed = layer.self_attn, layer.input_layernorm(states_TD)
        cos_TH, sin_TH = self._angles(states_TD, lengths)
        query, key = (
            _rotated(self._normed(own, name, projected), cos_TH, sin_TH)
            for name, projected in (("q_norm", own.q_proj(normed)), ("k_norm", own.k_proj(normed)))
        )
        mixed = attend(query, key, own.v_proj(normed), lengths, own.head_dim, causal=True, scale=own.scaling)
        states_TD = states_TD + own.o_proj(mixed)
        out: Tensor = states_TD + layer.mlp(layer.post_attention_layernorm(states_TD))
        return out

    def _angles(self, states_TD: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        places = torch.from_numpy(np.concatenate([np.arange(length) for length in lengths]))
        cos, sin = self._rotation(states_TD, places.to(states_TD.device)[None])
        return cos[0], sin[0]

    @staticmethod
    def _normed(own: Any, name: str, projected: Tensor) -> Tensor:
        """(T, heads, head size), by a norm of its own where the model has one (Qwen3)."""
        heads = projected.view(len(projected), -1, own.head_dim)
        norm = getattr(own, name, None)
        return heads if norm is None else norm(heads)


def _rotated(heads_TNH: Tensor, cos_TH: Tensor, sin_TH: Tensor) -> Tensor:
    """Su et al. 2021 (arXiv 2104.09864), section 3.4.2, in halves as the Llama family stores them; (T, N H)."""
    first, second = heads_TNH.chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return (heads_TNH * cos_TH[:, None] + turned * sin_TH[:, None]).flatten(1)


def family_of(model: Any) -> Family:
    """The family of a model by what it is made of; raises SettingsError where it is none of these."""
    for family, parts in ((Gpt2, ("wte", "wpe", "h")), (Llama, ("embed_tokens", "layers", "rotary_emb"))):
        if all(hasattr(model, part) for part in parts):
            return family(model)
    if hasattr(model, "embeddings") and hasattr(getattr(model, "encoder", None), "layer"):
        return Bert(model)
    raise SettingsError(
        f"encoder.base: {type(model).__name__} cannot be fine-tuned: expected a model of the BERT family, "
        "GPT-2, or one built like Llama"
    )


def attend(
    query_TD: Tensor,
    key_TE: Tensor,
    value_TE: Tensor,
    lengths: Sequence[int],
    head_size: int,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Attention within each text, (T, D); with fewer heads in keys and values each serves several queries."""
    runs = equal_lengths(lengths)
    # Split, not sliced: the gradient of each slice would be a zero array as large as the whole.
    sizes = [count * length for _, count, length in runs]
    parts = (torch.split(part, sizes) for part in (query_TD, key_TE, value_TE))
    mixed = []
    for (_, count, length), *rows in zip(runs, *parts, strict=True):
        q, k, v = (part.view(count, length, -1, head_size).transpose(1, 2) for part in rows)
        out = functional.scaled_dot_product_attention(
            q, k, v, is_causal=causal, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
        )
        mixed.append(out.transpose(1, 2).reshape(count * length, -1))
    return torch.cat(mixed)


def equal_lengths(lengths: Sequence[int]) -> list[tuple[int, int, int]]:
    """(first text, number of texts, token length) of each run of equal lengths."""
    array = np.asarray(lengths)
    starts = np.flatnonzero(np.diff(array, prepend=-1))
    counts = np.diff(starts, append=len(array))
    return [(int(s), int(c), int(array[s])) for s, c in zip(starts, counts, strict=True)]
