"""How a next-item model is trained. Defaults are one set for all data, chosen on validation."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from recsys_tasks.settings.section import Section, Share


class SequenceSettings(Section):
    user: Literal["mean", "transformer"] = "mean"
    """Decayed mean with a small MLP, or a causal transformer."""
    dim: PositiveInt = 128
    max_length: PositiveInt = 50
    """Newest items of a history that the tower reads."""
    max_looks: PositiveInt = 20
    """Looks at the validation at most: one an epoch, or fewer where an epoch is short."""
    patience: PositiveInt = 2
    """Stop after this many looks at the validation that were no better than the best."""
    batch_targets: PositiveInt = 1792
    """Targets of a step; sequences are drawn until they hold this many."""
    learning_rate: PositiveFloat = 1e-3
    weight_decay: float = Field(default=0.01, ge=0)
    warm_up_steps: PositiveInt = 100
    max_grad_norm: PositiveFloat = 5.0
    ema: Share = 0.99
    """Share of the running mean of the weights that a step keeps."""
    temperature: PositiveFloat = 0.07
    negatives: PositiveInt = 2048
    id_dropout: Share = 0.2
    """Share of item ids hidden in training, so that an item works from its text alone."""
    input_dropout: Share = 0.4
    layers: PositiveInt = 2
    heads: PositiveInt = 2
    tower_dropout: Share = 0.2
    seed: int = Field(default=1, ge=0)
