"""What is live, and how each night went: from the serving database and the records of the steps."""

import json
from pathlib import Path

from recsys_tasks.errors import NightOutOfRange
from recsys_tasks.settings import Settings, load_settings
from recsys_tasks.store.store import Store, open_store
from recsys_tasks.store.tables import Decision, Generation, Metric
from recsys_tasks.workspace import Facts, Workspace


def status() -> Facts:
    """
    ``{"database", "live", "nights"}``, as JSON: the newest night last.

    A night's state is ``live``, ``published`` (its lists were live once), ``refused`` (by the audit), ``dry_run``
    (loaded, never live) or ``incomplete`` (it has not come as far as publishing); ``why`` is the reason of a refusal
    or of a rollback.
    """
    settings = load_settings()
    workspace = Workspace(settings.home)
    store = open_store(settings.database, workspace.postgres)
    return {**store.status(), "nights": nights(settings, workspace, store)}


def nights(settings: Settings, workspace: Workspace, store: Store) -> list[Facts]:
    """A night each, oldest first: every one that has a record, a decision or lists."""
    newest = {g.night.isoformat(): g for g in store.generations()}
    decided = {d.night.isoformat(): d for d in store.decisions()}
    once_live = {move.to_generation_id for move in store.moves()}
    live = store.live()
    known = sorted(_recorded(settings, workspace) | newest.keys() | decided.keys())
    return [
        {
            "night": night,
            "state": _state(newest.get(night), live, once_live),
            **_counts(settings, workspace, night),
            "decision": _decision(decided.get(night)),
            "metrics": [_metric(metric) for metric in store.metrics_of(night)],
            "why": _why(newest.get(night), live),
        }
        for night in known
    ]


def _recorded(settings: Settings, workspace: Workspace) -> set[str]:
    """Names of record folders that are nights."""
    folder = workspace.home / "records"
    return {p.name for p in folder.iterdir() if _is_night(settings, p.name)} if folder.is_dir() else set()


def _is_night(settings: Settings, name: str) -> bool:
    try:
        return str(settings.night(name)) == name
    except NightOutOfRange:
        return False


def _state(newest: Generation | None, live: Generation | None, once_live: set[int]) -> str:
    if newest is None:
        return "incomplete"
    if live is not None and live.night == newest.night:
        return "live"
    if newest.state == "refused":
        return "refused"
    return "published" if newest.id in once_live else "dry_run"


def _why(newest: Generation | None, live: Generation | None) -> str | None:
    """Why readers do not see the night's newest lists, where the audit or somebody said so."""
    if newest is None:
        return None
    if newest.state == "refused":
        return newest.why
    return None if live is not None and live.night == newest.night else newest.rolled_back_why


def _counts(settings: Settings, workspace: Workspace, night: str) -> dict[str, int | None]:
    """Events and rejected rows of the night's own day, and its pairs; none where no step reported them."""
    folder = workspace.records(settings.night(night))
    day = _record(folder, "check_data") or _record(folder, "extract_events")
    pairs = _record(folder, "build_pairs")
    rejected = day.get("rejected")
    return {
        "events": day.get("events"),
        "rejected": sum(rejected.values()) if isinstance(rejected, dict) else rejected,
        "pairs": pairs.get("pairs"),
    }


def _record(folder: Path, step: str) -> Facts:
    try:
        facts: Facts = json.loads((folder / f"{step}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return facts


def _decision(decision: Decision | None) -> Facts | None:
    if decision is None:
        return None
    return {"accepted": decision.accepted, "why": decision.why, "revoked": decision.revoked_why}


def _metric(metric: Metric) -> Facts:
    return {
        name: getattr(metric, name) for name in ("kind", "system", "slice", "metric", "value", "low", "high")
    }
