"""
How near two vectors lie, by setting: f(query, item), (B, D) and (C, D) -> (B, C), larger is nearer.

The bilinear form is that of Chechik et al. 2010 (OASIS, JMLR 11), with a map and an offset on either side.
``model.similarity`` folds each into plain vectors whose inner product ranks items the same way.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from recsys_tasks.model.similarity import Kind


class Similarity(nn.Module, ABC):
    """``lowest`` is the value of two opposite unit vectors: what debiasing may at least assume of a negative."""

    kind: Kind
    lowest = -1.0

    @abstractmethod
    def forward(self, queries_BD: Tensor, items_CD: Tensor) -> Tensor:
        """(B, C) the similarity of each query to each item."""

    def paired(self, queries_BD: Tensor, items_BD: Tensor) -> Tensor:
        """(B,) the similarity of row i to row i."""
        paired_B: Tensor = self(queries_BD, items_BD).diagonal()
        return paired_B


class Cosine(Similarity):
    kind: Kind = "cosine"

    def forward(self, queries_BD: Tensor, items_CD: Tensor) -> Tensor:
        return functional.normalize(queries_BD, dim=1) @ functional.normalize(items_CD, dim=1).T


class Dot(Similarity):
    kind: Kind = "dot"

    def forward(self, queries_BD: Tensor, items_CD: Tensor) -> Tensor:
        return queries_BD @ items_CD.T


class Euclidean(Similarity):
    """-|x - y|^2, from the three products: no (B, C, D) in memory."""

    kind: Kind = "euclidean"
    lowest = -4.0

    def forward(self, queries_BD: Tensor, items_CD: Tensor) -> Tensor:
        # In full precision: near vectors differ in digits that bf16 does not have.
        with torch.autocast(queries_BD.device.type, enabled=False):
            queries_BD, items_CD = queries_BD.float(), items_CD.float()
            lengths_BC = queries_BD.square().sum(1)[:, None] + items_CD.square().sum(1)
            return (2 * queries_BD @ items_CD.T - lengths_BC).clamp(max=0.0)


class Bilinear(Similarity):
    """<W_u x + b_u, W_y y + b_y>; starts as the plain product and learns both maps."""

    kind: Kind = "bilinear"

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query_weight_DD = nn.Parameter(torch.eye(width))
        self.query_bias_D = nn.Parameter(torch.zeros(width))
        self.item_weight_DD = nn.Parameter(torch.eye(width))
        self.item_bias_D = nn.Parameter(torch.zeros(width))

    def forward(self, queries_BD: Tensor, items_CD: Tensor) -> Tensor:
        queries_BD = functional.linear(queries_BD, self.query_weight_DD, self.query_bias_D)
        items_CD = functional.linear(items_CD, self.item_weight_DD, self.item_bias_D)
        return queries_BD @ items_CD.T


def similarity_of(kind: Kind, width: int) -> Similarity:
    if kind == "bilinear":
        return Bilinear(width)
    makers: dict[Kind, Callable[[], Similarity]] = {"cosine": Cosine, "dot": Dot, "euclidean": Euclidean}
    return makers[kind]()
