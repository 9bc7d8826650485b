"""What the commands that work on a shop have in common: their options, and how they end."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.results import Row
from recsys_tasks.errors import RecsysError


def shop_parser(name: str, about: str | None) -> argparse.ArgumentParser:
    """A parser of ``python -m benchmarks.NAME`` with --shop, --out, --set and --home."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--shop", type=Path, required=True, help="a shop.yaml")
    parser.add_argument("--out", type=Path, required=True, help="the JSON to write")
    parser.add_argument(
        "--set", action="append", default=[], help="a setting, e.g. towers.dim=64; may be repeated"
    )
    parser.add_argument(
        "--home", type=Path, help="where benchmarks keep their homes (default: homes beside --out)"
    )
    return parser


def add_cuts(parser: argparse.ArgumentParser) -> None:
    """--cuts, or --cut by hand."""
    parser.add_argument("--cuts", type=int, default=3, help="how many cuts (default 3)")
    parser.add_argument(
        "--cut", action="append", default=[], help="a cut by hand, YYYY-MM-DD; may be repeated"
    )


def homes(given: argparse.Namespace) -> Path:
    """The folder of the homes."""
    folder: Path = given.home or given.out.parent / "homes"
    return folder


def finish(
    measure: Callable[[argparse.Namespace], list[Row]],
    show: Callable[[list[Row]], None],
    given: argparse.Namespace,
) -> int:
    """Measure, then show; the exit code. An error of the product is one line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        rows = measure(given)
    except RecsysError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code
    show(rows)
    return 0
