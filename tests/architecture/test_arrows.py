"""Arrows point down only: who may import whom, held against the sources."""

import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture.imports import PACKAGE, REPOSITORY, Import, files_in, imports_of, module_of, room_of

GROUND = {"errors", "addresses", "calendar", "files", "settings", "schema"}
LOW = {"model", "lake", "workspace"}
ROOMS = {"extract", "pairs", "training", "index", "recommend", "evaluate", "search", "store"}
# The command line and ``python -m``.
DOORS = {"cli", "__main__"}

MAY_IMPORT: dict[str, set[str]] = {
    "": set(),
    "errors": set(),
    "addresses": {"errors"},
    "calendar": {"errors"},
    "files": {"errors"},
    "settings": {"calendar", "errors"},
    "schema": {"errors"},
    "workspace": GROUND,
    "lake": GROUND | {"workspace"},
    "model": GROUND | {"workspace", "lake"},
    **dict.fromkeys(ROOMS, GROUND | LOW),
    # Rooms beside each other do not know each other, with this one exception: candidates come from the index.
    "recommend": GROUND | LOW | {"index"},
    "steps": GROUND | LOW | ROOMS,
    **{door: GROUND | LOW | ROOMS | {"steps", "cli"} for door in DOORS},
}
HEAVY = {
    *("torch", "transformers", "accelerate", "peft", "safetensors", "faiss", "lightgbm", "sklearn", "scipy"),
    *("optuna", "matplotlib"),
    *("polars", "dataframely", "deltalake", "pyarrow", "pandas", "numpy", "sqlalchemy", "alembic", "psycopg"),
}
# What a DAG file may load while Airflow parses it.
LIGHT = ("errors", "calendar", "settings", "workspace", "steps")

SOURCES = files_in(PACKAGE)
DAGS = files_in("dags")


def named(file: Path) -> str:
    return str(file.relative_to(REPOSITORY))


def told(broken: list[Import], what_to_do: str) -> str:
    return "\n".join([*map(str, broken), what_to_do])


@pytest.mark.parametrize("file", SOURCES, ids=named)
def test_a_module_imports_only_what_lies_below_it(file):
    room = room_of(module_of(file))
    assert room in MAY_IMPORT, f"{named(file)}: the house has no room {room!r}; give it a place in MAY_IMPORT"
    allowed = MAY_IMPORT[room] | {room}
    broken = [found for found in imports_of(file) if found.room and found.room not in allowed]
    assert not broken, told(
        broken, f"{room} may import {', '.join(sorted(allowed))}: move the shared part down"
    )


@pytest.mark.parametrize("file", SOURCES, ids=named)
def test_the_product_runs_without_airflow(file):
    broken = [found for found in imports_of(file) if found.distribution in {"airflow", "dags", "plugins"}]
    assert not broken, told(broken, "only dags/ and plugins/ know Airflow: hand plain values down instead")


@pytest.mark.parametrize("file", SOURCES, ids=named)
def test_only_steps_and_doors_see_the_whole_settings_tree(file):
    if room_of(module_of(file)) in {"steps", "settings", *DOORS}:
        return
    broken = [found for found in imports_of(file) if found.name in {"load_settings", "Settings"}]
    assert not broken, told(broken, "take the section you need as an argument; a step loads the tree")


@pytest.mark.parametrize("file", DAGS, ids=named)
def test_a_dag_file_loads_nothing_heavy_while_it_is_parsed(file):
    broken = [found for found in imports_of(file) if found.distribution in HEAVY and not found.lazy]
    assert not broken, told(
        broken, "import it inside the task body: parse time, and thread pools start after the fork"
    )


@pytest.mark.parametrize("file", DAGS, ids=named)
def test_a_dag_file_takes_only_the_light_parts_of_the_product_while_it_is_parsed(file):
    broken = [found for found in imports_of(file) if not found.lazy and found.room not in {None, *LIGHT}]
    assert not broken, told(
        broken, f"at the top only {', '.join(LIGHT)}; import the rest inside the task body"
    )
    steps = [found for found in imports_of(file) if not found.lazy and found.room == "steps"]
    broken = [found for found in steps if found.target != f"{PACKAGE}.steps"]
    assert not broken, told(broken, "a step loads its libraries: import it inside the task body")


@pytest.mark.parametrize(
    ("parts", "whose"), [(LIGHT, "a DAG file"), (("cli",), "the command line")], ids=["dags", "cli"]
)
def test_the_light_parts_load_nothing_heavy(parts, whose):
    modules = ", ".join(f"{PACKAGE}.{name}" for name in parts)
    probe = f"import sys, {modules}; print(*sorted(set(sys.modules) & {HEAVY!r}))"
    answer = subprocess.run(
        [sys.executable, "-c", probe], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == [], f"{whose} would load these before anything is asked of it"


def test_imports_go_round_in_no_circle():
    modules = {module_of(file) for file in SOURCES}
    graph = {
        module_of(file): {found.target for found in imports_of(file) if not found.lazy} & modules
        for file in SOURCES
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these import each other: {' -> '.join(error.args[1])}; move the shared part down")


def test_every_room_is_there():
    rooms = {room_of(module_of(file)) for file in SOURCES}
    assert rooms >= GROUND | LOW | ROOMS | {"steps"}
