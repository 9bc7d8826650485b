"""Views of histories: item codes, oldest first."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from recsys_tasks.model.arrays import Positions
from recsys_tasks.model.augment.places import crop, hidden, reorder, share_of
from recsys_tasks.model.augment.policy import drawn
from recsys_tasks.settings.augment import HistoryPolicy, HistoryStep


@dataclass(frozen=True)
class HistoryView:
    """n items, oldest first. ``masked`` (n,): something stood here that the view does not tell; never everywhere."""

    items: Positions
    masked: npt.NDArray[np.bool_]


def view_of_history(items: Positions, policy: HistoryPolicy, rng: np.random.Generator) -> HistoryView:
    """A view of a history of any length; an empty one has an empty view."""
    view = HistoryView(items, np.zeros(len(items), dtype=np.bool_))
    for step in drawn(policy.sub_policies, rng):
        if len(view.items):
            view = _changed(view, step, rng)
    return view


def _changed(view: HistoryView, step: HistoryStep, rng: np.random.Generator) -> HistoryView:
    count = len(view.items)
    if step.operation == "mask":
        masked = view.masked | hidden(count, step.strength, rng)
        return view if masked.all() else HistoryView(view.items, masked)
    if step.operation == "reorder":
        places = reorder(count, share_of(count, step.strength), rng)
    else:
        places = crop(count, step.strength, rng)
    # A crop may fall on masked items alone: then there would be nothing to learn from.
    return view if view.masked[places].all() else HistoryView(view.items[places], view.masked[places])
