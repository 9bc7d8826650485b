"""DAGs run for real, by ``dag.test()``: the parts that only Airflow itself can show."""

import pytest

from recsys_tasks.lake.tables import Lake
from tests.airflow_home import airflow, run_dag
from tests.shop import make_shop

__all__ = ["airflow"]  # a fixture
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    return make_shop(folder / "shop", encoder=folder, shoppers=30, days=40)


def test_a_range_by_hand_is_loaded_in_mapped_chunks(airflow, shop):
    days = {"from": shop.first.isoformat(), "to": shop.night(1), "chunk_days": 20}
    done = run_dag(airflow, shop.file, "recsys_ingest", days)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert len(Lake(shop.folder / "home" / "lake").days()) == 39


def test_of_a_range_that_goes_on_behind_the_log_nothing_is_loaded(airflow, tmp_path):
    shop = make_shop(tmp_path / "shop", encoder=tmp_path, shoppers=5, days=20)
    closed = {**airflow, "RECSYS_LAST_NIGHT": shop.night(1)}
    days = {"from": shop.night(9), "to": shop.night(), "chunk_days": 3}
    done = run_dag(closed, shop.file, "recsys_ingest", days)
    assert done.returncode == 1
    assert f"the shop's log ends with {shop.night(1)}" in done.stdout + done.stderr
    assert Lake(shop.folder / "home" / "lake").days() == []


def test_a_night_in_the_future_is_refused_and_not_tried_again(airflow, shop):
    done = run_dag(airflow, shop.file, "recsys_nightly", {"night": "2999-01-01"})
    output = done.stdout + done.stderr
    assert done.returncode == 1
    assert "night 2999-01-01 has not ended" in output
    assert "the same input gives the same error" in output
    assert not (shop.folder / "home" / "artefacts").exists()


def test_a_walk_forward_measures_each_night_in_a_task_of_its_own(airflow, shop):
    done = run_dag(airflow, shop.file, "recsys_measure", {"from": shop.night(9), "to": shop.night(8)})
    output = done.stdout + done.stderr
    assert done.returncode == 1
    for night in (shop.night(9), shop.night(8)):
        assert f"night {night} was never made" in output
