"""All figures of the table, in the order they are measured."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, make_url, text

from benchmarks.isolated import measured
from benchmarks.publish import ours, plain
from recsys_tasks.store.connect import engine_for
from recsys_tasks.store.embedded import embedded_url

Row = dict[str, Any]


@dataclass(frozen=True)
class Sizes:
    """``users`` of the ratios and of the smaller peak; ``core_rows`` inserted row by row, ``many_users`` of the larger
    peak, ``most_users`` of rollback and reads."""

    users: int = 40_000
    top_k: int = 50
    core_rows: int = 50_000
    rounds: int = 3
    many_users: int = 400_000
    most_users: int = 1_000_000
    reads: int = 2_000


def measure_all(folder: Path, sizes: Sizes) -> Iterator[Row]:
    yield from _against(f"sqlite:///{folder}/ratio.db", "sqlite", "ratio_sqlite", sizes)
    url = _fresh(folder, "ratio")
    yield from _against(url, "postgresql", "ratio_core_insert", sizes)
    yield from _against_upsert(url, sizes)
    yield from _peaks(folder, sizes)
    yield from _at_full_size(folder, sizes)


def _against(url: str, system: str, ratio: str, sizes: Sizes) -> Iterator[Row]:
    """Ours and core inserts by turns: what else the machine does meets both."""
    rates, core, single, seconds = _by_turns(url, sizes)
    rows = sizes.users * sizes.top_k
    yield _row(system, "publish_seconds", seconds, "s")
    yield _row(system, "publish_rate", rates, "rows/s")
    yield _row(f"{system} core", "insert_rate", core, "rows/s")
    yield _row(f"{system} core", "one_by_one_rate", single, "rows/s")
    yield _row(system, "rows", rows, "rows")
    yield _row(system, ratio, rates / core, "x")
    yield _row(system, f"{ratio}_one_by_one", rates / single, "x")


def _by_turns(url: str, sizes: Sizes) -> tuple[float, float, float, float]:
    store, engine = ours.store_at(url), engine_for(make_url(url))
    ours.publish_night(store, sizes.users, sizes.top_k, night=0)
    published, core, single = [], [], []
    for turn in range(1, sizes.rounds + 1):
        core.append(plain.core_insert_rate(engine, sizes.core_rows, sizes.top_k))
        published.append(ours.publish_seconds(store, sizes.users, sizes.top_k, night=turn))
        single.append(plain.one_by_one_rate(engine, sizes.core_rows // 10, sizes.top_k))
    seconds = median(published)
    return sizes.users * sizes.top_k / seconds, median(core), median(single), seconds


def _against_upsert(url: str, sizes: Sizes) -> Iterator[Row]:
    store, engine = ours.store_at(url), engine_for(make_url(url))
    published, upserted = [], []
    for turn in range(sizes.rounds):
        upserted.append(plain.upsert_seconds(engine, sizes.users, sizes.top_k))
        published.append(ours.publish_seconds(store, sizes.users, sizes.top_k, sizes.rounds + 1 + turn))
    yield _row("postgresql upsert", "upsert_seconds", median(upserted), "s")
    yield _row("postgresql", "ratio_upsert", median(upserted) / median(published), "x")


def _peaks(folder: Path, sizes: Sizes) -> Iterator[Row]:
    for users in (sizes.users, sizes.many_users):
        url = _fresh(folder, f"peak_{users}")
        done = measured(ours.stream_night, url, users, sizes.top_k, 0)
        yield _row(f"postgresql, {_short(users)} users", "peak_mb", done.peak_mb, "MB")
        _drop(folder, f"peak_{users}")


def _at_full_size(folder: Path, sizes: Sizes) -> Iterator[Row]:
    url = _fresh(folder, "full")
    store = ours.store_at(url)
    name = _short(sizes.most_users)
    for night in (0, 1):
        seconds = _seconds(
            lambda night=night: ours.publish_night(store, sizes.most_users, sizes.top_k, night)
        )
    yield _row("postgresql", f"stream_seconds_{name}_users", seconds, "s")
    yield _row("postgresql", f"size_mb_{name}_users", generation_megabytes(store.engine), "MB")
    yield _row("postgresql", f"rollback_seconds_{name}_users", ours.rollback_seconds(store), "s")
    ours.read_milliseconds(url, sizes.most_users, sizes.reads)  # into the cache, as by day
    for system, taken in zip(
        ("postgresql", "postgresql core"),
        ours.read_milliseconds(url, sizes.most_users, sizes.reads),
        strict=True,
    ):
        yield _row(system, f"read_p50_ms_{name}_users", median(taken), "ms")
        yield _row(system, f"read_p99_ms_{name}_users", quantiles(taken, n=100)[98], "ms")


def _fresh(folder: Path, name: str) -> str:
    """The URL of a new database of the run's own server."""
    return embedded_url(folder / "postgres", name)


def _drop(folder: Path, name: str) -> None:
    outside = engine_for(make_url(embedded_url(folder / "postgres", "postgres")))
    with outside.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


# Its lists with their index, and its part of the texts and of the items that all generations keep in one table each.
GENERATION_BYTES = text(
    "SELECT (SELECT max(pg_total_relation_size(oid)) FROM pg_class WHERE relname LIKE 'coded_lists_g%')"
    " + (pg_total_relation_size('list_texts') + pg_total_relation_size('coded_items'))"
    " / count(DISTINCT generation_id) FROM list_texts"
)


def generation_megabytes(engine: Engine) -> float:
    """A generation's share of the disk."""
    with engine.connect() as connection:
        return float(connection.execute(GENERATION_BYTES).scalar_one()) / 1e6


def _seconds(call: Callable[[], None]) -> float:
    begin = perf_counter()
    call()
    return perf_counter() - begin


def _short(users: int) -> str:
    for unit, letter in ((1_000_000, "m"), (1_000, "k")):
        if users % unit == 0:
            return f"{users // unit}{letter}"
    return str(users)


def _row(system: str, metric: str, value: float, unit: str) -> Row:
    return {"system": system, "metric": metric, "value": round(value, 6), "unit": unit}
