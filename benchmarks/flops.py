"""How much arithmetic a text costs, and how much of it a card could do at most."""

from dataclasses import dataclass

# Dense bf16 with fp32 accumulation, FLOP/s, from NVIDIA's data sheets; the more exact name comes first.
BF16_PEAKS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10": 125e12,
}


@dataclass(frozen=True)
class Shape:
    """A BERT: its layers, their width, and the width of their feed-forward part."""

    layers: int
    width: int
    inner: int

    @property
    def weights(self) -> int:
        """Of the layers' matrices: four of the attention, two of the feed-forward part; embeddings only look up."""
        return self.layers * (4 * self.width**2 + 2 * self.width * self.inner)

    def training_flops(self, tokens: int) -> int:
        """
        FLOPs a token of training, in texts of ``tokens`` tokens: 6 N + 12 L H Q T.

        Chowdhery et al. 2022 (PaLM, arXiv 2204.02311), appendix B: 2 N forward and 4 N backward for the N weights,
        and as much for the attention's two products, over heads times their width H Q = ``width`` and T tokens.
        """
        return 6 * self.weights + 12 * self.layers * self.width * tokens


def bf16_peak(card: str) -> float | None:
    """FLOP/s of the card with this name; none where it is not known here."""
    return next((peak for name, peak in BF16_PEAKS.items() if name in card.replace("-", " ")), None)
