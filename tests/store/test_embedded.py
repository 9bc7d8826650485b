"""The server that pip carries: started by whoever comes first, there for all, stopped on request."""

import os
import shutil
import signal
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
    stop_embedded(folder)
    stop_embedded(folder)
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


def test_a_server_that_cannot_start_says_why(folder):
    embedded_url(folder)
    stop_embedded(folder)
    with (folder / "postgresql.conf").open("a") as file:
        file.write("\nno_such_setting = 1\n")
    with pytest.raises(StoreUnavailable, match="no_such_setting"):
        embedded_url(folder)
