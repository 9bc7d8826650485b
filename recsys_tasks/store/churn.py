"""How far lists are from those that are live: the share of a shopper's items that the live list does not hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Subquery, Table, func, literal_column, select
from sqlalchemy.orm import Session

from recsys_tasks.store.coded_tables import CODED_LISTS, LISTS, item_ids
from recsys_tasks.store.connect import is_postgresql
from recsys_tasks.store.tables import FIRST_LISTS, Generation

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
    """The items of both lists of each shopper drawn, tonight's first: codes of one layout, else ids."""
    tonight, before = _table(session, new), _table(session, live)
    numbered = tonight is CODED_LISTS and not is_postgresql(session.connection())
    query = _of_the_same(_drawn(tonight, new, numbered), (tonight, new), (before, live))
    pairs = session.execute(query, execution_options={"yield_per": BATCH})
    if tonight is before:
        return ((first, second) for first, second in pairs)
    ids = item_ids(session.connection())
    return ((_named(first, tonight, ids), _named(second, before, ids)) for first, second in pairs)


def _named(items: Items, lists: Table, ids: list[str]) -> Items:
    return [ids[int(code)] for code in items] if lists is CODED_LISTS else items


def _table(session: Session, generation: Generation) -> Table:
    """Where the lists of a generation stand: an earlier release may have loaded them."""
    for table in LISTS:
        found = select(table.c.subject_id).where(table.c.generation_id == generation.id).limit(1)
        if session.scalar(found) is not None:
            return table
    return FIRST_LISTS


def _drawn(lists: Table, new: Generation, numbered: bool) -> Subquery:
    """Every n-th shopper of a generation, with the surface; ``numbered`` where rows have the numbers they came by."""
    own = lists.c.subject_id, lists.c.surface
    mine = (
        select(*own, _place(lists, numbered).label("place")).where(lists.c.generation_id == new.id).subquery()
    )
    every = -(-max(new.users, 1) // SHOPPERS)
    return select(mine).where(mine.c.place % every == 0).subquery()


def _place(lists: Table, numbered: bool) -> ColumnElement[int]:
    if numbered:  # as by SQLite, where to number them anew takes longer than all the rest
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
