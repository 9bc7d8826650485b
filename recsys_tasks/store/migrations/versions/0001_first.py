"""Generations, lists, the live pointer, decisions, metrics and the view that shops read."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
FACTS = sa.JSON().with_variant(postgresql.JSONB, "postgresql")
TEXTS = sa.ARRAY(sa.Text).with_variant(sa.JSON, "sqlite")
SCORES = sa.ARRAY(sa.REAL).with_variant(sa.JSON, "sqlite")
INSTANT = sa.DateTime(timezone=True)

# A subquery, not a join: it is known before the scan starts, so the other generations' partitions are not touched.
POSTGRESQL_VIEW = """
CREATE VIEW recommendations AS
SELECT l.surface, l.subject_id AS user_id, e.rank::integer AS rank, e.item_id, e.score, e.source, e.reason,
       g.night, g.model, g.run_id
FROM recommendation_lists l
JOIN generations g ON g.id = l.generation_id
CROSS JOIN LATERAL unnest(l.item_ids, l.scores, l.sources, l.reasons)
    WITH ORDINALITY AS e (item_id, score, source, reason, rank)
WHERE l.generation_id = (SELECT generation_id FROM live)
"""

SQLITE_VIEW = """
CREATE VIEW recommendations AS
SELECT l.surface, l.subject_id AS user_id, e.key + 1 AS rank, e.value AS item_id,
       json_extract(l.scores, '$[' || e.key || ']') AS score,
       json_extract(l.sources, '$[' || e.key || ']') AS source,
       json_extract(l.reasons, '$[' || e.key || ']') AS reason,
       g.night, g.model, g.run_id
FROM recommendation_lists l
JOIN generations g ON g.id = l.generation_id
JOIN json_each(l.item_ids) e
WHERE l.generation_id = (SELECT generation_id FROM live)
"""


def upgrade() -> None:
    _generations()
    _lists()
    _pointer()
    _decisions()
    _metrics()
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    op.execute(POSTGRESQL_VIEW if is_postgresql else SQLITE_VIEW)


def downgrade() -> None:
    op.execute("DROP VIEW recommendations")
    for table in ("metrics", "gate_decisions", "moves", "live", "recommendation_lists", "generations"):
        op.drop_table(table)


def _generations() -> None:
    op.create_table(
        "generations",
        sa.Column("id", ID, primary_key=True),
        sa.Column("night", sa.Date, nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("model_refs", FACTS, nullable=False),
        sa.Column("lists_ref", sa.Text),
        sa.Column("top_k", sa.Integer, nullable=False),
        sa.Column("rows", ID, nullable=False),
        sa.Column("users", ID, nullable=False),
        sa.Column("fallback_share", sa.Double),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("audit", FACTS, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.CheckConstraint("state IN ('ready', 'refused', 'pruned')", name="state"),
    )
    op.create_index("ix_generations_night", "generations", ["night"])


def _lists() -> None:
    op.create_table(
        "recommendation_lists",
        sa.Column("generation_id", ID, primary_key=True, autoincrement=False),
        sa.Column("subject_id", sa.Text, primary_key=True),
        sa.Column("surface", sa.Text, primary_key=True),
        sa.Column("item_ids", TEXTS, nullable=False),
        sa.Column("scores", SCORES, nullable=False),
        sa.Column("sources", TEXTS, nullable=False),
        sa.Column("reasons", TEXTS, nullable=False),
        postgresql_partition_by="LIST (generation_id)",
    )


def _pointer() -> None:
    live = op.create_table(
        "live",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("generation_id", ID, sa.ForeignKey("generations.id")),
        sa.Column("champion", FACTS, nullable=False),
        sa.Column("moved_at", INSTANT),
        sa.Column("moved_by", sa.Text),
        sa.Column("why", sa.Text),
        sa.CheckConstraint("id = 1", name="one_row"),
    )
    op.bulk_insert(live, [{"id": 1, "champion": {}}])
    op.create_table(
        "moves",
        sa.Column("id", ID, primary_key=True),
        sa.Column("from_generation_id", ID, sa.ForeignKey("generations.id")),
        sa.Column("to_generation_id", ID, sa.ForeignKey("generations.id"), nullable=False),
        sa.Column("moved_at", INSTANT, nullable=False),
        sa.Column("moved_by", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
    )


def _decisions() -> None:
    op.create_table(
        "gate_decisions",
        sa.Column("night", sa.Date, primary_key=True),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("refs", FACTS, nullable=False),
        sa.Column("champion", FACTS, nullable=False),
        sa.Column("metrics", FACTS, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("decided_at", INSTANT, nullable=False),
        sa.Column("generation_id", ID, sa.ForeignKey("generations.id")),
        sa.Column("revoked_at", INSTANT),
        sa.Column("revoked_why", sa.Text),
    )


def _metrics() -> None:
    op.create_table(
        "metrics",
        sa.Column("night", sa.Date, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("slice", sa.Text, primary_key=True),
        sa.Column("metric", sa.Text, primary_key=True),
        sa.Column("value", sa.Double),
        sa.Column("low", sa.Double),
        sa.Column("high", sa.Double),
    )
