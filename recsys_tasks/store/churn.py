"""How far lists are from those that are live: the share of a shopper's items that the live list does not hold."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, func, select
from sqlalchemy.orm import Session

from recsys_tasks.store.tables import EARLIER_LISTS, LISTS, Generation

# Drawn evenly over the shoppers: the mean of so many is within two points of the mean of all.
SHOPPERS = 2_000
# A handful of shoppers may well change all they have.
ENOUGH = 100
BATCH = 500


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
    pairs = _pairs(new, live, _table(session, live))
    for tonight, before in session.execute(pairs, execution_options={"yield_per": BATCH}):
        # Of the shorter list: another top_k is no change of mind.
        total += 1 - len(set(before).intersection(tonight)) / max(min(len(before), len(tonight)), 1)
        shoppers += 1
    return Churn(live.id, shoppers, round(total / shoppers, 6) if shoppers >= ENOUGH else None)


def _table(session: Session, live: Generation) -> Table:
    """Where the live lists stand: an earlier release may have loaded them."""
    found = select(LISTS.c.subject_id).where(LISTS.c.generation_id == live.id).limit(1)
    return EARLIER_LISTS if session.scalar(found) is None else LISTS


def _pairs(new: Generation, live: Generation, live_lists: Table) -> Any:
    every = -(-max(new.users, 1) // SHOPPERS)
    place = func.row_number().over(order_by=(LISTS.c.subject_id, LISTS.c.surface)).label("place")
    numbered = (
        select(LISTS.c.subject_id, LISTS.c.surface, place).where(LISTS.c.generation_id == new.id).subquery()
    )
    tonight, before = LISTS.alias("tonight"), live_lists.alias("before")
    same = numbered.c.subject_id, numbered.c.surface
    return (
        select(tonight.c.item_ids, before.c.item_ids)
        .select_from(numbered)
        .join(tonight, (tonight.c.subject_id == same[0]) & (tonight.c.surface == same[1]))
        .join(before, (before.c.subject_id == same[0]) & (before.c.surface == same[1]))
        .where(numbered.c.place % every == 0, tonight.c.generation_id == new.id)
        .where(before.c.generation_id == live.id)
    )
