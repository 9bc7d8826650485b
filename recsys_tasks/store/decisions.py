"""What the gate decided night by night, who is the champion of a night, and the figures behind it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Engine, delete, select

from recsys_tasks.store.connect import reading, writing
from recsys_tasks.store.tables import Decision, Metric


def record_decision(engine: Engine, decision: Decision) -> None:
    """Keep a night's decision; the newest run of a night replaces what was there, a revocation included."""
    decision.decided_at = datetime.now(UTC)
    decision.generation_id = decision.revoked_at = decision.revoked_why = None
    with writing(engine) as session:
        session.merge(decision)


def champion_before(engine: Engine, night: date) -> Decision | None:
    """The newest decision of a strictly earlier night that accepted its challenger and still stands."""
    standing = select(Decision).where(
        Decision.night < night, Decision.accepted, Decision.revoked_at.is_(None)
    )
    with reading(engine) as session:
        return session.scalar(standing.order_by(Decision.night.desc()).limit(1))


def decision_of(engine: Engine, night: date) -> Decision | None:
    with reading(engine) as session:
        return session.get(Decision, night)


def decisions(engine: Engine) -> list[Decision]:
    """All of them, by night."""
    with reading(engine) as session:
        return list(session.scalars(select(Decision).order_by(Decision.night)))


def record_metrics(engine: Engine, night: date, kind: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Keep the figures of one kind for a night, in place of those that were there."""
    with writing(engine) as session:
        session.execute(delete(Metric).where(Metric.night == night, Metric.kind == kind))
        session.add_all(Metric(night=night, kind=kind, **_interval(row)) for row in rows)


def _interval(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"low": None, "high": None, **row}


def metrics_of(engine: Engine, night: date, kind: str | None = None) -> list[Metric]:
    """A night's figures, ordered by kind, system, slice and metric."""
    chosen = select(Metric).where(Metric.night == night)
    if kind is not None:
        chosen = chosen.where(Metric.kind == kind)
    with reading(engine) as session:
        return list(session.scalars(chosen.order_by(Metric.kind, Metric.system, Metric.slice, Metric.metric)))
