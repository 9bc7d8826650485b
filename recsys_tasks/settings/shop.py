"""The whole tree: one shop."""

from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import Field, PositiveFloat, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from recsys_tasks.calendar import Night, parse_night
from recsys_tasks.settings.classifier import ClassifierSettings
from recsys_tasks.settings.encoder import EncoderSettings
from recsys_tasks.settings.keeping import CheckSettings, LakeSettings, StoreSettings
from recsys_tasks.settings.lists import GateSettings, RankerSettings, RuleSettings
from recsys_tasks.settings.pairs import PairSettings
from recsys_tasks.settings.sources import SourcesSettings
from recsys_tasks.settings.towers import TowerSettings
from recsys_tasks.settings.values import Cron, Database, EventType, ZoneName


class Settings(BaseSettings):
    """One shop."""

    model_config = SettingsConfigDict(
        env_prefix="RECSYS_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    home: Path = Path(".recsys")
    """Where lake, artefacts and the embedded database lie; relative paths start at the folder of shop.yaml."""
    database: Database = "embedded"
    """``embedded``, ``sqlite:///FILE``, or the name of an environment variable that holds a PostgreSQL URL."""
    time_zone: ZoneName = "UTC"
    schedule: Cron = "30 3 * * *"
    """When a night's run starts (cron, in the shop's zone); it works on the business day before."""
    first_night: date
    last_night: date | None = None
    """For a log that has ended, its last day: nothing is scheduled after it, and no later day loaded or backfilled."""
    sources: SourcesSettings
    event_weights: dict[EventType, PositiveFloat] = {"purchase": 1.0}
    """The event types that models learn from, and how much each counts."""
    target_events: list[EventType] = Field(default=["purchase"], min_length=1)
    """What a good list foresees: these events count as hits."""
    top_k: int = Field(default=20, ge=1, le=500)
    seed: int = Field(default=1, ge=0)
    lookback_days: int = Field(default=0, ge=0, le=60)
    """Days before the night that are read again, for rows that arrive late."""

    tuned: Path | None = None
    """A file of encoder and pair settings that ``search --what training`` wrote; they win over those of this file."""

    lake: LakeSettings = LakeSettings()
    check: CheckSettings = CheckSettings()
    rules: RuleSettings = RuleSettings()
    pairs: PairSettings = PairSettings()
    encoder: EncoderSettings = EncoderSettings()
    towers: TowerSettings = TowerSettings()
    ranker: RankerSettings = RankerSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    gate: GateSettings = GateSettings()
    store: StoreSettings = StoreSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, init_settings

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        untargeted = set(self.target_events) - self.event_weights.keys()
        if untargeted:
            raise ValueError(f"target_events has {', '.join(sorted(untargeted))}, which event_weights lacks")
        if self.classifier.enabled and "classifier" in self.ranker.without_features:
            raise ValueError(
                "classifier.enabled costs hours for a feature that ranker.without_features leaves out"
            )
        if self.last_night is not None and self.last_night < self.first_night:
            raise ValueError("last_night lies before first_night")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def night(self, text: str) -> Night:
        """The night an ISO string names, in this shop's zone."""
        return Night(parse_night(text), self.zone, self.gate.days)
