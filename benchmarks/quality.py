"""
Bring the tables and pictures of docs/quality.md up to date from the JSON files of the benchmarks.

  python -m benchmarks.quality --results benchmarks/results
  python -m benchmarks.quality --results benchmarks/results --blocks "lists ifdb new" "leads ifdb new"

The prose is written by hand; what stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` is written here.
NAME is a kind of table and its words, e.g. ``lists online_retail new``; see TABLES. Pictures are drawn by the bench
environment (`make bench`), which has the library for it.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.environments import CHECKOUT, has_peers, run_module
from benchmarks.quality_tables import TABLES
from recsys_tasks.errors import MissingArtefact, RecsysError, SettingsError
from recsys_tasks.files import write_whole

PAGE = CHECKOUT / "docs" / "quality.md"
BLOCK = re.compile(r"(<!-- begin (?P<name>[^>]+?) -->\n).*?(<!-- end (?P=name) -->)", re.DOTALL)


def filled(page: str, results: Path, names: Sequence[str] | None = None) -> str:
    """
    The page with the named blocks (none named: every one) written anew.

    Raises SettingsError for a name that no block has and a block of an unknown kind, MissingArtefact where its JSON is
    not there.
    """
    known = [block["name"] for block in BLOCK.finditer(page)]
    wanted = known if names is None else names
    if unknown := sorted({*wanted} - {*known}):
        raise SettingsError(
            f"{PAGE.name} has no block {', '.join(map(repr, unknown))}; it has {', '.join(known)}"
        )

    def written(block: re.Match[str]) -> str:
        if block["name"] not in wanted:
            return block[0]
        return f"{block[1]}\n{table(block['name'], results)}\n\n{block[3]}"

    return BLOCK.sub(written, page)


def table(name: str, results: Path) -> str:
    """The Markdown of one block: its kind, the set it is about, further words."""
    kind, about, *words = name.split()
    if kind not in TABLES:
        raise SettingsError(f"{PAGE.name}: no table is called {kind!r}; known: {', '.join(sorted(TABLES))}")
    folder, make = TABLES[kind]
    return make(_read(results / folder / f"{about}.json"), *words)


def _read(file: Path) -> list[dict[str, object]]:
    if not file.is_file():
        raise MissingArtefact(
            f"{file} does not exist: run the benchmark that writes it (benchmarks/README.md)"
        )
    rows: list[dict[str, object]] = json.loads(file.read_text(encoding="utf-8"))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument(
        "--results", type=Path, required=True, help="the folder of the benchmarks' JSON files"
    )
    parser.add_argument(
        "--blocks",
        nargs="+",
        metavar="NAME",
        help="some blocks only, e.g. 'lists ifdb new', and no pictures",
    )
    parser.add_argument("--without-pictures", action="store_true")
    given = parser.parse_args(arguments)
    try:
        write_whole(PAGE, filled(PAGE.read_text(encoding="utf-8"), given.results, given.blocks))
        if not given.without_pictures and given.blocks is None:
            _draw(given.results)
    except RecsysError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _draw(results: Path) -> None:
    if not has_peers():
        raise MissingArtefact(
            "pictures need the bench environment: run `make bench`, or give --without-pictures"
        )
    run_module("pictures", "benchmarks.pictures", str(results.absolute()), str(PAGE.parent), peers=True)


if __name__ == "__main__":
    sys.exit(main())
