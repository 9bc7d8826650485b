"""
The demo: a real shop's log becomes personal lists in a database, through a real Airflow run.

    python -m tools.demo [--night YYYY-MM-DD]

What an earlier demo made (warehouse, lake, encoder, vectors) is used again. What this command started it also stops.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import httpx
import psutil
import typer
from rich.console import Console

from recsys_tasks.calendar import days_between, parse_night
from recsys_tasks.errors import RecsysError, SettingsError
from recsys_tasks.settings import SHOP_VARIABLE, Settings, load_settings
from recsys_tasks.steps.report_page import PAGE_WIDTH
from tools import embedded, servers
from tools.airflow_servers import SERVERS, require_whole, running
from tools.api import Api, address, sign_in
from tools.follow import Run
from tools.memory import PeakMemory
from tools.places import CHECKOUT, Places

FOLDER = CHECKOUT / "examples" / "complete_journey"
SHOP = FOLDER / "shop.yaml"
NIGHT = "2017-12-03"
# Fewer, larger pieces than the form's default: a task costs seconds, the year only some hundred MB.
CHUNK_DAYS = 61
# The days after the night that the step measure scores it on.
DAYS_AFTER = 7

console = Console(highlight=False)
if not console.is_terminal:
    console = Console(highlight=False, width=PAGE_WIDTH)


def demo(night: date, places: Places) -> None:
    """Everything, in order."""
    began = time.monotonic()
    settings = load_settings(SHOP)
    require_inside(settings, night)
    with PeakMemory(lambda: processes(places, settings)) as memory:
        make_warehouse(settings)
        with airflow(places) as api:
            history(api, settings, settings.first_night, night - timedelta(days=1))
            console.rule(f"the night {night}")
            Run(api, console, "recsys_nightly", {"night": str(night)}, f"night_{night}").follow()
            measure(api, settings, night)
            command_line("report", str(night))
            say_whether_live(settings, night)
    console.rule()
    console.print(
        f"{(time.monotonic() - began) / 60:.1f} minutes, {memory.peak_mb / 1024:.1f} GB at the peak"
    )
    console.print(
        NEXT.format(after=night + timedelta(days=1), shop=SHOP.relative_to(CHECKOUT)), soft_wrap=True
    )


def say_whether_live(settings: Settings, night: date) -> None:
    """Households read the live lists; say so where those are not the night's."""
    published = json.loads((settings.home / "records" / str(night) / "publish.json").read_text("utf-8"))
    if not published["live"]:
        console.print(
            f"The lists of night {night} were loaded and audited, but are not what shoppers see: "
            f"{published['why']}.",
            style="yellow",
        )


NEXT = """
Look at the run in Airflow's UI:      make up        (prints URL and password; make down stops it)
The night after:                      make demo NIGHT={after}
One household, history and list:      .venv/bin/python -m recsys_tasks --shop {shop} show USER
What is live, and how nights went:    .venv/bin/python -m recsys_tasks --shop {shop} status
"""


def require_inside(settings: Settings, night: date) -> None:
    """Refuse a night that the demo's log does not cover."""
    last = settings.last_night or date.max
    if not settings.first_night < night <= last:
        raise SettingsError(
            f"night {night} lies outside the demo's log; choose one after {settings.first_night} up to {last}"
        )


def make_warehouse(settings: Settings) -> None:
    """The shop's source database; made once. Prints what the data may be used for."""
    url = settings.sources.events.url or ""
    run_python(str(FOLDER / "warehouse.py"), url.removeprefix("sqlite:///"))


@contextmanager
def airflow(places: Places) -> Iterator[Api]:
    """The embedded Airflow: the one that runs, left running; else one for this demo only."""
    require_whole(places)
    ours = not running(places)
    try:
        if ours:
            with console.status("starting Airflow (half a minute)"):
                ours = embedded.up(places, SHOP)
        embedded.require_shop(places, SHOP)
        yield sign_in(places)
    except embedded.AlreadyUp:
        # Another shop's start came first: what runs is not this demo's to end.
        ours = False
        raise
    finally:
        if ours:
            embedded.down(places, SHOP)


def history(api: Api, settings: Settings, first: date, last: date) -> None:
    """Load the days that the lake lacks."""
    from recsys_tasks.lake.tables import Lake

    known = set(Lake(settings.home / "lake").days())
    missing = [day for day in days_between(first, last) if day not in known]
    if not missing:
        return
    console.rule(f"history {missing[0]} to {missing[-1]}")
    form = {"from": str(missing[0]), "to": str(missing[-1]), "chunk_days": CHUNK_DAYS}
    Run(api, console, "recsys_ingest", form, f"history_{missing[0]}_{missing[-1]}").follow()


def measure(api: Api, settings: Settings, night: date) -> None:
    """Score the night's lists on the days that followed, which it did not know."""
    last = night + timedelta(days=DAYS_AFTER)
    if settings.last_night is not None and last > settings.last_night:
        console.print(f"The log ends before {last}: the days after the night cannot be scored.")
        return
    history(api, settings, night + timedelta(days=1), last)
    Run(api, console, "recsys_measure", {"night": str(night)}, f"measure_{night}").follow()


def command_line(*arguments: str) -> None:
    """The product's own command line, for this shop."""
    run_python("-m", "recsys_tasks", "--shop", str(SHOP), *arguments)


def run_python(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], cwd=CHECKOUT, check=False)
    if done.returncode:
        raise RecsysError(f"python {' '.join(arguments)} ended with exit code {done.returncode}")


def processes(places: Places, settings: Settings) -> list[psutil.Process]:
    """What the demo's memory is counted over: this process, the servers, the embedded PostgreSQL."""
    found = [servers.running(places.pid_file(name)) for name in SERVERS]
    return [
        psutil.Process(),
        *postmaster(settings.home / "postgres"),
        *(one for one in found if one is not None),
    ]


def postmaster(folder: Path) -> list[psutil.Process]:
    """The embedded server's first process, where it runs; it belongs to no process tree of ours."""
    try:
        pid = int((folder / "postmaster.pid").read_text(encoding="utf-8").split("\n", 1)[0])
        # While the cluster is being made the file is empty, or names a single-user backend by a negative number.
        return [psutil.Process(pid)] if pid > 0 else []
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return []


def main(night: Annotated[str, typer.Option(help="Business date, YYYY-MM-DD.")] = NIGHT) -> None:
    """Run the demo shop's night through Airflow and print it."""
    os.environ[SHOP_VARIABLE] = str(SHOP)
    places = Places()
    try:
        demo(parse_night(night), places)
    except RecsysError as error:
        console.print(str(error), markup=False, style="red")
        raise typer.Exit(error.exit_code) from None
    except httpx.HTTPError as error:
        console.print(
            f"Airflow's API at {address(places)} does not answer as it should ({error or type(error).__name__}); "
            f"its log: {places.logs / 'api-server.log'}",
            markup=False,
            style="red",
        )
        raise typer.Exit(RecsysError.exit_code) from None


if __name__ == "__main__":
    typer.run(main)
