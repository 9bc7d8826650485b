"""
The tables of the serving database; rows of the small ones come back as these classes.

The lists themselves (``coded_tables``; here, as earlier releases kept them) are one row per (generation, shopper,
surface). Sources and reasons repeat: a list holds their codes, four bytes each, and a generation each text once.
"""

import json
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    REAL,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    false,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

Id = BigInteger().with_variant(Integer, "sqlite")
Facts = JSON().with_variant(JSONB, "postgresql")
Texts = ARRAY(Text).with_variant(JSON, "sqlite")
Scores = ARRAY(REAL).with_variant(JSON, "sqlite")


class Instant(TypeDecorator[datetime]):
    """An instant in UTC; SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class ItemIds(TypeDecorator[list[str]]):
    """
    Ids of a list, best first, in one text. PostgreSQL: each behind a character that none of them holds, so that the
    first character tells which. SQLite: JSON.
    """

    impl = Text
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> list[str] | None:
        if value is None:
            return None
        ids: list[str] = json.loads(value) if dialect.name == "sqlite" else value.split(value[0])[1:]
        return ids


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own convention
        str: Text,
        datetime: Instant,
        dict[str, Any]: Facts,
    }


class Generation(Base):
    """One load of lists. ``state``: ready (may go live), refused by the audit, pruned (its lists are gone)."""

    __tablename__ = "generations"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    night: Mapped[date]
    run_id: Mapped[str]
    model: Mapped[str]
    model_refs: Mapped[dict[str, Any]]
    lists_ref: Mapped[str | None]
    top_k: Mapped[int]
    rows: Mapped[int] = mapped_column(Id)
    users: Mapped[int] = mapped_column(Id)
    fallback_share: Mapped[float | None]
    state: Mapped[str]
    why: Mapped[str]
    audit: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    rolled_back_at: Mapped[datetime | None]
    """When somebody rolled away from these lists: they go live again only by being named."""
    rolled_back_why: Mapped[str | None]

    __table_args__ = (CheckConstraint("state IN ('ready', 'refused', 'pruned')", name="state"),)


class Live(Base):
    """The pointer: one row, made by the first migration. ``champion`` names what made the live lists."""

    __tablename__ = "live"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    generation_id: Mapped[int | None] = mapped_column(Id, ForeignKey("generations.id"))
    champion: Mapped[dict[str, Any]]
    moved_at: Mapped[datetime | None]
    moved_by: Mapped[str | None]
    why: Mapped[str | None]

    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)


class Move(Base):
    """Every move of the pointer."""

    __tablename__ = "moves"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    from_generation_id: Mapped[int | None] = mapped_column(Id, ForeignKey("generations.id"))
    to_generation_id: Mapped[int] = mapped_column(Id, ForeignKey("generations.id"))
    moved_at: Mapped[datetime]
    moved_by: Mapped[str]
    why: Mapped[str]


class Decision(Base):
    """What the gate decided on a night; ``refs`` name the challenger's artefacts, ``champion`` those it met."""

    __tablename__ = "gate_decisions"

    night: Mapped[date] = mapped_column(primary_key=True)
    accepted: Mapped[bool]
    refs: Mapped[dict[str, Any]]
    champion: Mapped[dict[str, Any]]
    metrics: Mapped[dict[str, Any]]
    why: Mapped[str]
    run_id: Mapped[str | None]
    decided_at: Mapped[datetime]
    generation_id: Mapped[int | None] = mapped_column(Id, ForeignKey("generations.id"))
    """The generation that went live under this decision."""
    revoked_at: Mapped[datetime | None]
    revoked_why: Mapped[str | None]
    awaits_live: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Another model of this night was rolled back: this one is the champion once its lists are live, not before."""


class Metric(Base):
    """One figure of a night: ``kind`` is gate or measure; low and high are its interval, where it has one."""

    __tablename__ = "metrics"

    night: Mapped[date] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    system: Mapped[str] = mapped_column(primary_key=True)
    slice: Mapped[str] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]


# What releases before migration 0004 (PostgreSQL: 0005) loaded.
PACKED_LISTS = Table(
    "packed_lists",
    Base.metadata,
    Column("generation_id", Id, primary_key=True, autoincrement=False),
    Column("subject_id", Text, primary_key=True),
    Column("surface", Text, primary_key=True),
    Column("item_ids", ItemIds, nullable=False),
    Column("scores", Scores, nullable=False),
    Column("sources", LargeBinary, nullable=False),
    Column("reasons", LargeBinary, nullable=False),
    postgresql_partition_by="LIST (generation_id)",
)

TEXTS = Table(
    "list_texts",
    Base.metadata,
    Column("generation_id", Id, primary_key=True, autoincrement=False),
    Column("code", LargeBinary, primary_key=True),
    Column("text", Text, nullable=False),
)

# What releases before migration 0003 loaded.
FIRST_LISTS = Table(
    "recommendation_lists",
    Base.metadata,
    Column("generation_id", Id, primary_key=True, autoincrement=False),
    Column("subject_id", Text, primary_key=True),
    Column("surface", Text, primary_key=True),
    Column("item_ids", Texts, nullable=False),
    Column("scores", Scores, nullable=False),
    Column("sources", Texts, nullable=False),
    Column("reasons", Texts, nullable=False),
    postgresql_partition_by="LIST (generation_id)",
)

Index("ix_generations_night", Generation.night)
