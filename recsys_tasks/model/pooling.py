"""
How the states of a text's tokens become one vector: their mean, or the state of the last.

A model that reads both ways (BERT) has the whole text in every state, and the mean of them is the usual vector (Reimers
and Gurevych 2019, arXiv 1908.10084, section 3). In a model that reads from left to right (GPT) only the last token has
seen the whole text (Neelakantan et al. 2022, arXiv 2201.10005, section 2; Wang et al. 2024, arXiv 2401.00368, section
3.1: an end token is appended, and its state is the vector).
"""

import json
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

Pooling = Literal["mean", "last"]


def reads_one_way(model_type: str) -> bool:
    """Whether models of this ``config.model_type`` are decoders: no masked-token head is known for them."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    generates, fills_gaps = MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return model_type in generates and model_type not in fills_gaps


def pooling_of(model_type: str, asked: str = "auto") -> Pooling:
    """What ``encoder.pooling`` means for a model of this type."""
    if asked == "auto":
        return "last" if reads_one_way(model_type) else "mean"
    return "last" if asked == "last" else "mean"


def pooling_in(folder: Path, asked: str = "auto") -> Pooling:
    """The same for the model in a ``save_pretrained`` folder."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return pooling_of(str(config.get("model_type", "")), asked)


def pooled(states_BLD: Tensor, pooling: Pooling) -> Tensor:
    """States of texts of one length, (B, L, d), to their vectors in float32, (B, d)."""
    states_BLD = states_BLD.float()
    return states_BLD[:, -1] if pooling == "last" else states_BLD.mean(dim=1)
