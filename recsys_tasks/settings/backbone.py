"""Sections of ``encoder`` about the weights of the pretrained model: which of them learn, and from what first."""

from pydantic import Field, PositiveFloat, PositiveInt

from recsys_tasks.settings.section import Section


class LoraSettings(Section):
    """Low-rank adapters; they have no dropout, so that a run repeats itself."""

    rank: PositiveInt = 8
    alpha: PositiveInt = 16
    """The adapters' part counts alpha / rank times."""


class AdaptSettings(Section):
    """Masked-token training on the catalogue's texts, before the encoder learns what goes together."""

    steps: PositiveInt = 300
    batch_texts: PositiveInt = 128
    learning_rate: PositiveFloat = 1e-4
    mask_share: float = Field(default=0.15, gt=0, lt=1)
    """Share of the tokens that are to be guessed."""
