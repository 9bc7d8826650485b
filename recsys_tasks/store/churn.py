"""How far lists are from those that are live: the share of a shopper's items that the live list does not hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Subquery, Table, func, literal_column, select
from sqlalchemy.orm import Session

from recsys_tasks.store.coded_tables import CODED_LISTS, item_ids, tables_of_lists
from recsys_tasks.store.tables import EARLIER_LISTS, Generation

# Drawn evenly over the shoppers: the mean of so many is within two points of the mean of all.
SHOPPERS = 2_000
# A handful of shoppers may well change all they have.
ENOUGH = 100
BATCH = 500

Items = list[str] | list[int]


@dataclass(frozen=True)
class Churn:
    """``against`` generation, over ``shoppers`` that have a list in both; ``share`` is None where they are too few."""

    against: int
    shoppers: int
    share: float | None

    def as_facts(self) -> dict[str, Any]:
        return {"against": self.against, "churn_shoppers": self.shoppers, "churn": self.share}


def churn(session: Session, new: Generation, live: Generation) -> Churn:
    """Compare two generations. Streams pairs of lists; what it holds does not grow with the shoppers."""
    total, shoppers = 0.0, 0
    for tonight, before in _pairs(session, new, live):
        # Of the shorter list: another top_k is no change of mind.
        total += 1 - len(set(before).intersection(tonight)) / max(min(len(before), len(tonight)), 1)
        shoppers += 1
    return Churn(live.id, shoppers, round(total / shoppers, 6) if shoppers >= ENOUGH else None)


def _pairs(session: Session, new: Generation, live: Generation) -> Iterator[tuple[Items, Items]]:
    """The items of both lists of each shopper drawn, tonight's first: codes where both have them, else ids."""
    tonight, before = _table(session, new), _table(session, live)
    query = _of_the_same(_drawn(tonight, new), (tonight, new), (before, live))
    pairs = session.execute(query, execution_options={"yield_per": BATCH})
    if tonight is before or tonight is not CODED_LISTS:
        return ((first, second) for first, second in pairs)
    ids = item_ids(session)
    return (([ids[code] for code in first], second) for first, second in pairs)


def _table(session: Session, generation: Generation) -> Table:
    """Where the lists of a generation stand: an earlier release may have loaded them."""
    for table in tables_of_lists(session.connection()):
        found = select(table.c.subject_id).where(table.c.generation_id == generation.id).limit(1)
        if session.scalar(found) is not None:
            return table
    return EARLIER_LISTS


def _drawn(lists: Table, new: Generation) -> Subquery:
    """Every n-th shopper of a generation, with the surface."""
    own = lists.c.subject_id, lists.c.surface
    mine = select(*own, _place(lists).label("place")).where(lists.c.generation_id == new.id).subquery()
    every = -(-max(new.users, 1) // SHOPPERS)
    return select(mine).where(mine.c.place % every == 0).subquery()


def _place(lists: Table) -> ColumnElement[int]:
    """SQLite numbers the lists of a generation as they come; to number them anew takes longer than all the rest."""
    if lists is CODED_LISTS:
        return literal_column("rowid", Integer)
    return func.row_number().over(order_by=(lists.c.subject_id, lists.c.surface))


def _of_the_same(drawn: Subquery, *both: tuple[Table, Generation]) -> Select[Any]:
    """The items of the shoppers drawn, in two generations."""
    query: Select[Any] = select().select_from(drawn)
    for lists, generation in both:
        mine = lists.alias()
        query = query.add_columns(mine.c.item_ids).join(
            mine,
            (mine.c.generation_id == generation.id)
            & (mine.c.subject_id == drawn.c.subject_id)
            & (mine.c.surface == drawn.c.surface),
        )
    return query
