"""The environment that makes Airflow the embedded one: everything on loopback, nothing outside the checkout."""

from collections.abc import Mapping
from pathlib import Path

from tools.places import CHECKOUT, USER, Places

# Tasks at once. The night is a chain; a second slot serves ingest chunks, and two cores are a common machine.
PARALLELISM = 2
# Airflow's own command line warns at every call that it could not draw a picture of a DAG; nothing here asks it to.
UNASKED = "ignore:Could not import graphviz:UserWarning"


def airflow_environment(
    places: Places, *, database_url: str, port: int, shop: Path, base: Mapping[str, str]
) -> dict[str, str]:
    """``base`` and what Airflow, its servers and its tasks need; ``database_url`` is a ``postgresql://`` URL."""
    keys = places.keys()
    sync_url = with_driver(database_url, "psycopg")
    settings = {
        "core": {
            "dags_folder": str(CHECKOUT / "dags"),
            "plugins_folder": str(CHECKOUT / "plugins"),
            "load_examples": "False",
            "executor": "LocalExecutor",
            "parallelism": str(PARALLELISM),
            "max_active_tasks_per_dag": str(PARALLELISM),
            "fernet_key": keys["fernet"],
            "simple_auth_manager_users": f"{USER}:admin",
            "simple_auth_manager_passwords_file": str(places.passwords),
            "execution_api_server_url": f"http://127.0.0.1:{port}/execution/",
        },
        "database": {
            "sql_alchemy_conn": sync_url,
            "sql_alchemy_conn_async": with_driver(database_url, "psycopg_async"),
        },
        "api": {
            "host": "127.0.0.1",
            "port": str(port),
            "base_url": f"http://127.0.0.1:{port}",
            "workers": "1",
            "secret_key": keys["api"],
        },
        "api_auth": {"jwt_secret": keys["jwt"]},
        # A look at the DAG files takes seconds of a core from the tasks. What it reads (these and shop.yaml) is edited
        # by hand: a new schedule stands a minute later.
        "dag_processor": {"refresh_interval": "10", "min_file_process_interval": "60"},
        "logging": {"base_log_folder": str(places.home / "logs"), "logging_level": "INFO"},
        "scheduler": {"scheduler_heartbeat_sec": "1", "scheduler_idle_sleep_time": "0.5"},
        "usage_data_collection": {"enabled": "False"},
    }
    variables = {
        f"AIRFLOW__{section.upper()}__{key.upper()}": value
        for section, keys_ in settings.items()
        for key, value in keys_.items()
    }
    return {
        **base,
        **variables,
        "AIRFLOW_HOME": str(places.home),
        "RECSYS_SHOP": str(shop),
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONWARNINGS": ",".join(filter(None, [base.get("PYTHONWARNINGS"), UNASKED])),
        # Idle OpenMP threads would spin on the cores that the servers need.
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def with_driver(url: str, driver: str) -> str:
    """The same PostgreSQL URL, its SQLAlchemy driver named."""
    return f"postgresql+{driver}://{url.split('://', 1)[1]}"
