import json
from datetime import date
from types import SimpleNamespace

import httpx
import pytest
import typer

from recsys_tasks.errors import SettingsError
from recsys_tasks.settings import load_settings
from tools import demo, servers
from tools.airflow_servers import HalfDown
from tools.places import Places


@pytest.fixture(scope="module")
def settings():
    return load_settings(demo.SHOP)


def test_the_night_of_the_demo_is_in_its_log(settings):
    demo.require_inside(settings, date.fromisoformat(demo.NIGHT))


def test_the_demo_trains_an_encoder(settings):
    assert settings.night(demo.NIGHT).is_every(settings.encoder.every_nights)


def test_the_week_after_the_demo_s_night_is_in_its_log(settings):
    assert (settings.last_night - date.fromisoformat(demo.NIGHT)).days >= demo.DAYS_AFTER


@pytest.mark.parametrize("night", ["2016-12-31", "2017-01-01", "2018-01-01"])
def test_a_night_without_history_or_log_is_refused(settings, night):
    with pytest.raises(SettingsError, match="2017-01-01"):
        demo.require_inside(settings, date.fromisoformat(night))


def test_a_server_that_does_not_run_counts_no_memory(tmp_path):
    assert demo.postmaster(tmp_path) == []


@pytest.mark.parametrize("written", ["", "-2354\n/folder\n"])
def test_a_cluster_that_is_being_made_counts_no_memory(tmp_path, written):
    (tmp_path / "postmaster.pid").write_text(written, encoding="utf-8")
    assert demo.postmaster(tmp_path) == []


@pytest.mark.parametrize(
    ("live", "why", "said"),
    [(False, "the live lists are of the newer night 2017-12-04", True), (True, "", False)],
)
def test_lists_that_shoppers_do_not_see_are_said_to_be_so(tmp_path, capsys, live, why, said):
    records = tmp_path / "records" / demo.NIGHT
    records.mkdir(parents=True)
    (records / "publish.json").write_text(json.dumps({"switched": live, "live": live, "why": why}))
    demo.say_whether_live(SimpleNamespace(home=tmp_path), date.fromisoformat(demo.NIGHT))
    printed = " ".join(capsys.readouterr().out.split())
    assert ("are not what shoppers see: the live lists are of the newer night 2017-12-04." in printed) == said


def test_a_demo_beside_half_of_the_servers_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(servers, "running", lambda file: None if "scheduler" in file.name else "it")
    with (
        pytest.raises(HalfDown, match=r"without its scheduler.*make down"),
        demo.airflow(Places(tmp_path / "home")),
    ):
        raise AssertionError("the demo began")


@pytest.mark.parametrize("ours", [True, False])
def test_the_demo_stops_the_servers_that_it_started_and_no_others(tmp_path, monkeypatch, ours):
    stopped = []
    monkeypatch.setattr(servers, "running", lambda file: None)
    monkeypatch.setattr(demo.embedded, "up", lambda *_: ours)
    monkeypatch.setattr(demo.embedded, "require_shop", lambda *_: None)
    monkeypatch.setattr(demo.embedded, "down", lambda *_: stopped.append(True))
    monkeypatch.setattr(demo, "sign_in", lambda places: None)
    with demo.airflow(Places(tmp_path / "home")):
        assert not stopped
    assert bool(stopped) == ours


def test_the_demo_leaves_another_shop_alone_that_came_up_meanwhile(tmp_path, monkeypatch):
    def came_first(*_):
        raise demo.embedded.AlreadyUp("Airflow is up for another shop")

    monkeypatch.setattr(servers, "running", lambda file: None)
    monkeypatch.setattr(demo.embedded, "up", came_first)
    monkeypatch.setattr(demo.embedded, "down", lambda *_: pytest.fail("it is not ours"))
    with pytest.raises(demo.embedded.AlreadyUp), demo.airflow(Places(tmp_path / "home")):
        pass


def test_an_api_that_does_not_answer_is_one_line(tmp_path, monkeypatch, capsys):
    def refused(night, places):
        raise httpx.ConnectError("connection refused")

    monkeypatch.setattr(demo, "demo", refused)
    monkeypatch.setattr(demo, "Places", lambda: Places(tmp_path / "home"))
    monkeypatch.setenv("RECSYS_SHOP", "")  # noted, so that what the command sets is gone after the test
    with pytest.raises(typer.Exit) as ended:
        demo.main()
    assert ended.value.exit_code != 0
    assert "connection refused" in " ".join(capsys.readouterr().out.split())
