"""
Rows from any database SQLAlchemy can reach, streamed.

``:start`` and ``:end`` are bound, never pasted (for PostgreSQL's COPY, which takes no parameters, the driver writes the
two instants as literals). What they are bound to depends on the database: PostgreSQL gets
instants and reads timestamps without zone in the source's ``time_zone``; SQLite, which stores text, gets
``YYYY-MM-DD HH:MM:SS`` in that zone (UTC by default), so its column must be text of that form; others get a datetime
without zone, in that zone.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import psycopg
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from recsys_tasks.addresses import scrubbed, url_from_environment
from recsys_tasks.errors import SchemaMismatch, SettingsError, SourceError
from recsys_tasks.extract import postgres
from recsys_tasks.extract.columns import key_of, place_of, require_columns
from recsys_tasks.settings import SourceSettings

BATCH_ROWS = 50_000
BOUND = re.compile(r"(?<![:\w]):(start|end)\b")


def read_sql(source: SourceSettings, start: datetime | None, end: datetime | None) -> pl.DataFrame:
    """What the source's query gives between two instants."""
    url = _url(source)
    try:
        engine = create_engine(url, poolclass=NullPool)
        with engine.connect() as connection:
            _speak_zone(connection, source.time_zone)
            frame = _fetched(connection, source, start, end)
    except ImportError as error:
        raise SettingsError(
            f"{key_of(source)}.url: the driver of {url.drivername} is not installed: {error}"
        ) from None
    except NoSuchModuleError:
        raise SettingsError(
            f"{key_of(source)}.url: {url.drivername} is no database that SQLAlchemy knows; "
            "correct the part before :// or install its dialect"
        ) from None
    except (SQLAlchemyError, psycopg.Error) as error:
        raise SourceError(f"{place_of(source)}: {_without_secret(error, url)}") from None
    require_columns(source, frame.columns)
    return frame


def _url(source: SourceSettings) -> URL:
    address = source.url or ""
    if address.startswith("sqlite:///"):
        return _existing(make_url(address))
    return _existing(url_from_environment(f"{key_of(source)}.url", address, "the database's URL"))


def _existing(url: URL) -> URL:
    """SQLite makes an empty database of a path that does not exist; a source must be there."""
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).is_file():
        raise SourceError(f"no such database file: {url.database}")
    return url


def _speak_zone(connection: Connection, zone: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT set_config('TimeZone', :zone, false)"), {"zone": zone})


def _fetched(
    connection: Connection, source: SourceSettings, start: datetime | None, end: datetime | None
) -> pl.DataFrame:
    query = source.query or ""
    instants = {"start": start, "end": end}
    bound = {name: _bound(connection, instants[name], source) for name in set(BOUND.findall(query))}
    if connection.dialect.name == "postgresql" and connection.dialect.driver == "psycopg":
        driver: Any = connection.connection.driver_connection
        frame = postgres.copied(driver, postgres.bound(query, BOUND, bound))
        if frame is not None:
            return frame
        connection.rollback()
        _speak_zone(connection, source.time_zone)
    with connection.execution_options(stream_results=True).execute(text(query), bound) as result:
        names = list(result.keys())
        if len(set(names)) < len(names):
            raise SchemaMismatch(f"{place_of(source)} gives two columns of one name: {', '.join(names)}")
        return _stacked(names, (_batch(names, rows) for rows in result.partitions(BATCH_ROWS)))


def _bound(connection: Connection, instant: datetime | None, source: SourceSettings) -> Any:
    if instant is None:
        raise SettingsError(f"{key_of(source)}.query: :start and :end have no meaning here; leave them out")
    local = instant.astimezone(ZoneInfo(source.time_zone))
    if connection.dialect.name == "sqlite":
        return local.strftime("%Y-%m-%d %H:%M:%S")
    return instant if connection.dialect.name == "postgresql" else local.replace(tzinfo=None)


def _batch(names: list[str], rows: Any) -> pl.DataFrame:
    return pl.DataFrame(
        [_column(name, list(values)) for name, values in zip(names, zip(*rows, strict=True), strict=True)]
    )


def _column(name: str, values: list[Any]) -> pl.Series:
    """Values as the driver gave them; a column of mixed types becomes text, and so do types Polars has not."""
    series = pl.Series(name, values, strict=False)
    if series.dtype == pl.Object:
        return pl.Series(name, [None if value is None else str(value) for value in values], pl.String)
    return series


def _stacked(names: list[str], batches: Iterator[pl.DataFrame]) -> pl.DataFrame:
    parts = list(batches)
    if not parts:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.Null()))
    texts = [name for name in names if any(part.schema[name] == pl.String for part in parts)]
    return pl.concat([part.cast(dict.fromkeys(texts, pl.String())) for part in parts], how="vertical_relaxed")


def _without_secret(error: Exception, url: URL) -> str:
    return scrubbed(str(getattr(error, "orig", None) or error).strip(), url)
