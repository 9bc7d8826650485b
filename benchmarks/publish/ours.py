"""The product's own publish, rollback and read; each function may run in a process of its own."""

from statistics import median
from time import perf_counter

import numpy as np
import psycopg
from sqlalchemy import make_url, select

from benchmarks.publish.shop import candidate, catalogue, shards, user_id
from recsys_tasks.settings import StoreSettings
from recsys_tasks.store.connect import engine_for
from recsys_tasks.store.prune import prune
from recsys_tasks.store.store import Store
from recsys_tasks.store.view import RECOMMENDATIONS

KEEP = StoreSettings(keep_generations=2)
ALL = StoreSettings(keep_generations=1_000)
READ = (
    "SELECT rank, item_id, score, source, reason FROM recommendations"
    " WHERE user_id = %s AND surface = 'for_you' ORDER BY rank"
)


def store_at(url: str) -> Store:
    store = Store(engine_for(make_url(url)))
    store.migrate()
    return store


def publish_night(store: Store, users: int, top_k: int, night: int) -> None:
    """Stream a night's lists into the store: load, index, audit, switch, prune."""
    published = store.publish(
        candidate(night, top_k), shards(users, top_k, night), KEEP, known_items=catalogue()
    )
    assert published.switched


def publish_seconds(store: Store, users: int, top_k: int, night: int) -> float:
    """
    Seconds until readers see a night's lists: load, index, audit, switch.

    The lists are in memory before the clock starts, as the rows of the others are. Old lists are dropped when it has
    stopped: readers do not wait for that, and the others drop nothing.
    """
    made, known = list(shards(users, top_k, night)), catalogue()
    begin = perf_counter()
    published = store.publish(candidate(night, top_k), made, ALL, known_items=known)
    seconds = perf_counter() - begin
    assert published.switched
    prune(store.engine, KEEP.keep_generations)
    return seconds


def stream_night(url: str, users: int, top_k: int, night: int) -> None:
    """For the peak of memory: a process that does nothing else."""
    publish_night(store_at(url), users, top_k, night)


def rollback_seconds(store: Store, times: int = 5) -> float:
    """To the generation before and forth again; the median of all moves."""
    there = store.live()
    assert there is not None
    taken = []
    for _ in range(times):
        for to in (None, there.id):
            begin = perf_counter()
            store.rollback(to, why="to be timed", who="benchmark")
            taken.append(perf_counter() - begin)
    return median(taken)


def read_milliseconds(url: str, users: int, reads: int) -> tuple[list[float], list[float]]:
    """Lists of shoppers drawn by seed, on one open connection: by psycopg, and by SQLAlchemy's select."""
    asked = [user_id(int(n)) for n in np.random.default_rng(1).integers(0, users, reads)]
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as connection:
        by_sql = [_timed(lambda user=user: connection.execute(READ, [user]).fetchall()) for user in asked]
    query = select(RECOMMENDATIONS).order_by(RECOMMENDATIONS.c.rank)
    query = query.where(RECOMMENDATIONS.c.surface == "for_you")
    with engine_for(make_url(url)).connect() as connection:
        by_core = [
            _timed(lambda user=user: connection.execute(query.where(RECOMMENDATIONS.c.user_id == user)).all())
            for user in asked
        ]
    return by_sql, by_core


def _timed(call) -> float:
    begin = perf_counter()
    assert call()
    return (perf_counter() - begin) * 1000
