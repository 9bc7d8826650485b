"""
The one pointer: which generation shops read, and with it whose model is the champion.

Every move is one transaction: history, gate decisions, then the pointer. Readers see the lists before it or after it.
"""

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Engine, Select, and_, or_, select
from sqlalchemy.orm import Session

from recsys_tasks.errors import PublishRefused
from recsys_tasks.store.connect import writing
from recsys_tasks.store.decisions import reinstate
from recsys_tasks.store.tables import Decision, Generation, Live, Move


def switch(
    engine: Engine, generation_id: int, *, who: str, why: str, made_since: str | None = None
) -> str | None:
    """
    Point readers to a generation that was just published; returns why not, where something stands against it.

    The decision of its night is then no longer revoked, where it is about the model that made these lists.
    ``made_since`` as in ``load.Candidate``.
    """
    with writing(engine) as session:
        pointer, live = locked_pointer(session)
        target = session.get_one(Generation, generation_id, with_for_update=True)
        _require_ready(target)
        hindrance = _hindrance(target, live, made_since)
        if hindrance is not None:
            return hindrance
        decision = session.get(Decision, target.night, with_for_update=True)
        if decision is not None:
            decision.generation_id = target.id
            if decision.refs == target.model_refs:
                reinstate(decision)
        _move(session, pointer, target, who, why)
    return None


def roll_back(engine: Engine, to: int | None, *, who: str, why: str) -> Generation:
    """
    Point readers to generation ``to``, or to the newest that was live before and still stands; the champion follows.

    Decisions of later nights are revoked. What was rolled away from goes live again only when ``to`` names it.
    Raises PublishRefused where there is nothing to go back to.
    """
    with writing(engine) as session:
        pointer, live = locked_pointer(session)
        if live is None:
            raise PublishRefused(
                "nothing is live yet, so there is nothing to go back to; publish a night first"
            )
        target = session.scalar(_the_one_before(live)) if to is None else session.get(Generation, to)
        if target is None:
            raise PublishRefused(_nowhere_to_go(session, live, to))
        if target.id == live.id:
            raise PublishRefused(
                f"nothing was moved: generation {live.id} is live already; {_choices(session, live)}"
            )
        _require_ready(target)
        _withdraw(session, _live_only(live) if to is None else _later_than(target), why)
        target.rolled_back_at = target.rolled_back_why = None
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
    if target.state == "refused":
        raise PublishRefused(f"generation {target.id} is refused and cannot go live: {target.why}")
    if target.state != "ready":
        raise PublishRefused(
            f"generation {target.id} is pruned, so its lists are gone; run night {target.night} again from recommend"
        )


def _hindrance(target: Generation, live: Generation | None, made_since: str | None) -> str | None:
    if live is not None and live.night > target.night:
        return f"the live lists are newer (night {live.night})"
    if live is not None and made_since is not None and live.lists_ref == made_since:
        return f"the live lists of this night were made since, by run {live.run_id} (generation {live.id})"
    if target.rolled_back_at is not None:
        return (
            f"rolled back on {target.rolled_back_at:%Y-%m-%d %H:%M} UTC ({target.rolled_back_why}); "
            f"publish again with changed lists, or roll forward with rollback --to {target.id}"
        )
    return None


def _the_one_before(live: Generation) -> Select[Generation]:
    stands = Generation.state == "ready", Generation.rolled_back_at.is_(None), Generation.id != live.id
    moved_to = select(Generation).join(Move, Move.to_generation_id == Generation.id).where(*stands)
    return moved_to.order_by(Move.id.desc()).limit(1)


def _nowhere_to_go(session: Session, live: Generation, to: int | None) -> str:
    missing = f"there is no generation {to}"
    if to is None:
        missing = "no earlier generation that was live and not rolled back is kept"
    return f"{missing}; generation {live.id} stays live; {_choices(session, live)}"


def _choices(session: Session, live: Generation) -> str:
    """What an operator may name, on the command line and in the form."""
    others = select(Generation).where(Generation.state == "ready", Generation.id != live.id)
    ready = session.scalars(others.order_by(Generation.id))
    told = [f"{g.id} (night {g.night}{', rolled back' if g.rolled_back_at else ''})" for g in ready]
    return f"can be made live: {', '.join(told)}" if told else "no other generation is kept"


def _live_only(live: Generation) -> ColumnElement[bool]:
    return Generation.id == live.id


def _later_than(target: Generation) -> ColumnElement[bool]:
    """Going back over several is leaving them all; going forward leaves none."""
    same_night = and_(Generation.night == target.night, Generation.id > target.id)
    return or_(Generation.night > target.night, same_night)


def _withdraw(session: Session, which: ColumnElement[bool], why: str) -> None:
    once_live = Generation.id.in_(select(Move.to_generation_id))
    left = select(Generation).where(once_live, which, Generation.rolled_back_at.is_(None))
    for generation in session.scalars(left.order_by(Generation.id)):
        generation.rolled_back_at, generation.rolled_back_why = datetime.now(UTC), why


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
        reinstate(decision)
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
