"""What a fit learned, as the arrays that are kept and used."""

from datetime import datetime

import numpy as np
import numpy.typing as npt
from torch import Tensor

from recsys_tasks.model.cold import mean_by
from recsys_tasks.model.factors import Factors
from recsys_tasks.model.tower_parts import ATTRIBUTES, TowerFacts, TowerTensors, own_parts
from recsys_tasks.model.towers import TowerModel
from recsys_tasks.training.tower_fit import Fit

Floats = npt.NDArray[np.float32]


def model_of(fit: Fit, weights: dict[str, float], until: datetime, near: Factors) -> TowerModel:
    """The towers of a finished fit, with the neighbour factors beside what it learned."""
    settings, catalogue, net = fit.settings, fit.catalogue, fit.net
    ids = _array(fit.ids)
    attributes = {name: _array(table) for name, table in zip(ATTRIBUTES, net.attributes, strict=True)}
    own = own_parts(ids, attributes, catalogue.attribute_codes)
    # Where texts do not count, nothing may be borrowed by their likeness either.
    texts = len(catalogue.texts) if settings.text else 0
    near_codes = fit.data.item_ids.search_sorted(near.item_ids).to_numpy().astype(np.int64)
    facts = TowerFacts(
        half_lives_days=settings.half_lives_days,
        history_events=settings.history_events,
        popularity_days=settings.popularity_days,
        similarity=settings.similarity,
        event_weights=weights,
        until=until.isoformat(),
        user=settings.user,
        launch_prior=settings.launch_prior,
        # Gains that are learned of new items alone need no correction for them.
        new_popularity=settings.new_popularity if settings.targets == "all" else 1.0,
        near_half_life_days=settings.neighbour_half_life_days,
        attribute_values=catalogue.attribute_values,
    )
    tensors = TowerTensors(
        ids=ids,
        text=_array(net.text),
        user_weight=_array(net.user_weight),
        user_bias=_array(net.user_bias),
        item_weight=_optional(net.item_weight, (0, 0)),
        item_bias=_optional(net.item_bias, (0,)),
        gains=_array(net.gains),
        scale=_array(net.log_scale.exp()),
        warm_text=catalogue.texts[:texts].astype(np.float16),
        warm_ids=mean_by(catalogue.text_codes, len(catalogue.texts), own)[:texts],
        near_codes=near_codes,
        near_texts=catalogue.text_codes[near_codes] if settings.text else near_codes[:0],
        near_given=near.given * np.float32(settings.neighbour_weight),
        near_taken=near.taken,
        attributes=attributes,
        attribute_codes=catalogue.attribute_codes,
        causal={} if net.causal is None else {n: _array(w) for n, w in net.causal.state_dict().items()},
    )
    return TowerModel(facts, fit.data.item_ids, tensors)


def _optional(tensor: Tensor | None, empty: tuple[int, ...]) -> Floats:
    return np.zeros(empty, np.float32) if tensor is None else _array(tensor)


def _array(tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().cpu().numpy()
    return array.copy()
