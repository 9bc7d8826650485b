"""
The same night through Airflow into PostgreSQL and through the command line into SQLite: the same lists, byte for byte.
"""

import pytest

from recsys_tasks.steps import NIGHT_STEPS
from recsys_tasks.store.embedded import embedded_url, stop_embedded
from tests.airflow_home import airflow, run_dag
from tests.integration.conftest import NIGHT_BEFORE_LAST, lists_of, manifests, prepared
from tests.shop import make_shop

__all__ = ["airflow"]  # a fixture
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def flown(tmp_path_factory, encoder, airflow):
    shop = make_shop(tmp_path_factory.mktemp("flown") / "shop", encoder=encoder, database="embedded")
    done = run_dag(airflow, shop.file, "recsys_nightly", {"night": prepared(shop)})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    yield shop
    stop_embedded(shop.folder / "home" / "postgres")


def test_airflow_and_the_command_line_make_the_same_lists(flown, night_shop):
    by_airflow = lists_of(embedded_url(flown.folder / "home" / "postgres"))
    assert by_airflow.equals(lists_of(f"sqlite:///{night_shop.folder}/serve.db"))


def test_airflow_and_the_command_line_make_the_same_artefacts(flown, night_shop):
    assert manifests(flown) == manifests(night_shop)


def test_every_step_of_the_night_left_its_record(flown):
    records = flown.folder / "home" / "records" / flown.night(NIGHT_BEFORE_LAST)
    assert {record.stem for record in records.glob("*.json")} == set(NIGHT_STEPS)
