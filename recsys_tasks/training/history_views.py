"""
Two views of a history, and the loss that tells them apart from the views of other shoppers.

CL4SRec (Xie et al. 2020, arXiv 2010.14395), sections 3.1 and 3.2: beside its own task a sequence model learns that two
changed versions of one history (cropped, masked, reordered) mean the same shopper.

Letters: V histories of a batch, L places, D width.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import normalize

from recsys_tasks.model.augment.histories import HistoryView, view_of_history
from recsys_tasks.model.causal_users import LENGTH
from recsys_tasks.model.histories import Bags
from recsys_tasks.model.losses import multi_positive
from recsys_tasks.settings.augment import HistoryPolicy

Ints = npt.NDArray[np.int64]
# One item has one view only.
SHORTEST = 2


@dataclass(frozen=True)
class HistoryViews:
    """The first views of V histories, then their second ones."""

    codes: Ints
    """(2V, L) items, oldest first; item 0 behind the end."""
    masked: npt.NDArray[np.bool_]
    """(2V, L)"""
    last: Ints
    """(2V,) the place of each one's newest item."""
    users: Ints
    """(V,)"""


def history_views(bags: Bags, users: Ints, policy: HistoryPolicy, rng: np.random.Generator) -> HistoryViews:
    """Two views of each row's newest LENGTH items; rows with fewer than SHORTEST items have none."""
    rows = np.flatnonzero(bags.lengths >= SHORTEST)
    views = [
        view_of_history(bags.items[max(begin, end - LENGTH) : end], policy, rng)
        for begin, end in zip(np.tile(bags.offsets[rows], 2), np.tile(bags.offsets[rows + 1], 2), strict=True)
    ]
    return _packed(views, users[rows])


def _packed(views: list[HistoryView], users: Ints) -> HistoryViews:
    codes = np.zeros((len(views), LENGTH), dtype=np.int64)
    masked = np.zeros((len(views), LENGTH), dtype=np.bool_)
    for row, view in enumerate(views):
        codes[row, : len(view.items)], masked[row, : len(view.items)] = view.items, view.masked
    last = np.array([len(view.items) - 1 for view in views], dtype=np.int64)
    return HistoryViews(codes, masked, last, users)


def view_loss(first_VD: Tensor, second_VD: Tensor, users_V: Tensor, temperature: float) -> Tensor:
    """
    NT-Xent over the 2V views, compared by cosine: the mean of -log softmax(f / t) of each one's other view.

    Among all views but itself, and but those of the same shopper's other histories: a shopper stands in a batch once
    for each example, and two weeks of one history are no strangers. Without histories it is zero.
    """
    if not len(users_V):
        return first_VD.sum()
    views_XD = normalize(torch.cat([first_VD, second_VD]), dim=1)
    owners_X = users_V.repeat(2)
    other_XX = torch.eye(len(views_XD), dtype=torch.bool, device=views_XD.device).roll(len(users_V), dims=1)
    same_XX = owners_X[:, None] == owners_X[None, :]
    return multi_positive(views_XD @ views_XD.T / temperature, other_XX, same_XX & ~other_XX)
