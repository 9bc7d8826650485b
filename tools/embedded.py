"""
The embedded Airflow: one machine, one shop, nothing to install.

    python -m tools.embedded up             start scheduler, dag-processor and API server; print URL and password
    python -m tools.embedded down           end what ``up`` started, and the embedded PostgreSQL
    python -m tools.embedded airflow ...    Airflow's own command line in this set-up
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from recsys_tasks.errors import RecsysError
from recsys_tasks.settings import load_settings, shop_file
from recsys_tasks.store.embedded import embedded_url, stop_embedded
from tools import servers
from tools.airflow_env import airflow_environment
from tools.api import address, answers, sign_in, wait_until
from tools.places import CHECKOUT, USER, Places

AIRFLOW = str(Path(sys.executable).with_name("airflow"))
SERVERS = {
    "api-server": [AIRFLOW, "api-server"],
    # Its log server would listen on every interface; logs are read from disk.
    "scheduler": [AIRFLOW, "scheduler", "--skip-serve-logs"],
    "dag-processor": [AIRFLOW, "dag-processor"],
}
# Tasks in a pool that does not exist are never scheduled, without a word.
POOLS = {"gpu": (1, "Training and encoding: one at a time")}
START_SECONDS = 180

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
console = Console(highlight=False)


class NotStarted(RecsysError):
    """The servers did not come up; the message ends with their log."""


class AlreadyUp(RecsysError):
    """The embedded Airflow runs already."""


def up(places: Places, shop: Path) -> None:
    """Start everything and wait until every DAG is there; raises AlreadyUp, NotStarted."""
    places.create()
    with _alone(places):
        if running(places):
            raise AlreadyUp(
                f"the embedded Airflow is already up at {address(places)}; stop it with `make down`"
            )
        environment = environment_of(places, shop, places.port())
        migrate(environment)
        places.shop.write_text(str(shop), encoding="utf-8")
        for name, command in SERVERS.items():
            servers.start(
                command, env=environment, log=places.logs / f"{name}.log", pid_file=places.pid_file(name)
            )
    try:
        _wait_for_servers(places)
    except NotStarted:
        stop_servers(places)
        raise


def down(places: Places, shop: Path) -> bool:
    """End the servers and the embedded PostgreSQL of the shop they ran for; False where none ran."""
    stopped = stop_servers(places)
    for served in {shop, places.served() or shop}:
        if served.is_file():
            stop_embedded(postgres_folder(places, served))
    return stopped


def stop_servers(places: Places) -> bool:
    """The scheduler first, so that nothing new begins."""
    stopped = [servers.stop(places.pid_file(name)) for name in ("scheduler", "dag-processor", "api-server")]
    return any(stopped)


def running(places: Places) -> bool:
    return any(servers.running(places.pid_file(name)) for name in SERVERS)


def require_shop(places: Places, shop: Path) -> None:
    """Refuse to use servers that run for another shop."""
    if places.served() != shop:
        raise AlreadyUp(f"the embedded Airflow runs for {places.served()}; stop it with `make down` first")


def environment_of(places: Places, shop: Path, port: int) -> dict[str, str]:
    """What Airflow's processes need; starts the embedded PostgreSQL where it does not run."""
    url = embedded_url(postgres_folder(places, shop), "airflow")
    return airflow_environment(places, database_url=url, port=port, shop=shop, base=os.environ)


def postgres_folder(places: Places, shop: Path) -> Path:
    """The shop's own embedded server; a shop with a database elsewhere gets one for Airflow alone."""
    settings = load_settings(shop)
    return settings.home / "postgres" if settings.database == "embedded" else places.home / "postgres"


def migrate(environment: dict[str, str]) -> None:
    """Airflow's tables and every pool; doing it again changes nothing."""
    _quietly(environment, "db", "migrate")
    for name, (slots, description) in POOLS.items():
        _quietly(environment, "pools", "set", name, str(slots), description)


def _quietly(environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run([AIRFLOW, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotStarted(f"airflow {' '.join(arguments)} failed:\n{_tail(done.stdout + done.stderr)}")


def _wait_for_servers(places: Places) -> None:
    if not wait_until(lambda: answers(address(places)) or not _all_run(places), START_SECONDS):
        raise NotStarted(f"the servers did not answer within {START_SECONDS} s{_server_logs(places)}")
    if not _all_run(places):
        raise NotStarted(f"a server ended by itself{_server_logs(places)}")
    api = sign_in(places)
    wanted = {file.stem for file in (CHECKOUT / "dags").glob("*.py")}
    if not wait_until(lambda: wanted <= api.dag_ids() or bool(api.import_errors()), START_SECONDS):
        raise NotStarted(f"DAGs are missing: {', '.join(sorted(wanted - api.dag_ids()))}")
    if errors := api.import_errors():
        raise NotStarted("a DAG file does not load:\n" + "\n".join(errors))


def _all_run(places: Places) -> bool:
    return all(servers.running(places.pid_file(name)) for name in SERVERS)


def _server_logs(places: Places) -> str:
    texts = (
        (name, (places.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace"))
        for name in SERVERS
    )
    return "".join(f"\n--- {name} ---\n{_tail(text)}" for name, text in texts)


def _tail(text: str, lines: int = 15) -> str:
    return "\n".join(text.splitlines()[-lines:])


@contextmanager
def _alone(places: Places) -> Iterator[None]:
    """One start at a time, else two would both find nothing running."""
    with (places.home / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def how_to_open(places: Places) -> str:
    return f"Airflow: {address(places)}   user: {USER}   password: {places.password()}"


Shop = Annotated[Path | None, typer.Option("--shop", help="shop.yaml; else RECSYS_SHOP names it")]


@app.command("up")
def up_command(shop: Shop = None) -> None:
    """Start the servers and print how to open the UI."""
    places = Places()
    with console.status("starting Airflow (half a minute)"):
        up(places, shop_file(shop))
    console.print(how_to_open(places))
    console.print("Stop it with `make down`.")


@app.command("down")
def down_command(shop: Shop = None) -> None:
    """End the servers."""
    console.print("stopped" if down(Places(), shop_file(shop)) else "nothing was running")


@app.command(
    "airflow",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def airflow_command(context: typer.Context) -> None:
    """Airflow's own command line."""
    places = Places()
    places.create()
    environment = environment_of(places, shop_file(), places.running_port())
    if not running(places):
        migrate(environment)
    os.execve(AIRFLOW, [AIRFLOW, *context.args], environment)


def main() -> None:
    """Run a command; an error of ours is one message and an exit code."""
    try:
        app()
    except RecsysError as error:
        console.print(str(error), markup=False)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
