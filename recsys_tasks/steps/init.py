"""Create what a shop needs before its first night."""

from recsys_tasks.lake.tables import Lake
from recsys_tasks.settings import load_settings
from recsys_tasks.store.store import open_store
from recsys_tasks.workspace import Facts, Workspace


def init_shop() -> Facts:
    """The lake's tables and the serving database's schema; doing it again changes nothing."""
    settings = load_settings()
    workspace = Workspace(settings.home)
    Lake(workspace.lake).create()
    store = open_store(settings.database, workspace.postgres)
    store.migrate()
    return {"shop": settings.name, "home": str(settings.home), "database": store.url_without_password}
