"""
The towers as torch sees them: one forward pass over a batch, and its loss.

Letters: B examples, K shared negatives, L distinct items of the batch, D width, H half-lives, P popularity windows.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from recsys_tasks.model.causal import CausalTower
from recsys_tasks.model.losses import worth_of
from recsys_tasks.training.history_views import view_loss
from recsys_tasks.training.row_sums import RowSums

USER_START = 3.0


@dataclass(frozen=True)
class TorchBatch:
    """A batch on the device. Items are numbered within the batch: 0..L-1."""

    texts: Tensor
    """(texts, T) the distinct text vectors of the batch's items."""
    parts: RowSums
    """What of [texts; attribute table; ...] adds up to each item's part beside its id."""
    bags: RowSums
    """The items of each history."""
    bag_values: Tensor
    """(H, entries)"""
    recent: RowSums
    """The last items of each history, as many for each; none where the user tower is a mean."""
    last: Tensor
    """(B,) where the last one stands"""
    known: Tensor
    """(B,) 1 where the example has a history."""
    weights: Tensor
    """(B,)"""
    cuts: Tensor
    """(B,)"""
    positive_rows: Tensor
    owners: RowSums
    """The example of each positive."""
    positives: RowSums
    negatives: RowSums
    positive_popularity: Tensor
    """(positives, P)"""
    negative_popularity: Tensor
    """(C, K, P)"""
    correction: Tensor
    """(K,)"""
    masked_rows: Tensor
    masked_columns: Tensor
    views: "TorchViews | None" = None


@dataclass(frozen=True)
class TorchViews:
    """Two views of V histories on the device (HistoryViews), and what the loss of them counts."""

    codes: RowSums
    """The items of the views, 2V times L of them"""
    masked: Tensor
    """(2V, L)"""
    last: Tensor
    users: Tensor
    """(V,)"""
    weight: float
    temperature: float


class TowerNet(nn.Module):
    """Everything learned except the id table, whose rows are handed in (few of them are touched a step)."""

    def __init__(
        self,
        *,
        dim: int,
        text_dim: int,
        bags: int,
        windows: int,
        attributes: list[int],
        similarity: str,
        learn_temperature: bool = True,
        causal: CausalTower | None = None,
    ) -> None:
        super().__init__()
        self.similarity = similarity
        self.text = nn.Parameter(torch.zeros(text_dim, dim))
        self.attributes = nn.ParameterList([torch.zeros(values, dim) for values in attributes])
        # A shopper starts as the sum of the bags, scaled so that likeness weighs about as much as popularity.
        self.user_weight = nn.Parameter(torch.eye(dim).repeat(bags, 1) * USER_START / bags)
        self.causal = causal
        if causal is not None:
            # Its rows have length sqrt(D), an item's is below 1.
            self.user_weight = nn.Parameter(torch.eye(dim) * USER_START * dim**-0.5)
        self.user_bias = nn.Parameter(torch.zeros(dim))
        bilinear, cosine = similarity == "bilinear", similarity == "cosine"
        self.item_weight = nn.Parameter(torch.eye(dim)) if bilinear else None
        self.item_bias = nn.Parameter(torch.zeros(dim)) if bilinear else None
        self.gains = nn.Parameter(torch.full((windows,), 0.8 / max(windows, 1)))
        self.log_scale = nn.Parameter(
            torch.tensor([12.0 if cosine else 1.0]).log(), requires_grad=cosine and learn_temperature
        )

    def forward(self, batch: TorchBatch, ids_LD: Tensor, dropped: Tensor) -> Tensor:
        """The loss. ``dropped`` (B, H * D) is the input dropout: 0, or 1 / (1 - p)."""
        items_LD = self.items(batch, ids_LD)
        beside = 0.0 if batch.views is None else self.view_loss(batch.views, items_LD)
        users_BD, items_LD = self.folded(self.users(batch, items_LD, dropped), items_LD)
        users_BD = users_BD * batch.known[:, None] * self.log_scale.exp()
        negatives_BK = users_BD @ batch.negatives.over(items_LD).T
        negatives_BK = (
            negatives_BK + worth_of(batch.negative_popularity, self.gains)[batch.cuts] + batch.correction
        )
        negatives_BK = negatives_BK.index_put(
            (batch.masked_rows, batch.masked_columns), negatives_BK.new_tensor(float("-inf"))
        )
        positives = (batch.owners.over(users_BD) * batch.positives.over(items_LD)).sum(dim=1)
        positives = positives + worth_of(batch.positive_popularity, self.gains)
        return multi_positive_loss(positives, batch.positive_rows, negatives_BK, batch.weights) + beside

    def folded(self, users_BD: Tensor, items_LD: Tensor) -> tuple[Tensor, Tensor]:
        """Rows whose product is the similarity: D wide, one more for the squared distance (see ``model.towers``)."""
        if self.similarity == "cosine":
            return normalize(users_BD, dim=1), normalize(items_LD, dim=1)
        if self.item_weight is not None and self.item_bias is not None:
            return users_BD, items_LD @ self.item_weight + self.item_bias
        if self.similarity == "euclidean":
            halves_L1 = items_LD.square().sum(dim=1, keepdim=True) / 2
            ones_B1 = torch.ones_like(users_BD[:, :1])
            return torch.cat([users_BD, ones_B1], dim=1), torch.cat([items_LD, -halves_L1], dim=1)
        return users_BD, items_LD

    def items(self, batch: TorchBatch, ids_LD: Tensor) -> Tensor:
        """(L, D) id + text + attributes."""
        tables = torch.cat([batch.texts @ self.text, *self.attributes])
        return ids_LD + batch.parts.over(tables)

    def users(self, batch: TorchBatch, items_LD: Tensor, dropped: Tensor) -> Tensor:
        """(B, D) from one decayed bag a half-life, or from the transformer's last place."""
        if self.causal is not None:
            x_BLD = batch.recent.over(items_LD).view(len(batch.last), -1, items_LD.shape[1])
            return self._read(self.causal, x_BLD, batch.last)
        bags = [batch.bags.over(items_LD, values) for values in batch.bag_values]
        return torch.cat(bags, dim=1) * dropped @ self.user_weight + self.user_bias

    def view_loss(self, views: TorchViews, items_LD: Tensor) -> Tensor:
        """The weighted loss of the views (history_views.view_loss); a masked item leaves only its place."""
        assert self.causal is not None
        x_XLD = views.codes.over(items_LD).view(*views.masked.shape, -1)
        read_XD = self._read(self.causal, x_XLD * ~views.masked[:, :, None], views.last)
        first_VD, second_VD = read_XD.chunk(2)
        return views.weight * view_loss(first_VD, second_VD, views.users, views.temperature)

    def _read(self, causal: CausalTower, x_BLD: Tensor, last_B: Tensor) -> Tensor:
        """(B, D) the shopper at the last place of each history."""
        places = torch.arange(len(last_B), device=last_B.device)
        read_BD: Tensor = causal(x_BLD)[places, last_B]
        return read_BD @ self.user_weight + self.user_bias


def multi_positive_loss(positives: Tensor, rows: Tensor, negatives_BK: Tensor, weights: Tensor) -> Tensor:
    """
    One softmax an example over its positives and the negatives; the target is uniform over the positives.

    ``positives`` are the logits of all positives, ``rows`` the example of each (every example has one at least).
    The mean over examples by ``weights``.
    """
    examples = len(negatives_BK)
    top = torch.maximum(
        negatives_BK.max(dim=1).values,
        torch.full_like(weights, float("-inf")).scatter_reduce(0, rows, positives, "amax"),
    ).detach()
    zero = torch.zeros(examples, dtype=positives.dtype, device=positives.device)
    total = (negatives_BK - top[:, None]).exp().sum(dim=1)
    total = total + zero.index_add(0, rows, (positives - top[rows]).exp())
    count = zero.index_add(0, rows, torch.ones_like(positives))
    mean_positive = zero.index_add(0, rows, positives) / count
    losses = total.log() + top - mean_positive
    return (losses * weights).sum() / weights.sum()
