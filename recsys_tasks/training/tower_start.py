"""What towers take over from those of an earlier night."""

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recsys_tasks.model.tower_parts import ATTRIBUTES
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.training.tower_net import TowerNet


@torch.no_grad()
def continue_from(
    warm: TowerModel, net: TowerNet, ids: Tensor, item_ids: pl.Series, attribute_values: dict[str, list[str]]
) -> None:
    """Copy what the earlier night learned, wherever it fits: items by id, attributes by value, the rest by shape."""
    old = warm.tensors
    pairs = [(net.text, old.text), (net.user_weight, old.user_weight)]
    pairs += [(net.user_bias, old.user_bias), (net.gains, old.gains)]
    if net.item_weight is not None and net.item_bias is not None:
        pairs += [(net.item_weight, old.item_weight), (net.item_bias, old.item_bias)]
    if net.similarity == "cosine":
        pairs.append((net.log_scale, np.log(old.scale)))
    for parameter, value in pairs:
        if parameter.shape == value.shape:
            parameter.copy_(torch.from_numpy(value))
    if net.causal is not None and old.causal and warm.width == ids.shape[1]:
        net.causal.load_state_dict({name: torch.from_numpy(value) for name, value in old.causal.items()})
    if warm.width != ids.shape[1]:
        return
    _copy_rows(ids, item_ids, torch.from_numpy(old.ids), warm.item_ids)
    for table, name in zip(net.attributes, ATTRIBUTES, strict=True):
        values = pl.Series(attribute_values[name], dtype=pl.String)
        earlier = pl.Series(warm.facts.attribute_values[name], dtype=pl.String)
        _copy_rows(table.data[1:], values, torch.from_numpy(old.attributes[name][1:]), earlier)


def _copy_rows(target: Tensor, names: pl.Series, source: Tensor, source_names: pl.Series) -> None:
    """Copy the rows of the names that both have; both lists of names are sorted."""
    both = names.filter(names.is_in(source_names.implode()))
    if len(both):
        to = torch.from_numpy(names.search_sorted(both).to_numpy().astype(np.int64))
        target[to] = source[torch.from_numpy(source_names.search_sorted(both).to_numpy().astype(np.int64))]
