"""The embedded set-up with real PostgreSQL servers, and Airflow's servers as far as their pid files."""

import shutil
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from recsys_tasks.errors import SettingsError
from recsys_tasks.store.embedded import embedded_url, stop_embedded
from tests.shop import make_shop
from tools import embedded, servers
from tools.airflow_servers import SERVERS, HalfDown, NotStarted, require_whole
from tools.places import Places


@pytest.fixture
def checkout():
    """A short path, as a socket needs one."""
    folder = Path(tempfile.mkdtemp(prefix="recsys-test-"))
    yield folder
    for pid_file in folder.rglob("postmaster.pid"):
        stop_embedded(pid_file.parent)
    shutil.rmtree(folder)


@pytest.fixture
def places(checkout):
    made = Places(checkout / ".airflow")
    made.create()
    return made


@pytest.fixture
def run(monkeypatch):
    """Says which of Airflow's servers run."""

    def these(*names: str) -> None:
        monkeypatch.setattr(servers, "running", lambda file: file.name if file.stem in names else None)

    return these


def test_airflow_s_command_line_is_for_the_shop_that_is_served(places, run, tmp_path, monkeypatch):
    (tmp_path / "named.yaml").touch()
    monkeypatch.setenv("RECSYS_SHOP", str(tmp_path / "named.yaml"))
    places.shop.write_text("/served/shop.yaml")
    run(*SERVERS)
    assert embedded.current_shop(places) == Path("/served/shop.yaml")
    run()
    assert embedded.current_shop(places) == tmp_path / "named.yaml"


def test_a_relative_name_becomes_one_that_holds_anywhere(places, tmp_path, monkeypatch):
    (tmp_path / "my shop").mkdir()
    (tmp_path / "my shop" / "shop.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECSYS_SHOP", "my shop/shop.yaml")
    assert embedded.current_shop(places) == tmp_path / "my shop" / "shop.yaml"


def test_servers_of_which_one_has_ended_are_not_used(places, run):
    run("api-server", "dag-processor")
    with pytest.raises(HalfDown, match=r"without its scheduler.*make down"):
        require_whole(places)
    with pytest.raises(HalfDown, match="scheduler"):
        embedded.up(places, Path("shop.yaml"))


@pytest.mark.parametrize("names", [(), tuple(SERVERS)])
def test_all_servers_or_none_are_whole(places, run, names):
    run(*names)
    require_whole(places)


def test_another_shop_is_refused_and_another_name_of_the_same_is_not(places, tmp_path):
    shop = tmp_path / "shop.yaml"
    with pytest.raises(embedded.AlreadyUp):
        embedded.require_shop(places, shop)
    places.shop.write_text(str(tmp_path / "somewhere" / ".." / "shop.yaml"))
    embedded.require_shop(places, shop)
    with pytest.raises(embedded.AlreadyUp, match=r"up for .*somewhere.*make down"):
        embedded.require_shop(places, tmp_path / "other.yaml")


class DagsCome:
    """An API whose DAGs are there from the given question on."""

    def __init__(self, question: int) -> None:
        self.left = question

    def dag_ids(self) -> set[str]:
        self.left -= 1
        return {file.stem for file in (embedded.CHECKOUT / "dags").glob("*.py")} if self.left <= 0 else set()

    def import_errors(self) -> list[str]:
        return []


@pytest.fixture
def shop(places, run, tmp_path, monkeypatch):
    """A shop.yaml that the servers run for, and answer."""
    run(*SERVERS)
    monkeypatch.setattr(embedded, "answers", lambda url: True)
    monkeypatch.setattr(embedded, "sign_in", lambda places: DagsCome(1))
    monkeypatch.setattr(embedded, "start_servers", _never)
    monkeypatch.setattr(embedded, "stop_servers", _never)
    file = (
        tmp_path / "a [small] shop, in a folder whose name is longer than a line of the screen" / "shop.yaml"
    )
    file.parent.mkdir()
    file.touch()
    places.shop.write_text(str(file))
    return file


def _never(*_):
    raise AssertionError("the servers that run were touched")


@pytest.fixture
def make_up(places, monkeypatch, capsys):
    """The command ``up`` for a shop: its exit code and what it printed."""

    def command(shop: Path) -> tuple[int, str]:
        monkeypatch.setattr(embedded, "Places", lambda: places)
        monkeypatch.setattr(sys, "argv", ["embedded", "up", "--shop", str(shop)])
        with pytest.raises(SystemExit) as ended:
            embedded.main()
        return ended.value.code, capsys.readouterr().out

    return command


def test_up_again_says_for_which_shop_it_is_up_and_how_to_open_it(places, shop, make_up):
    code, printed = make_up(shop)
    assert code == 0
    assert printed.splitlines() == [
        f"Airflow is up already, for {shop}.",
        embedded.how_to_open(places),
        "Stop it with `make down`.",
    ]
    assert places.password() in printed


def test_up_beside_a_start_that_is_not_done_waits_for_its_dags(places, shop, monkeypatch):
    coming = DagsCome(3)
    monkeypatch.setattr(embedded, "sign_in", lambda places: coming)
    assert not embedded.up(places, shop)
    assert coming.left == 0


def test_up_for_another_shop_says_which_one_is_up(places, shop, make_up, tmp_path):
    other = tmp_path / "other.yaml"
    other.touch()
    code, printed = make_up(other)
    assert code != 0
    assert f"up for {shop}, not for {other}" in printed
    assert "make down" in printed
    assert places.password() not in printed
    assert places.served() == shop


def test_up_beside_servers_that_do_not_answer_leaves_them_to_whoever_started_them(places, shop, monkeypatch):
    for name in SERVERS:
        (places.logs / f"{name}.log").write_text(f"{name} hangs")
    monkeypatch.setattr(embedded, "answers", lambda url: False)
    monkeypatch.setattr(embedded, "START_SECONDS", 0)
    with pytest.raises(NotStarted, match="api-server hangs"):
        embedded.up(places, shop)


def test_servers_that_have_all_ended_are_started_again_for_the_shop_asked_for(places, monkeypatch):
    calls = []
    for name in ("migrate", "start_servers", "_wait_for_answers", "_wait_for_dags"):
        monkeypatch.setattr(embedded, name, lambda *_, name=name: calls.append(name))
    monkeypatch.setattr(embedded, "environment_of", lambda *_: {})
    places.shop.write_text("/earlier/shop.yaml")
    for name in SERVERS:
        places.pid_file(name).write_text('{"pid": 1, "began": 0}')
    assert embedded.up(places, Path("/asked/for/shop.yaml"))
    assert calls == ["migrate", "start_servers", "_wait_for_answers", "_wait_for_dags"]
    assert places.served() == Path("/asked/for/shop.yaml")


@pytest.fixture
def started(places, checkout, tmp_path):
    """A shop with a database of its own, and Airflow's PostgreSQL for it; the folder of that one."""
    shop = make_shop(checkout / "shop", encoder=tmp_path, shoppers=5, days=10)
    environment = embedded.environment_of(places, shop.file, 8123)
    assert environment["RECSYS_SHOP"] == str(shop.file)
    assert (places.own_postgres / "postmaster.pid").exists()
    return shop.file


def test_postgresql_leaves_airflow_s_home_to_its_owner(places, started):
    assert stat.S_IMODE(places.home.stat().st_mode) == 0o700
    assert not places.own_postgres.is_relative_to(places.home)
    for file in (places.passwords, places.home / "keys.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_down_ends_what_was_started_though_the_shop_no_longer_loads(places, started):
    started.write_text("name: [a typo")
    with pytest.raises(SettingsError):
        embedded.down(places, started)
    assert not (places.own_postgres / "postmaster.pid").exists()


def test_down_all_needs_no_shop(places, checkout, started):
    started.unlink()
    of_a_shop = checkout / ".recsys" / "tiny" / "postgres"
    embedded_url(of_a_shop)
    assert embedded.down_all(places, checkout)
    assert not list(checkout.rglob("postmaster.pid"))
    assert not embedded.down_all(places, checkout)
