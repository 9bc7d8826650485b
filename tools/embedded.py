"""
The embedded Airflow: one machine, one shop, nothing to install.

    python -m tools.embedded up             start scheduler, dag-processor and API server; print URL and password.
                                            Where they run for this shop already, only print
    python -m tools.embedded down           end what ``up`` started, and the embedded PostgreSQL
    python -m tools.embedded down --all     the same, and every embedded PostgreSQL in the checkout; reads no shop.yaml
    python -m tools.embedded airflow ...    Airflow's own command line in this set-up
"""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from recsys_tasks.errors import RecsysError
from recsys_tasks.settings import load_settings, shop_file
from recsys_tasks.store.embedded import embedded_url, stop_embedded
from tools import airflow_tables
from tools.airflow_env import airflow_environment
from tools.airflow_servers import (
    AIRFLOW,
    NotStarted,
    ended,
    logs_of,
    require_whole,
    running,
    start_servers,
    stop_servers,
    tail,
)
from tools.api import address, answers, sign_in, wait_until
from tools.places import CHECKOUT, USER, Places

# Tasks in a pool that does not exist are never scheduled, without a word.
POOLS = {"gpu": (1, "Training and encoding: one at a time")}
START_SECONDS = 180

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
console = Console(highlight=False)


class AlreadyUp(RecsysError):
    """The embedded Airflow runs already, for another shop."""


def up(places: Places, shop: Path) -> bool:
    """
    Start everything and wait until every DAG is there; False where it runs for this shop already.

    Raises AlreadyUp where it runs for another shop, HalfDown where some of it has ended, NotStarted.
    """
    places.create()
    with _alone(places):
        require_whole(places)
        if there := running(places):
            require_shop(places, shop)
        else:
            _start(places, shop)
    if there:
        # Whoever started them may still be waiting for them, and is the one to stop them if they do not come.
        _wait_for_answers(places)
        _wait_for_dags(places)
        return False
    try:
        _wait_for_answers(places)
        _wait_for_dags(places)
    except NotStarted:
        stop_servers(places)
        raise
    return True


def down(places: Places, shop: Path | None) -> bool:
    """End the servers, then the embedded PostgreSQL they used and the shop's; False where nothing ran."""
    stopped = stop_servers(places)
    # First the one that was written down: it is found even where a shop.yaml no longer loads.
    used = places.used_postgres()
    stopped |= used is not None and stop_embedded(used)
    return stop_embedded(postgres_folder(places, shop_file(shop))) or stopped


def down_all(places: Places, checkout: Path = CHECKOUT) -> bool:
    """End every server of this checkout, by the files that name processes; False where nothing ran."""
    stopped = stop_servers(places)
    homes = (places.own_postgres.parent, checkout / ".recsys", checkout / "examples")
    folders = {file.parent for home in homes for file in home.rglob("postmaster.pid")}
    folders |= {used} if (used := places.used_postgres()) else set()
    for folder in sorted(folders):
        stopped |= stop_embedded(folder)
    return stopped


def require_shop(places: Places, shop: Path) -> None:
    """Refuse to use servers that run for another shop."""
    served = places.served()
    if served is None or served.resolve() != shop.resolve():
        raise AlreadyUp(
            f"the embedded Airflow is up for {served}, not for {shop}; stop it with `make down` first"
        )


def current_shop(places: Places) -> Path:
    """The shop that the servers run for; where none run, the one that SHOP or RECSYS_SHOP names."""
    served = places.served() if running(places) else None
    return served or shop_file()


def environment_of(places: Places, shop: Path, port: int) -> dict[str, str]:
    """What Airflow's processes need; starts the embedded PostgreSQL where it does not run."""
    folder = postgres_folder(places, shop)
    url = embedded_url(folder, "airflow")
    places.postgres.write_text(str(folder), encoding="utf-8")
    return airflow_environment(places, database_url=url, port=port, shop=shop, base=os.environ)


def postgres_folder(places: Places, shop: Path) -> Path:
    """The shop's own embedded server; a shop with a database elsewhere gets one for Airflow alone."""
    settings = load_settings(shop)
    return settings.home / "postgres" if settings.database == "embedded" else places.own_postgres


def migrate(environment: dict[str, str]) -> None:
    """Airflow's tables and every pool; doing it again changes nothing, and takes no time."""
    if airflow_tables.are_made(environment, {name: slots for name, (slots, _) in POOLS.items()}):
        return
    _quietly(environment, "db", "migrate")
    for name, (slots, description) in POOLS.items():
        _quietly(environment, "pools", "set", name, str(slots), description)
    airflow_tables.note_made(environment)


def _quietly(environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run([AIRFLOW, *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotStarted(f"airflow {' '.join(arguments)} failed:\n{tail(done.stdout + done.stderr)}")


def _start(places: Places, shop: Path) -> None:
    environment = environment_of(places, shop, places.port())
    migrate(environment)
    places.shop.write_text(str(shop), encoding="utf-8")
    start_servers(places, environment)


def _wait_for_answers(places: Places) -> None:
    if not wait_until(lambda: answers(address(places)) or bool(ended(places)), START_SECONDS):
        raise NotStarted(f"the servers did not answer within {START_SECONDS} s{logs_of(places)}")
    if ended(places):
        raise NotStarted(f"a server ended by itself{logs_of(places)}")


def _wait_for_dags(places: Places) -> None:
    api = sign_in(places)
    wanted = {file.stem for file in (CHECKOUT / "dags").glob("*.py")}
    if not wait_until(lambda: wanted <= api.dag_ids() or bool(api.import_errors()), START_SECONDS):
        raise NotStarted(f"DAGs are missing: {', '.join(sorted(wanted - api.dag_ids()))}")
    if errors := api.import_errors():
        raise NotStarted("a DAG file does not load:\n" + "\n".join(errors))


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
    """Start the servers, where they do not run yet, and print how to open the UI."""
    places = Places()
    with console.status("starting Airflow (half a minute)"):
        started = up(places, shop_file(shop))
    if not started:
        console.print(f"Airflow is up already, for {places.served()}.", markup=False, soft_wrap=True)
    console.print(how_to_open(places))
    console.print("Stop it with `make down`.")


@app.command("down")
def down_command(
    shop: Shop = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every server of this checkout; reads no shop.yaml.")
    ] = False,
) -> None:
    """End the servers."""
    places = Places()
    stopped = down_all(places) if everything else down(places, shop)
    console.print("stopped" if stopped else "nothing was running")


@app.command(
    "airflow",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def airflow_command(context: typer.Context) -> None:
    """Airflow's own command line."""
    places = Places()
    places.create()
    environment = environment_of(places, current_shop(places), places.running_port())
    if not running(places):
        migrate(environment)
    os.execve(AIRFLOW, [AIRFLOW, *context.args], environment)


def main() -> None:
    """Run a command; an error of ours is one message and an exit code."""
    try:
        app()
    except RecsysError as error:
        console.print(str(error), markup=False, soft_wrap=True)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
