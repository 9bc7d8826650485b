"""Who went back, as it is kept with the move."""

from types import SimpleNamespace

import pytest

from tests.dags.conftest import SHOP


@pytest.mark.parametrize(
    ("person", "who"),
    [("ann", "ann (Airflow run manual__1)"), (None, "Airflow run manual__1")],
)
def test_the_person_behind_the_button_is_named(monkeypatch, person, who):
    monkeypatch.setenv("RECSYS_SHOP", str(SHOP))
    from recsys_rollback import who_triggered

    run = SimpleNamespace(triggering_user_name=person)
    assert who_triggered({"dag_run": run, "run_id": "manual__1"}) == who
