"""The serving database as the rest of the house sees it: one object, opened from one setting."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy import Engine, select

from recsys_tasks.addresses import without_password
from recsys_tasks.calendar import Night, parse_night
from recsys_tasks.settings import StoreSettings
from recsys_tasks.store import decisions as gate
from recsys_tasks.store import pointer, publish, view
from recsys_tasks.store.connect import address, engine_for, reading
from recsys_tasks.store.load import Candidate, load_generation
from recsys_tasks.store.migrate import migrate, needs_migration
from recsys_tasks.store.prune import prune
from recsys_tasks.store.publish import Published
from recsys_tasks.store.tables import Decision, Generation, Live, Metric, Move
from recsys_tasks.store.view import Recommendation

AnyNight = Night | date | str


def open_store(database: str, postgres_folder: Path) -> "Store":
    """
    Open the serving database and bring it to this release's schema.

    ``database``: ``embedded`` (in ``postgres_folder``, started when needed), ``sqlite:///FILE``, or the name of an
    environment variable that holds a PostgreSQL URL. Raises SettingsError or StoreUnavailable.
    """
    store = Store(engine_for(address(database, postgres_folder)))
    if needs_migration(store.engine):
        store.migrate()
    return store


class Store:
    """Reads and writes of the serving database. Connections are opened for a call and closed with it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __repr__(self) -> str:
        return f"Store({self.url_without_password!r})"

    @property
    def url_without_password(self) -> str:
        return without_password(self.engine.url)

    def migrate(self) -> None:
        """Bring the schema to this release; nothing to do the second time."""
        migrate(self.engine)

    # Lists

    def load_generation(
        self,
        candidate: Candidate,
        lists: Iterable[pl.DataFrame],
        settings: StoreSettings | None = None,
        known_items: pl.Series | None = None,
        offered_items: pl.Series | None = None,
    ) -> Generation:
        """Load and audit lists beside the live ones, alone; see ``store.load``."""
        with publish.alone(self.engine):
            return load_generation(
                self.engine, candidate, lists, settings or StoreSettings(), known_items, offered_items
            )

    def publish(
        self,
        candidate: Candidate,
        lists: Iterable[pl.DataFrame],
        settings: StoreSettings | None = None,
        *,
        known_items: pl.Series | None = None,
        offered_items: pl.Series | None = None,
        dry_run: bool = False,
        who: str = "publish",
    ) -> Published:
        """Load, audit, switch, prune; see ``store.publish``."""
        return publish.publish(
            self.engine,
            candidate,
            lists,
            settings or StoreSettings(),
            known_items=known_items,
            offered_items=offered_items,
            dry_run=dry_run,
            who=who,
        )

    def rollback(self, to: int | None = None, *, why: str, who: str) -> Generation:
        """Make another generation live, by default the one before; the champion goes with it; see ``store.pointer``."""
        return pointer.roll_back(self.engine, to, who=who, why=why)

    def prune(self, keep: int) -> None:
        """Drop the lists of old generations; see ``store.prune``."""
        with publish.alone(self.engine):
            prune(self.engine, keep)

    def live(self) -> Generation | None:
        """What shops read now."""
        with reading(self.engine) as session:
            return session.scalar(select(Generation).join(Live, Live.generation_id == Generation.id))

    def generations(self) -> list[Generation]:
        """Every generation ever loaded, oldest first; the lists of pruned ones are gone."""
        with reading(self.engine) as session:
            return list(session.scalars(select(Generation).order_by(Generation.id)))

    def moves(self) -> list[Move]:
        """The history of the pointer, oldest first."""
        with reading(self.engine) as session:
            return list(session.scalars(select(Move).order_by(Move.id)))

    def user_list(self, user_id: str, surface: str = "for_you") -> list[Recommendation]:
        """A shopper's live list, best first; empty for a shopper without one."""
        return view.user_list(self.engine, user_id, surface)

    # Decisions and figures

    def record_decision(
        self,
        night: AnyNight,
        accepted: bool,
        refs: Mapping[str, Any],
        champion: Mapping[str, Any],
        metrics: Mapping[str, Any],
        why: str,
        run_id: str | None = None,
    ) -> None:
        """
        Keep what the gate decided; the newest run of a night replaces an earlier one. After a rollback of the night
        its model is the champion again only once its lists are live.

        ``refs`` name the challenger's artefacts, ``champion`` those of the model it met (or ``{"model": "popular"}``).
        """
        self.keep_decision(
            Decision(
                night=_date(night),
                accepted=accepted,
                refs=dict(refs),
                champion=dict(champion),
                metrics=dict(metrics),
                why=why,
                run_id=run_id,
                decided_at=datetime.now(UTC),
            )
        )

    def keep_decision(self, decision: Decision) -> None:
        """``record_decision`` of a whole row."""
        gate.record_decision(self.engine, decision)

    def champion_before(self, night: AnyNight) -> Decision | None:
        """The newest accepted decision of a strictly earlier night that no rollback revoked."""
        return gate.champion_before(self.engine, _date(night))

    def decision(self, night: AnyNight) -> Decision | None:
        """The decision of one night."""
        return gate.decision_of(self.engine, _date(night))

    def decisions(self) -> list[Decision]:
        """All decisions, by night."""
        return gate.decisions(self.engine)

    def record_metrics(self, night: AnyNight, kind: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Keep a night's figures of one kind: rows of system, slice, metric, value and, where known, low and high."""
        gate.record_metrics(self.engine, _date(night), kind, rows)

    def metrics_of(self, night: AnyNight, kind: str | None = None) -> list[Metric]:
        """A night's figures, ordered by kind, system, slice and metric."""
        return gate.metrics_of(self.engine, _date(night), kind)

    def status(self) -> dict[str, Any]:
        """Where the database is and what is live, as JSON; never a secret."""
        live = self.live()
        return {"database": self.url_without_password, "live": None if live is None else _live_facts(live)}


def _live_facts(live: Generation) -> dict[str, Any]:
    return {
        "generation": live.id,
        "night": live.night.isoformat(),
        "users": live.users,
        "rows": live.rows,
        "fallback_share": live.fallback_share,
        "model": live.model,
    }


def _date(night: AnyNight) -> date:
    if isinstance(night, Night):
        return night.date
    return parse_night(night) if isinstance(night, str) else night
