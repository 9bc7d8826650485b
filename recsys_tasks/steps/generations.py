"""Every generation of lists that the serving database knows: what may be gone back to, and what was refused."""

from recsys_tasks.settings import load_settings
from recsys_tasks.store.store import Store, open_store
from recsys_tasks.store.tables import Generation, Move
from recsys_tasks.workspace import Facts, Workspace


def generations() -> list[Facts]:
    """
    A generation each, newest first: night, model, rows, audit figures, whether it is live, and what was said of it.

    ``state``: ready (``rollback`` may name it), refused by the audit, or pruned (its lists are gone).
    """
    settings = load_settings()
    return facts_of(open_store(settings.database, Workspace(settings.home).postgres))


def facts_of(store: Store) -> list[Facts]:
    live = store.live()
    moved = {move.to_generation_id: move for move in store.moves()}
    newest_first = reversed(store.generations())
    return [
        {
            "generation": generation.id,
            "live": live is not None and generation.id == live.id,
            "state": generation.state,
            "night": generation.night.isoformat(),
            "model": generation.model,
            "rows": generation.rows,
            "users": generation.users,
            "top_k": generation.top_k,
            "fallback_share": generation.fallback_share,
            "audit": generation.audit,
            "run_id": generation.run_id,
            "created_at": generation.created_at.isoformat(timespec="seconds"),
            **_went_live(moved.get(generation.id)),
            "said": _said(generation),
        }
        for generation in newest_first
    ]


def _went_live(move: Move | None) -> Facts:
    """When the generation last went live, by whom and why; nothing where it never did."""
    if move is None:
        return {"live_since": None, "live_by": None, "live_why": None}
    since = move.moved_at.isoformat(timespec="seconds")
    return {"live_since": since, "live_by": move.moved_by, "live_why": move.why}


def _said(generation: Generation) -> str | None:
    """Why it is not live: the audit's words, or those of whoever rolled away from it."""
    if generation.state == "refused":
        return generation.why
    if generation.rolled_back_at is None:
        return None
    return f"rolled back {generation.rolled_back_at:%Y-%m-%d %H:%M} UTC: {generation.rolled_back_why}"
