"""
Start servers that outlive this command, and end exactly those.

A pid file holds the process id and the instant it began, so that a pid the system gave to somebody else since is
never signalled.
"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

STOP_SECONDS = 20.0


def start(command: Sequence[str], *, env: Mapping[str, str], log: Path, pid_file: Path) -> int:
    """Start a detached process in a session of its own, its output appended to ``log``."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    # It outlives this command on purpose: Popen need not warn that nobody waited for it.
    process.returncode = 0
    began = psutil.Process(process.pid).create_time()
    pid_file.write_text(json.dumps({"pid": process.pid, "began": began}), encoding="utf-8")
    return process.pid


def running(pid_file: Path) -> psutil.Process | None:
    """The process a pid file names, if it is still that one."""
    try:
        noted = json.loads(pid_file.read_text(encoding="utf-8"))
        process = psutil.Process(noted["pid"])
        same = abs(process.create_time() - noted["began"]) < 1 and process.status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, json.JSONDecodeError, psutil.NoSuchProcess):
        return None
    return process if same else None


def stop(pid_file: Path) -> bool:
    """End the process and everything it started; False where it was not running."""
    process = running(pid_file)
    if process is not None:
        # Noted first: once the parent is gone nobody knows whose children they were.
        children = process.children(recursive=True)
        end([process], STOP_SECONDS)
        end([child for child in children if child.is_running()], STOP_SECONDS)
    pid_file.unlink(missing_ok=True)
    return process is not None


def end(processes: Sequence[psutil.Process], patience: float) -> None:
    """Ask to end, wait, then insist."""
    for process in processes:
        _signal(process, insist=False)
    _, stubborn = psutil.wait_procs(processes, timeout=patience)
    for process in stubborn:
        _signal(process, insist=True)
    psutil.wait_procs(stubborn, timeout=patience)


def _signal(process: psutil.Process, *, insist: bool) -> None:
    try:
        process.kill() if insist else process.terminate()
    except psutil.NoSuchProcess:
        return
