"""
Load a generation of lists beside the live one, in one transaction: it is there whole or not at all.

Lists stream through, some made ready while the ones before are written: memory does not grow with the shoppers.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import psycopg
from psycopg.errors import UniqueViolation
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from recsys_tasks.errors import Busy, PublishRefused, RecsysError
from recsys_tasks.settings import StoreSettings
from recsys_tasks.store.audit import MEASURE, fault, measure_of
from recsys_tasks.store.coded_tables import CODED_ITEMS
from recsys_tasks.store.connect import writing
from recsys_tasks.store.figures import Figures, Offer
from recsys_tasks.store.fill import Filling, fill
from recsys_tasks.store.tables import Generation


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What is known of lists before they are loaded."""

    night: date
    run_id: str
    model: str
    top_k: int
    model_refs: dict[str, Any] = field(default_factory=dict)
    """The artefacts of the model that made the lists: what becomes the champion's when they go live."""
    lists_ref: str | None = None
    """The artefact that holds the lists: a retry with the same one loads nothing again."""
    surface: str = "for_you"
    fallback_share: float | None = None
    made_since: str | None = None
    """Lists of the same night that another run made after these: where they are live, they stay."""


def load_generation(
    engine: Engine,
    candidate: Candidate,
    lists: Iterable[pl.DataFrame],
    settings: StoreSettings,
    known_items: pl.Series | None = None,
    offered_items: pl.Series | None = None,
) -> Generation:
    """
    Load and audit ``lists`` (shards of the Recommendations contract; a shopper's rows stand in one shard).

    ``known_items`` is the night's catalogue, ``offered_items`` what of it may be recommended (all, where not given).
    Lists with a fault stay for inspection, in state ``refused``. Raises SchemaMismatch or DataError where they
    cannot be stored at all; then nothing is.
    """
    offer = None if known_items is None else Offer.of(known_items, offered_items)
    figures = Figures(candidate.top_k, offer)
    try:
        with writing(engine) as session:
            generation = _new_row(session, candidate)
            filling = Filling(generation.id, candidate.surface, iter(lists), figures.add)
            fill(session.connection(), filling)
            _judge(generation, figures, settings)
            measure = measure_of(settings, known_items, offered_items)
            generation.audit = {**generation.audit, MEASURE: measure}
    except (IntegrityError, UniqueViolation, sqlite3.IntegrityError) as error:
        raise _explained(error, candidate.night) from None
    return generation


def _explained(error: Exception, night: date) -> RecsysError:
    """What a key that was there already means."""
    cause = error.orig if isinstance(error, IntegrityError) else error
    if isinstance(cause, psycopg.Error):
        given_already = cause.diag.constraint_name == CODED_ITEMS.primary_key.name
    else:
        given_already = CODED_ITEMS.name in str(cause)
    if given_already:
        return Busy(
            f"lists of night {night}: another run loaded lists meanwhile; nothing was loaded; publish again"
        )
    return PublishRefused(
        f"lists of night {night}: a shopper has two lists; nothing was loaded; "
        "run the night again from recommend"
    )


def _new_row(session: Session, candidate: Candidate) -> Generation:
    before = _loaded_before(session, candidate)
    generation = Generation(
        night=candidate.night,
        run_id=candidate.run_id,
        model=candidate.model,
        model_refs=candidate.model_refs,
        lists_ref=candidate.lists_ref,
        top_k=candidate.top_k,
        fallback_share=candidate.fallback_share,
        rows=0,
        users=0,
        state="ready",
        why="",
        audit={},
        created_at=datetime.now(UTC),
        # The same lists again are what somebody rolled away from, even where the first load is pruned.
        rolled_back_at=None if before is None else before.rolled_back_at,
        rolled_back_why=None if before is None else before.rolled_back_why,
    )
    session.add(generation)
    session.flush()
    return generation


def _loaded_before(session: Session, candidate: Candidate) -> Generation | None:
    """The newest load of the same lists, whatever became of it."""
    if candidate.lists_ref is None:
        return None
    same = select(Generation).where(Generation.lists_ref == candidate.lists_ref)
    return session.scalar(same.order_by(Generation.id.desc()).limit(1))


def _judge(generation: Generation, figures: Figures, settings: StoreSettings) -> None:
    generation.rows, generation.users, generation.audit = figures.rows, figures.users, figures.as_facts()
    found = fault(figures, settings)
    if found is not None:
        generation.state, generation.why = "refused", found
