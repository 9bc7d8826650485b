"""Put an earlier generation live again: one pointer, and the champion with it."""

from recsys_tasks.errors import SettingsError
from recsys_tasks.settings import load_settings
from recsys_tasks.store.store import open_store
from recsys_tasks.workspace import Facts, Workspace

SHORTEST_WHY, LONGEST_WHY = 3, 200


def roll_back(to: int | None = None, *, why: str, who: str) -> Facts:
    """
    Make generation ``to`` live, or the one that was live before; ``who`` and ``why`` are kept with the move.

    Raises PublishRefused where there is nothing to go back to; what was live then stays live. Raises SettingsError
    for a reason that says nothing: whoever reads it later has only this sentence.
    """
    if not SHORTEST_WHY <= len(why.strip()) <= LONGEST_WHY:
        raise SettingsError(f"why: give the reason in {SHORTEST_WHY} to {LONGEST_WHY} characters")
    settings = load_settings()
    store = open_store(settings.database, Workspace(settings.home).postgres)
    generation = store.rollback(to, why=why, who=who)
    return {
        "generation": generation.id,
        "night": generation.night.isoformat(),
        "model": generation.model,
        "rows": generation.rows,
        "users": generation.users,
        "why": why,
        "who": who,
    }
