"""``towers``: a shopper's history and an item, as vectors of one space."""

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from recsys_tasks.settings.augment import HistoryPolicy, HistoryPolicyOrFile
from recsys_tasks.settings.section import Section, Share


class TowerSettings(Section):
    dim: PositiveInt = 128
    epochs: PositiveInt = 3
    warm_epochs: PositiveInt = 2
    """Epochs when the night starts from the towers of an earlier night."""
    refit_epochs: NonNegativeInt = 0
    """More epochs for accepted towers, over everything up to the night's end; only lists come from them. 0: none."""
    batch_examples: PositiveInt = 512
    learning_rate: PositiveFloat = 3e-3
    user: Literal["mean", "transformer"] = "mean"
    """What makes a shopper of the history: a mean with time decay, or a causal transformer over the last 50 items."""
    view_weight: NonNegativeFloat = 0.0
    """How much it counts that two views of one history mean the same shopper (``transformer`` only); 0: it does not."""
    view_temperature: PositiveFloat = 0.2
    augment: HistoryPolicyOrFile = HistoryPolicy()
    """How a view of a history is made: a policy, or the YAML file of one."""
    half_lives_days: list[PositiveFloat] = Field(default=[30.0, 180.0], min_length=1)
    """The shopper's history is a decayed bag of items, once per half-life."""
    history_events: PositiveInt = 400
    similarity: Literal["dot", "cosine", "euclidean", "bilinear"] = "dot"
    """How a shopper u meets an item v: u.v; their cosine; -|u - v|^2 / 2; u.(W v + b) with W and b learned."""
    learn_temperature: bool = True
    """Cosine only; where false the scale stays at its start of 12."""
    text: bool = True
    """Whether the text vector is a part of an item; without it an item that training never saw has none."""
    negatives: PositiveInt = 2048
    """Drawn for each batch, ~ count ** .5; a vocabulary below 5,000 items is taken whole."""
    logq: Share = 1.0
    """Strength of the correction for drawing popular items more often."""
    example_half_life_days: PositiveFloat = 180.0
    input_dropout: Share = 0.2
    """Share of the numbers of a shopper's bags hidden in training; a transformer has its own, of .2 in every layer."""
    id_dropout: Share = 0.2
    """Share of item ids hidden in training, so that an item without history works from its text; 1: no ids."""
    popularity_days: list[PositiveInt] = [7, 28, 180]
    """Windows of the popularity in the score; empty: no popularity."""
    new_popularity: PositiveFloat = 1.75
    """How many times as much popularity counts where only items new to the shopper are ranked (``targets: all``)."""
    targets: Literal["all", "new"] = "all"
    """What an example's positives are: all that the shopper took, or only what was new to the shopper."""
    max_examples: PositiveInt = 24_000
    """Examples of an epoch; where there are more, they are drawn anew each epoch, newer ones more often."""
    launch_prior: bool = True
    """An item that nobody took yet counts as popular as earlier launches of its category were in their first days."""
    neighbour_rank: NonNegativeInt = 128
    """Width of the neighbour model (EASE) that stands beside the learned vectors; 0 leaves it out."""
    neighbour_weight: NonNegativeFloat = 0.35
    """How much it counts, in logits per standard deviation of its scores."""
    neighbour_items: PositiveInt = 5_000
    """The items it knows, those touched most; time grows with the cube, memory with the square."""
    neighbour_half_life_days: PositiveFloat = 365.0

    def as_fitted(self) -> dict[str, Any]:
        """What decides the towers that the gate sees, as manifests hold it: a refit comes behind them."""
        return self.model_dump(mode="json", exclude={"refit_epochs"})

    @model_validator(mode="after")
    def _views_are_used(self) -> "TowerSettings":
        if self.view_weight and self.user != "transformer":
            raise ValueError("view_weight: views of histories need user: transformer; a mean knows no order")
        if not self.view_weight and self.augment != HistoryPolicy():
            raise ValueError("augment says how views are made: it needs a view_weight above 0")
        return self
