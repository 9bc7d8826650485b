"""
Run a training module under torchrun, as a process group of its own, for as long as we live and no longer.

The training gets its own session, so that Ctrl-C reaches only us and we decide how it ends. Four ways out, each
ends all of its processes: it finishes; we raise; SIGTERM reaches us (Airflow kills a task); we are killed outright,
and the kernel tells torchrun and its workers (see ``die_with_parent``). On one machine nothing listens on a network:
rendezvous is a file. Several nodes meet at the first one's address (``nodes``).
"""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from recsys_tasks.errors import SettingsError, TrainingFailed
from recsys_tasks.training.worker import MARK

log = logging.getLogger(__name__)

PACKAGE_PARENT = Path(__file__).parents[2]
# Airflow grants a task five seconds between SIGTERM and SIGKILL.
GRACE_SECONDS = 2.0
LAST_LINES = 15


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """``count`` machines that meet at ``endpoint`` (HOST:PORT of the first); ``rank`` is this one's number from 0."""

    count: int = 1
    endpoint: str = ""
    rank: int = 0


ALONE = Nodes()


def launch(module: str, folder: Path, processes: int | None = None, nodes: Nodes = ALONE) -> None:
    """
    Run ``python -m module folder`` in ``processes`` workers (one a GPU, or one) and log its lines as they come.

    Of several ``nodes`` this starts the workers of one; ``folder`` is one that all of them see.

    Raises SettingsError where a worker did (another try would end alike), TrainingFailed where it ends with any other
    error, both with the last lines.
    """
    with tempfile.TemporaryDirectory(prefix="rendezvous-") as meeting:
        # Without a place of its own torchrun leaves a folder of logs in /tmp behind every training.
        start = [*_rendezvous(nodes, Path(meeting)), f"--log-dir={meeting}"]
        command = _command(module, folder, processes or _gpus() or 1, start)
        with _started(command, _environment(nodes)) as process, _ended_with_us(process):
            last = _stream(process)
            code = process.wait()
    if code != 0:
        kind = SettingsError if code == SettingsError.exit_code else TrainingFailed
        raise kind(f"{module} ended with exit code {code}; its last lines:\n" + "\n".join(last))


def _started(command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )


def _command(module: str, folder: Path, processes: int, start: list[str]) -> list[str]:
    torchrun = [sys.executable, "-m", "recsys_tasks.training.torchrun", str(os.getpid())]
    return [*torchrun, *start, f"--nproc-per-node={processes}", "-m", module, str(folder)]


def _rendezvous(nodes: Nodes, meeting: Path) -> list[str]:
    """How torchrun finds the others."""
    if nodes.count > 1:
        host, _, port = nodes.endpoint.rpartition(":")
        numbers = [f"--nnodes={nodes.count}", f"--node-rank={nodes.rank}"]
        return [*numbers, f"--master-addr={host}", f"--master-port={port}"]
    # A name of its own: in the folder of a training that was killed its old meeting may still lie.
    name = f"--rdzv-id={uuid.uuid4().hex}"
    store = ["--rdzv-conf=store_type=file", f"--rdzv-endpoint={meeting / 'store'}"]
    return ["--nnodes=1", "--rdzv-backend=c10d", *store, name]


def _environment(nodes: Nodes) -> dict[str, str]:
    # On one machine workers meet in a file and talk over loopback only.
    inside = {
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        "GLOO_SOCKET_IFNAME": "lo",
        "NCCL_SOCKET_IFNAME": "lo",
    }
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PACKAGE_PARENT), os.environ.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        # Waiting threads must not spin where cores are shared.
        "OMP_WAIT_POLICY": "PASSIVE",
        **(inside if nodes.count == 1 else {}),
    }


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()


def _stream(process: subprocess.Popen[str]) -> list[str]:
    """Log every line, a worker's warning as one; the last ones are handed back for the error message."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    assert process.stdout is not None
    for line in process.stdout:
        text = line.rstrip()
        if text:
            last.append(text)
            level = logging.WARNING if text.startswith(MARK) else logging.INFO
            log.log(level, "%s", text.removeprefix(MARK))
    return list(last)


@contextmanager
def _ended_with_us(process: subprocess.Popen[str]) -> Iterator[None]:
    """However the body is left, the training has ended behind it."""
    with _on_sigterm(process):
        try:
            yield
        finally:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """SIGTERM to the group (torchrun passes it to its workers), SIGKILL to what is left after the grace time."""
    if process.poll() is not None:
        return
    for sign, patience in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, sign)
            process.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


@contextmanager
def _on_sigterm(process: subprocess.Popen[str]) -> Iterator[None]:
    """End the training on SIGTERM, then let the signal do what it would have done."""
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may set handlers; elsewhere the kernel's parent-death signal has to do.
        yield
        return
    before = signal.getsignal(signal.SIGTERM)

    def pass_on(number: int, frame: FrameType | None) -> None:
        end(process)
        signal.signal(signal.SIGTERM, before)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, pass_on)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
