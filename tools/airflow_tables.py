"""
Whether Airflow's tables and pools are in its database already.

Asking Airflow takes six seconds of every start: two commands that first import all of it. So the database itself says
which version made its tables, in a comment on Airflow's own table of migrations, which goes wherever that one goes.
"""

from collections.abc import Mapping
from importlib.metadata import version

import psycopg
from psycopg import sql

from tools.airflow_servers import NotStarted

FOUND = """
    SELECT version_num, obj_description('alembic_version'::regclass, 'pg_class') FROM alembic_version
"""


def are_made(environment: Mapping[str, str], pools: Mapping[str, int]) -> bool:
    """Whether this Airflow made the tables and nobody changed them or the slots of the ``pools`` since."""
    try:
        with _connected(environment) as connection:
            found = connection.execute(FOUND).fetchall()
            slots = dict(connection.execute("SELECT pool, slots FROM slot_pool").fetchall())
    except psycopg.errors.UndefinedTable:
        return False
    told = [said for revision, said in found if said == _words(revision)]
    return len(told) == len(found) == 1 and pools.items() <= slots.items()


def note_made(environment: Mapping[str, str]) -> None:
    """Keep in the database that its tables are this Airflow's; raises NotStarted where they are of no one revision."""
    with _connected(environment) as connection:
        revisions = [revision for revision, _ in connection.execute(FOUND).fetchall()]
        if len(revisions) != 1:
            raise NotStarted(
                f"Airflow's tables are of {len(revisions)} revisions ({', '.join(revisions)}) after "
                "`airflow db migrate`, not of one: restore its database from a backup, or leave the newest alone in "
                "its table alembic_version; then start again"
            )
        words = sql.Literal(_words(revisions[0]))
        connection.execute(sql.SQL("COMMENT ON TABLE alembic_version IS {}").format(words))


def _words(revision: str) -> str:
    return f"revision {revision}, made by Airflow {version('apache-airflow-core')}"


def _connected(environment: Mapping[str, str]) -> psycopg.Connection:
    url = environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    return psycopg.connect(url.replace("+psycopg", "", 1))
