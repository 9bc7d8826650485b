"""``sources``: where the log and the catalogue are, and how their columns map."""

import re
from typing import Literal

from pydantic import model_validator

from recsys_tasks.settings.section import Section
from recsys_tasks.settings.values import Address, EventType, ZoneName


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
