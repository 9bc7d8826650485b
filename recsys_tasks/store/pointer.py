"""
The one pointer: which generation shops read, and with it whose model is the champion.

Every move is one transaction: history, gate decisions, then the pointer. Readers see the lists before it or after it.
"""

from datetime import UTC, datetime

from sqlalchemy import Engine, Select, select
from sqlalchemy.orm import Session

from recsys_tasks.errors import PublishRefused
from recsys_tasks.store.connect import writing
from recsys_tasks.store.tables import Decision, Generation, Live, Move


def switch(engine: Engine, generation_id: int, *, who: str, why: str, force: bool = False) -> str | None:
    """
    Point readers to a generation that was just published; returns why not, where the live lists are newer.

    ``force`` moves the pointer back in time too; the later nights' decisions are then revoked, as by a rollback.
    """
    with writing(engine) as session:
        pointer, live = locked_pointer(session)
        target = session.get_one(Generation, generation_id, with_for_update=True)
        _require_ready(target)
        if live is not None and live.night > target.night:
            if not force:
                return f"the live lists are newer (night {live.night})"
            _revoke_later(session, target, f"night {target.night} was published by force: {why}")
        decision = session.get(Decision, target.night)
        if decision is not None:
            decision.generation_id = target.id
            decision.revoked_at = decision.revoked_why = None
        _move(session, pointer, target, who, why)
    return None


def roll_back(engine: Engine, to: int | None, *, who: str, why: str) -> Generation:
    """
    Point readers to generation ``to``, or to the one that was live before; the champion follows.

    Decisions of later nights are revoked. Raises PublishRefused where there is nothing to go back to.
    """
    with writing(engine) as session:
        pointer, live = locked_pointer(session)
        if live is None:
            raise PublishRefused("nothing is live yet: there is nothing to go back to")
        target = session.scalar(_the_one_before(live)) if to is None else session.get(Generation, to)
        if target is None:
            wanted = (
                "no earlier generation that was live is kept"
                if to is None
                else f"there is no generation {to}"
            )
            raise PublishRefused(f"{wanted}; generation {live.id} stays live")
        if target.id == live.id:
            raise PublishRefused(f"generation {live.id} is live already")
        _require_ready(target)
        _revoke_later(session, target, f"rolled back to generation {target.id}: {why}")
        _settle_own_night(session, target, why)
        _move(session, pointer, target, who, why)
    return target


def locked_pointer(session: Session) -> tuple[Live, Generation | None]:
    """The pointer and what it points to, held until the transaction ends."""
    pointer = session.get_one(Live, 1, with_for_update=True)
    live = None if pointer.generation_id is None else session.get_one(Generation, pointer.generation_id)
    return pointer, live


def _require_ready(target: Generation) -> None:
    if target.state != "ready":
        raise PublishRefused(f"generation {target.id} is {target.state} and cannot go live ({target.why})")


def _the_one_before(live: Generation) -> Select[Generation]:
    once_live = select(Move.to_generation_id)
    return (
        select(Generation)
        .where(Generation.id < live.id, Generation.state == "ready", Generation.id.in_(once_live))
        .order_by(Generation.id.desc())
        .limit(1)
    )


def _revoke_later(session: Session, target: Generation, why: str) -> None:
    later = select(Decision).where(Decision.night > target.night, Decision.revoked_at.is_(None))
    for decision in session.scalars(later.order_by(Decision.night)):
        decision.revoked_at, decision.revoked_why = datetime.now(UTC), why


def _settle_own_night(session: Session, target: Generation, why: str) -> None:
    """The decision of the target's own night stands where it is about the target's model, and falls where not."""
    decision = session.get(Decision, target.night)
    if decision is None or not decision.accepted:
        return
    if decision.refs == target.model_refs:
        decision.revoked_at = decision.revoked_why = None
        decision.generation_id = target.id
    elif target.model_refs:
        decision.revoked_at = datetime.now(UTC)
        decision.revoked_why = f"rolled back to generation {target.id} of the same night: {why}"


def _move(session: Session, pointer: Live, target: Generation, who: str, why: str) -> None:
    now = datetime.now(UTC)
    session.add(
        Move(
            from_generation_id=pointer.generation_id,
            to_generation_id=target.id,
            moved_at=now,
            moved_by=who,
            why=why,
        )
    )
    session.flush()
    pointer.generation_id, pointer.champion = target.id, target.model_refs
    pointer.moved_at, pointer.moved_by, pointer.why = now, who, why
