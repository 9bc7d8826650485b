"""What the gate decided night by night, who is the champion of a night, and the figures behind it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Engine, delete, select

from recsys_tasks.store.connect import reading, writing
from recsys_tasks.store.tables import Decision, Generation, Live, Metric


def record_decision(engine: Engine, decision: Decision) -> None:
    """
    Keep a night's decision; the newest run of a night replaces what was there.

    A model that a rollback revoked stays revoked, and another model of that night waits: only lists that are live, or
    go live (``pointer.switch``), make it the champion.
    """
    decision.decided_at = datetime.now(UTC)
    with writing(engine) as session:
        before = session.get(Decision, decision.night, with_for_update=True)
        _take_over(decision, before)
        live = session.scalar(select(Generation).join(Live, Live.generation_id == Generation.id))
        if live is not None and (live.night, live.model_refs) == (decision.night, decision.refs):
            decision.generation_id = live.id
            reinstate(decision)
        session.merge(decision)


def _take_over(decision: Decision, before: Decision | None) -> None:
    """What happened to the night's earlier decision, as far as it holds for the new one."""
    decision.generation_id = decision.revoked_at = decision.revoked_why = None
    decision.awaits_live = before is not None and (before.awaits_live or before.revoked_at is not None)
    if before is not None and before.refs == decision.refs:
        decision.generation_id, decision.awaits_live = before.generation_id, before.awaits_live
        decision.revoked_at, decision.revoked_why = before.revoked_at, before.revoked_why


def reinstate(decision: Decision) -> None:
    """Nothing stands against the model any more."""
    decision.revoked_at = decision.revoked_why = None
    decision.awaits_live = False


def champion_before(engine: Engine, night: date) -> Decision | None:
    """The newest decision of a strictly earlier night that accepted its challenger and stands."""
    standing = select(Decision).where(
        Decision.night < night,
        Decision.accepted,
        Decision.revoked_at.is_(None),
        Decision.awaits_live.is_(False),
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
