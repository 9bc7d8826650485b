"""The view that shops read: one row per (surface, user_id, rank) of the live generation."""

from dataclasses import dataclass
from datetime import date

from sqlalchemy import REAL, Column, Date, Engine, Integer, MetaData, Table, Text, select

from recsys_tasks.store.connect import reading

RECOMMENDATIONS = Table(
    "recommendations",
    MetaData(),  # its own: migrations make it, autogenerate must not
    Column("surface", Text),
    Column("user_id", Text),
    Column("rank", Integer),
    Column("item_id", Text),
    Column("score", REAL),
    Column("source", Text),
    Column("reason", Text),
    Column("night", Date),
    Column("model", Text),
    Column("run_id", Text),
)


@dataclass(frozen=True)
class Recommendation:
    """One row of the view."""

    surface: str
    user_id: str
    rank: int
    item_id: str
    score: float
    source: str
    reason: str
    night: date
    model: str
    run_id: str


def user_list(engine: Engine, user_id: str, surface: str) -> list[Recommendation]:
    """A shopper's live list, best first; empty for a shopper without one."""
    mine = RECOMMENDATIONS.c.user_id == user_id, RECOMMENDATIONS.c.surface == surface
    with reading(engine) as session:
        rows = session.execute(select(RECOMMENDATIONS).where(*mine).order_by(RECOMMENDATIONS.c.rank))
        return [Recommendation(*row) for row in rows]
