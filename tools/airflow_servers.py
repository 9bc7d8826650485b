"""Airflow's servers of the embedded set-up, taken together."""

import sys
from pathlib import Path

from recsys_tasks.errors import RecsysError
from tools import servers
from tools.places import Places

AIRFLOW = str(Path(sys.executable).with_name("airflow"))
SERVERS = {
    "api-server": [AIRFLOW, "api-server"],
    # Its log server would listen on every interface; logs are read from disk.
    "scheduler": [AIRFLOW, "scheduler", "--skip-serve-logs"],
    "dag-processor": [AIRFLOW, "dag-processor"],
}


class NotStarted(RecsysError):
    """The servers did not come up; the message ends with their log, or says what to do."""


class HalfDown(RecsysError):
    """Some of the servers have ended while others run."""


def start_servers(places: Places, environment: dict[str, str]) -> None:
    """Start every one of them; their output goes into the logs."""
    for name, command in SERVERS.items():
        servers.start(
            command, env=environment, log=places.logs / f"{name}.log", pid_file=places.pid_file(name)
        )


def stop_servers(places: Places) -> bool:
    """The scheduler first, so that nothing new begins; False where none ran."""
    stopped = [servers.stop(places.pid_file(name)) for name in ("scheduler", "dag-processor", "api-server")]
    return any(stopped)


def running(places: Places) -> bool:
    """Whether any of them runs."""
    return len(ended(places)) < len(SERVERS)


def ended(places: Places) -> list[str]:
    """Those that do not run."""
    return [name for name in SERVERS if servers.running(places.pid_file(name)) is None]


def require_whole(places: Places) -> None:
    """Refuse servers of which some have ended."""
    missing = ended(places)
    if missing and running(places):
        raise HalfDown(
            f"the embedded Airflow runs without its {' and '.join(missing)}, which ended (logs: {places.logs}); "
            f"stop the rest with `make down`, then start again"
        )


def logs_of(places: Places) -> str:
    """The end of every server's log."""
    texts = (
        (name, (places.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace"))
        for name in SERVERS
    )
    return "".join(f"\n--- {name} ---\n{tail(text)}" for name, text in texts)


def tail(text: str, lines: int = 15) -> str:
    """The last lines of a log."""
    return "\n".join(text.splitlines()[-lines:])
