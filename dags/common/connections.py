"""
Database URLs from Airflow Connections.

shop.yaml holds the *names* of environment variables, never a URL with a password. Where such a variable is not
set, the Connection of the same name in lower case fills it in, inside the task's own process only.
"""

import os

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from recsys_tasks.settings import Settings
from recsys_tasks.settings.values import ENVIRONMENT_NAME


def fill_environment(settings: Settings) -> None:
    """Set every variable that the shop names and the environment lacks; one found nowhere is left to the step."""
    for name in missing_names(settings):
        try:
            connection = Connection.get(name.lower())
        except AirflowNotFoundException:
            continue
        url = sqlalchemy_url(connection.get_uri())
        mask_secret(url)
        if connection.password:
            mask_secret(connection.password)
        os.environ[name] = url


def missing_names(settings: Settings) -> list[str]:
    """Names of environment variables that the shop refers to and that are not set."""
    sources = settings.sources
    addresses = {settings.database, sources.events.url, sources.items.url}
    names = {address for address in addresses if address and ENVIRONMENT_NAME.match(address)}
    return sorted(names - os.environ.keys())


def sqlalchemy_url(uri: str) -> str:
    """Airflow writes ``postgres://``, SQLAlchemy reads ``postgresql://``."""
    scheme, rest = uri.split("://", 1)
    return f"{'postgresql' if scheme == 'postgres' else scheme}://{rest}"
