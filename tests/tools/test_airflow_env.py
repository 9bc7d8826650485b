import subprocess
import sys

import pytest

from tools.airflow_env import airflow_environment, with_driver
from tools.places import CHECKOUT, Places

URL = "postgresql+psycopg://postgres@/airflow?host=/home/postgres"


@pytest.fixture
def environment(tmp_path):
    places = Places(tmp_path / "home")
    places.create()
    return airflow_environment(
        places,
        database_url=URL,
        port=8123,
        shop=tmp_path / "shop.yaml",
        base={"PATH": "/bin", "HOME": "/root"},
    )


def test_everything_listens_on_loopback(environment):
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"
    assert "0.0.0.0" not in " ".join(environment.values())


def test_airflow_and_its_async_part_use_one_database(environment):
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == URL
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC"] == with_driver(URL, "psycopg_async")


def test_nothing_lies_outside_the_home(environment, tmp_path):
    home = str(tmp_path / "home")
    assert environment["AIRFLOW_HOME"] == home
    assert environment["AIRFLOW__LOGGING__BASE_LOG_FOLDER"].startswith(home)
    assert environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"].startswith(home)


def test_tasks_find_the_product_and_the_shop(environment, tmp_path):
    assert environment["PYTHONPATH"] == str(CHECKOUT)
    assert environment["RECSYS_SHOP"] == str(tmp_path / "shop.yaml")
    assert environment["AIRFLOW__CORE__DAGS_FOLDER"] == str(CHECKOUT / "dags")


def test_waiting_threads_sleep(environment):
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"


def test_airflow_warns_of_no_pictures_that_nobody_asked_for(environment):
    script = "import warnings; warnings.warn('Could not import graphviz. And more.'); warnings.warn('other')"
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert "graphviz" not in done.stderr.replace(script, "")
    assert "UserWarning: other" in done.stderr


def test_what_was_there_stays(environment):
    assert environment["PATH"] == "/bin"


@pytest.mark.parametrize(
    "url", ["postgresql://u@/airflow?host=/a", "postgresql+psycopg://u@/airflow?host=/a"]
)
def test_the_driver_is_named_whatever_the_url_said(url):
    assert with_driver(url, "psycopg_async") == "postgresql+psycopg_async://u@/airflow?host=/a"
