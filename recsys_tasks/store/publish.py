"""Publish: load beside, audit, move the pointer, prune; one publisher at a time."""

import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import polars as pl
import psycopg
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import SQLAlchemyError

from recsys_tasks.addresses import scrubbed
from recsys_tasks.errors import Busy, PublishRefused, StoreUnavailable
from recsys_tasks.settings import StoreSettings
from recsys_tasks.store.audit import MEASURE, drift, measure_of
from recsys_tasks.store.churn import churn
from recsys_tasks.store.connect import answered, is_postgresql, reading, writing
from recsys_tasks.store.load import Candidate, load_generation
from recsys_tasks.store.pointer import locked_pointer, switch
from recsys_tasks.store.prune import prune
from recsys_tasks.store.tables import Generation, Live

log = logging.getLogger(__name__)

PUBLISH_LOCK = 7_309_450_002
WAIT_SECONDS = 120.0
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Published:
    """What a publish did; ``live`` is how it left the lists; ``why`` says why the pointer moved or did not."""

    generation: Generation
    switched: bool
    live: bool
    why: str


def publish(
    engine: Engine,
    candidate: Candidate,
    lists: Iterable[pl.DataFrame],
    settings: StoreSettings,
    *,
    known_items: pl.Series | None = None,
    offered_items: pl.Series | None = None,
    dry_run: bool = False,
    who: str = "publish",
) -> Published:
    """
    Make ``lists`` the live ones.

    The same lists (by ``lists_ref``) are not loaded twice, unless the items or the limits that they were audited
    against are others now: then they are loaded and audited anew before they go live. A dry run stops before the
    switch; so do the lists of a night older than the live one, and lists that somebody rolled back. Raises
    PublishRefused where the audit fails (the lists are kept for inspection), Busy where another publisher does not
    finish; the live lists are then untouched.
    """
    measure = measure_of(settings, known_items, offered_items)
    with alone(engine):
        generation = _already_loaded(engine, candidate)
        if generation is not None and _is_live(engine, generation):
            return Published(generation, switched=False, live=True, why="these lists are live already")
        if generation is None or generation.audit.get(MEASURE) != measure:
            before = generation
            generation = load_generation(engine, candidate, lists, settings, known_items, offered_items)
            _replaced(engine, before, generation)
        generation = _audited(engine, generation, settings)
        made_since = candidate.made_since
        published = _switched(engine, generation, dry_run=dry_run, who=who, made_since=made_since)
    _prune(engine, settings.keep_generations)
    return published


def _prune(engine: Engine, keep: int) -> None:
    """What was published stays published, whatever becomes of the old lists; the next publish tries again."""
    try:
        with alone(engine):
            prune(engine, keep)
    except (SQLAlchemyError, psycopg.Error, sqlite3.Error, StoreUnavailable, Busy) as error:
        reason = scrubbed(str(getattr(error, "orig", None) or error).strip(), engine.url)
        log.warning("old lists are not pruned now, the next publish tries again: %s", reason)


def _replaced(engine: Engine, before: Generation | None, anew: Generation) -> None:
    """The same lists as they were audited before cannot go live by a rollback that names them."""
    if before is None:
        return
    with writing(engine) as session:
        old = session.get_one(Generation, before.id)
        old.state, old.why = "refused", f"loaded and audited anew as generation {anew.id}"


def _switched(
    engine: Engine, generation: Generation, *, dry_run: bool, who: str, made_since: str | None
) -> Published:
    if dry_run:
        return Published(generation, switched=False, live=False, why="dry run")
    why = f"night {generation.night} published by run {generation.run_id}"
    hindrance = switch(engine, generation.id, who=who, why=why, made_since=made_since)
    if hindrance is not None:
        log.warning(
            "generation %d of night %s is not switched to: %s", generation.id, generation.night, hindrance
        )
        return Published(generation, switched=False, live=False, why=hindrance)
    log.info("generation %d of night %s is live", generation.id, generation.night)
    return Published(generation, switched=True, live=True, why=why)


def _already_loaded(engine: Engine, candidate: Candidate) -> Generation | None:
    if candidate.lists_ref is None:
        return None
    with reading(engine) as session:
        return session.scalar(
            select(Generation)
            .where(
                Generation.lists_ref == candidate.lists_ref,
                Generation.top_k == candidate.top_k,
                Generation.state == "ready",
            )
            .order_by(Generation.id.desc())
            .limit(1)
        )


def _is_live(engine: Engine, generation: Generation) -> bool:
    with reading(engine) as session:
        return session.get_one(Live, 1).generation_id == generation.id


def _audited(engine: Engine, generation: Generation, settings: StoreSettings) -> Generation:
    """The generation with all its figures; PublishRefused where it must not go live."""
    facts = _churn(engine, generation)
    with writing(engine) as session:
        _, live = locked_pointer(session)
        fresh = session.get_one(Generation, generation.id)
        fresh.audit = {**fresh.audit, **facts}
        found = fresh.why if fresh.state == "refused" else None
        # Lists that were rolled back do not go live here, and may yet be named in a rollback.
        if fresh.state == "ready" and fresh.rolled_back_at is None:
            found = drift(fresh, live, settings)
        if found is not None:
            fresh.state, fresh.why = "refused", found
    if found is not None:
        raise PublishRefused(
            f"lists of night {generation.night} (generation {generation.id}) are refused, what was live stays live: "
            f"{found}"
        )
    return fresh


def _churn(engine: Engine, generation: Generation) -> dict[str, Any]:
    """Against what is live; read without a lock, so that a rollback need not wait for it."""
    with reading(engine) as session:
        live = session.scalar(select(Generation).join(Live, Live.generation_id == Generation.id))
        if live is None or generation.audit.get("against") == live.id:
            return {}
        return churn(session, generation, live).as_facts()


@contextmanager
def alone(engine: Engine) -> Iterator[None]:
    """
    Hold the database's publish lock; it is freed with the connection, however the process dies.

    SQLite needs none: its transactions write one at a time. Raises Busy after WAIT_SECONDS.
    """
    if not is_postgresql(engine):
        yield
        return
    unlocked = engine.execution_options(isolation_level="AUTOCOMMIT")
    with answered(engine), unlocked.connect() as connection:
        deadline = time.monotonic() + WAIT_SECONDS
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": PUBLISH_LOCK}):
            if time.monotonic() > deadline:
                raise Busy("another run is publishing; wait for it or end it, then publish again")
            time.sleep(POLL_SECONDS)
        yield
