"""
Whitening of text vectors.

The texts of one shop crowd into a narrow cone of the encoder's space, so raw cosines say little. Centring,
rotating onto the principal axes and damping the strong ones made text-only recommendation of unseen items a third
better in our measurements; most of what looks like a gain of fine-tuning is this, which is why the tuned encoder
is always compared with the whitened frozen one. After Su et al., "Whitening Sentence Representations" (2021),
arXiv 2103.15316, with a softer exponent and a ridge.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from recsys_tasks.model.arrays import Floats

EXPONENT = 0.35
RIDGE = 0.05
ROWS_AT_A_TIME = 16_384


@dataclass(frozen=True)
class Whitening:
    """``x -> unit((x - mean) @ rotation)``; mean (d,), rotation (d, d) with the scales folded in."""

    mean: Floats
    rotation: Floats

    @classmethod
    def fit(cls, vectors: Floats) -> "Whitening":
        """
        Fit on the distinct texts of a catalogue, (n, d).

        Axis i is scaled by (lambda_i + RIDGE * mean lambda) ** -EXPONENT: the strong axes are damped, the weak ones
        are not blown up. Each axis points to where its largest component is positive, so that two machines agree.
        """
        mean = vectors.mean(axis=0, dtype=np.float64)
        variances, axes = np.linalg.eigh(_covariance(vectors, mean))
        variances, axes = np.clip(variances[::-1], 0.0, None), axes[:, ::-1]
        peaks = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None, :], axis=0)
        # A catalogue of one text has no variance at all: leave its axes as they are.
        floor = RIDGE * float(variances.mean()) or 1.0
        scales = (variances + floor) ** -EXPONENT
        return cls(mean.astype(np.float32), (axes * np.sign(peaks) * scales).astype(np.float32))

    def apply(self, vectors: Floats) -> Floats:
        """Whitened rows of unit length, (n, d); a row that equals the mean stays zero."""
        whitened = np.empty_like(vectors)
        for start in range(0, len(vectors), ROWS_AT_A_TIME):
            rows = (vectors[start : start + ROWS_AT_A_TIME] - self.mean) @ self.rotation
            norms = np.linalg.norm(rows, axis=1, keepdims=True)
            whitened[start : start + ROWS_AT_A_TIME] = rows / np.where(norms > 0, norms, 1.0)
        return whitened

    def save(self, path: Path) -> None:
        save_file({"mean": self.mean, "rotation": np.ascontiguousarray(self.rotation)}, path)

    @classmethod
    def load(cls, path: Path) -> "Whitening":
        tensors = load_file(path)
        return cls(tensors["mean"], tensors["rotation"])


def _covariance(vectors: Floats, mean: np.ndarray) -> np.ndarray:
    """(d, d) in double precision, without a double-precision copy of all rows."""
    total = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(vectors), ROWS_AT_A_TIME):
        centred = vectors[start : start + ROWS_AT_A_TIME] - mean
        total += centred.T @ centred
    return total / max(1, len(vectors))
