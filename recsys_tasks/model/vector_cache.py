"""
Text vectors that are already known, by encoder and text: a night pays only for texts it has not seen.

Raw vectors are kept, before whitening, under the hash of the weights: two nights whose gate refused the tuned encoder
share what the base made. The code that encodes and the numbers it computes in are part of the name. A segment is one
Parquet file that appears whole, so concurrent writers cannot spoil it.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import torch

from recsys_tasks.model.arrays import Floats, Progress
from recsys_tasks.model.encoder import TextEncoder, autocast, best_device, weights_hash
from recsys_tasks.model.full_memory import advice
from recsys_tasks.model.pooling import pooling_in
from recsys_tasks.workspace import code_version, fingerprint_of

# The modules of ``model`` whose code a vector depends on.
CODE = ("encoder", "linear", "pooling")


@dataclass(frozen=True)
class VectorCache:
    """The vectors of one encoder."""

    folder: Path

    @classmethod
    def of(cls, home: Path, weights: Path, max_tokens: int, pooling: str = "auto") -> "VectorCache":
        """The cache of the encoder in folder ``weights``; ``home`` is the folder of all caches."""
        code = fingerprint_of({room: code_version(f"model/{room}") for room in CODE})[:12]
        asked = f"{max_tokens}-{pooling_in(weights, pooling)}"
        return cls(home / f"{weights_hash(weights)}-{asked}-{code}-{number_type(best_device())}")

    def lookup(self, texts: Sequence[str]) -> tuple[Floats | None, npt.NDArray[np.bool_]]:
        """Vectors (n, d) and which rows are known; the others are zero. No vectors where the cache is empty."""
        segments = sorted(self.folder.glob("*.parquet"))
        if not segments:
            return None, np.zeros(len(texts), dtype=np.bool_)
        # Two writers may have met the same text: the first file by name wins, always.
        cached = pl.concat([pl.read_parquet(file) for file in segments]).unique(
            "text", keep="first", maintain_order=True
        )
        row_of = pl.DataFrame({"text": cached["text"], "row": np.arange(len(cached))})
        wanted = pl.DataFrame({"text": pl.Series(texts, dtype=pl.String)})
        rows = wanted.join(row_of, on="text", how="left", maintain_order="left")["row"]
        known = rows.is_not_null().to_numpy()
        matrix = cached["vector"].to_numpy()
        return np.where(known[:, None], matrix[rows.fill_null(0).to_numpy()], np.float32(0)), known

    def add(self, texts: Sequence[str], vectors: Floats) -> None:
        """Keep the vectors of these distinct texts; what is known already stays as it is."""
        new = np.flatnonzero(~self.lookup(texts)[1])
        if len(new) == 0:
            return
        texts, vectors = [texts[row] for row in new.tolist()], vectors[new]
        self.folder.mkdir(parents=True, exist_ok=True)
        segment = pl.DataFrame(
            {
                "text": pl.Series(texts, dtype=pl.String),
                "vector": pl.Series(vectors, dtype=pl.Array(pl.Float32, vectors.shape[1])),
            }
        )
        name = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
        file = self.folder / f"{name}.parquet"
        scratch = file.with_suffix(f".{os.getpid()}.partial")
        try:
            segment.write_parquet(scratch, compression="lz4")
            scratch.replace(file)
        finally:
            scratch.unlink(missing_ok=True)


def number_type(device: str) -> str:
    """What a text encoder computes in on this device: its vectors differ between them from the third digit on."""
    with autocast(device):
        kind = device.split(":")[0]
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    return f"{kind}-{str(dtype).removeprefix('torch.')}"


def encode_cached(
    load: Callable[[], TextEncoder],
    cache: VectorCache,
    texts: Sequence[str],
    progress: Progress | None = None,
) -> tuple[Floats, int]:
    """
    The vectors of distinct texts, (n, width), and how many of them had to be encoded.

    The encoder is loaded only where a text is new: that takes seconds, and most nights bring none. Raises
    TrainingFailed where memory is full.
    """
    vectors, known = cache.lookup(texts)
    missing = [texts[row] for row in np.flatnonzero(~known).tolist()]
    if vectors is not None and not missing:
        return vectors, 0
    encoder = load()
    if vectors is None:
        vectors = np.zeros((len(texts), encoder.width), dtype=np.float32)
    if missing:
        with advice("encoding texts", f"lower encoder.max_tokens (now {encoder.max_tokens})"):
            fresh = encoder.encode(missing, progress)
        cache.add(missing, fresh)
        vectors[~known] = fresh
    return vectors, len(missing)
