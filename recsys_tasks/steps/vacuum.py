"""Old versions of the lake: kept as long as a night may be replayed, then deleted."""

from recsys_tasks.lake.tables import Lake
from recsys_tasks.settings import load_settings
from recsys_tasks.workspace import Facts, Workspace


def vacuum_lake() -> Facts:
    """Delete the files of rows that were replaced more than ``lake.replay_days`` days ago; harmless to repeat."""
    settings = load_settings()
    days = settings.lake.replay_days
    return {"files_deleted": Lake(Workspace(settings.home).lake).vacuum(days), "replay_days": days}
