"""The server that pip carries: started by whoever comes first, there for all, stopped on request."""

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import psycopg
import pytest

from recsys_tasks.errors import StoreUnavailable
from recsys_tasks.store.embedded import embedded_url, stop_embedded

ASK = """
import sys; from pathlib import Path; from recsys_tasks.store.embedded import embedded_url
print(embedded_url(Path(sys.argv[1]), sys.argv[2]))
"""


@pytest.fixture
def folder():
    home = Path(tempfile.mkdtemp(prefix="recsys-test-"))
    yield home / "postgres"
    stop_embedded(home / "postgres")
    shutil.rmtree(home)


def answer(url: str) -> str:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return connection.execute("SELECT current_database()").fetchone()[0]


as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root runs the server as somebody else")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def pid_of(folder: Path) -> int:
    return int((folder / "postmaster.pid").read_text().splitlines()[0])


def test_many_processes_share_one_server_that_outlives_them(folder):
    askers = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, str(folder), name],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        for name in ("recsys", "airflow", "recsys")
    ]
    urls = [asker.communicate()[0].strip() for asker in askers]
    assert [answer(url) for url in urls] == ["recsys", "airflow", "recsys"]
    assert os.getsid(pid_of(folder)) == pid_of(folder)


def test_nobody_else_on_the_machine_can_connect(folder):
    embedded_url(folder)
    server = psutil.Process(pid_of(folder))
    assert not [c for c in server.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert (folder / ".s.PGSQL.5432").stat().st_mode & 0o077 == 0


def test_a_server_that_was_killed_is_started_again(folder):
    url = embedded_url(folder)
    dead = pid_of(folder)
    os.kill(dead, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(dead)] if psutil.pid_exists(dead) else [], timeout=10)
    assert embedded_url(folder) == url
    assert answer(url) == "recsys"


def test_a_lock_file_that_names_another_program_is_no_server(folder):
    embedded_url(folder)
    lines = (folder / "postmaster.pid").read_text().splitlines()
    stop_embedded(folder)
    (folder / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]))
    assert answer(embedded_url(folder)) == "recsys"


def test_stopping_ends_it_and_twice_is_once(folder):
    embedded_url(folder)
    server = psutil.Process(pid_of(folder))
    assert stop_embedded(folder)
    assert not stop_embedded(folder)
    # Where nobody collects orphans, an ended process stays listed.
    assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("name", ["deep" * 30, "it's, oddly named ü"])
def test_a_path_no_socket_can_have_gets_a_short_one(folder, name):
    odd = folder.parent / name / "postgres"
    url = embedded_url(odd)
    assert answer(url) == "recsys"
    socket_folder = Path(url.partition("host=")[2])
    stop_embedded(odd)
    assert not socket_folder.exists()


def test_a_server_whose_folder_was_deleted_does_not_write_into_the_new_one(folder):
    embedded_url(folder)
    orphan = psutil.Process(pid_of(folder))
    shutil.rmtree(folder)
    assert answer(embedded_url(folder)) == "recsys"
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE


@as_root
def test_folders_above_are_opened_for_passing_through_and_no_further(folder):
    private = folder.parent / "private"
    data = private / "shop" / "postgres"
    (private / "shop").mkdir(parents=True)
    private.chmod(0o700)
    (private / "shop").chmod(0o750)
    others = {parent: mode_of(parent) for parent in folder.parent.parents}
    embedded_url(data)
    try:
        assert (mode_of(private), mode_of(private / "shop"), mode_of(data)) == (0o701, 0o751, 0o700)
        assert {parent: mode_of(parent) for parent in others} == others
    finally:
        stop_embedded(data)


@as_root
def test_the_server_has_no_rights_but_its_user_s(folder):
    embedded_url(folder)
    server = psutil.Process(pid_of(folder))
    user = pwd.getpwnam("pgserver")
    assert server.uids().real == user.pw_uid
    assert server.gids().real == user.pw_gid
    groups = Path(f"/proc/{server.pid}/status").read_text().partition("Groups:")[2].splitlines()[0].split()
    assert groups == []


@as_root
def test_a_strict_umask_stops_no_server(folder):
    before = os.umask(0o077)
    try:
        url = embedded_url(folder)
    finally:
        os.umask(before)
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        assert connection.execute("SHOW max_connections").fetchone() == ("200",)


def test_a_server_that_cannot_start_says_why(folder):
    embedded_url(folder)
    stop_embedded(folder)
    with (folder / "postgresql.conf").open("a") as file:
        file.write("\nno_such_setting = 1\n")
    with pytest.raises(StoreUnavailable, match="no_such_setting"):
        embedded_url(folder)
