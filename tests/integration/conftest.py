"""One generated shop with its night already made: whole nights are slow, so tests share it and only read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from sqlalchemy import create_engine, text

from tests.shop import COLOURS, TASTES, THINGS, Shop, make_shop
from tests.tiny_encoder import tiny_encoder

ROOT = Path(__file__).parents[2]
# One night before the last days: so the week that follows can be measured.
NIGHT_BEFORE_LAST = 7


def command(shop: Shop, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line as a script would; the exit code must be ``code``."""
    done = subprocess.run(
        [sys.executable, "-m", "recsys_tasks", "--shop", str(shop.file), *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "OMP_WAIT_POLICY": "PASSIVE"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, (
        f"exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    )
    return done


def prepared(shop: Shop) -> str:
    """A shop whose history is loaded up to the eve of the night it returns."""
    night = shop.night(NIGHT_BEFORE_LAST)
    command(shop, "init")
    command(shop, "ingest", shop.first.isoformat(), shop.night(NIGHT_BEFORE_LAST + 1))
    return night


def lists_of(database: str) -> pl.DataFrame:
    """What the shop's backend reads, as it reads it."""
    engine = create_engine(database)
    try:
        with engine.connect() as connection:
            rows = connection.execute(
                text(
                    "select surface, user_id, rank, item_id, score, source, reason, night "
                    "from recommendations order by surface, user_id, rank"
                )
            ).all()
    finally:
        engine.dispose()
    names = ["surface", "user_id", "rank", "item_id", "score", "source", "reason", "night"]
    # PostgreSQL keeps a score as float4, SQLite as the double nearest to it: the same number, written differently.
    lists = pl.DataFrame([tuple(map(str, row)) for row in rows], schema=names, orient="row")
    return lists.with_columns(pl.col("score").cast(pl.Float32))


def manifests(shop: Shop) -> dict[str, str]:
    """Artefact -> its fingerprint, of every night."""
    found = sorted((shop.folder / "home/artefacts").glob("*/*/*/manifest.json"))
    return {f"{p.parts[-4]}/{p.parts[-3]}": json.loads(p.read_text())["fingerprint"] for p in found}


@pytest.fixture(scope="session")
def encoder(tmp_path_factory) -> Path:
    words = [*TASTES, *COLOURS, *(thing for things in THINGS.values() for thing in things), "for", "the"]
    return tiny_encoder(tmp_path_factory.mktemp("encoder"), words)


@pytest.fixture(scope="session")
def night_shop(tmp_path_factory, encoder) -> Shop:
    shop = make_shop(tmp_path_factory.mktemp("night") / "shop", encoder=encoder)
    command(shop, "night", prepared(shop))
    return shop
