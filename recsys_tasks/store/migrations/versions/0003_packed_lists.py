"""Lists in fewer bytes: ids in one text, sources and reasons as codes of texts that are kept once a generation.

The lists of earlier releases stay where they are, and the view reads both: nothing is copied, and the previous release
reads and publishes on. A downgrade drops the lists that were loaded since; what was live before them is live again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
SCORES = sa.ARRAY(sa.REAL).with_variant(sa.JSON, "sqlite")

# The first character of item_ids stands before every id; four bytes of sources and of reasons are the code of a text.
# Texts are looked up row by row, whatever the planner believes of their number, and not at all for a reader who does
# not ask for them.
POSTGRESQL_PACKED = """
SELECT l.surface, l.subject_id AS user_id, e.rank::integer AS rank, e.item_id, e.score,
       (SELECT t.text FROM list_texts t WHERE t.generation_id = l.generation_id
        AND t.code = substr(l.sources, 4 * e.rank::integer - 3, 4)) AS source,
       (SELECT t.text FROM list_texts t WHERE t.generation_id = l.generation_id
        AND t.code = substr(l.reasons, 4 * e.rank::integer - 3, 4)) AS reason,
       g.night, g.model, g.run_id
FROM packed_lists l
JOIN generations g ON g.id = l.generation_id
CROSS JOIN LATERAL unnest((string_to_array(l.item_ids, left(l.item_ids, 1)))[2:], l.scores)
    WITH ORDINALITY AS e (item_id, score, rank)
WHERE l.generation_id = (SELECT generation_id FROM live)
"""

SQLITE_PACKED = """
SELECT l.surface, l.subject_id AS user_id, e.key + 1 AS rank, e.value AS item_id,
       json_extract(l.scores, '$[' || e.key || ']') AS score,
       (SELECT t.text FROM list_texts t WHERE t.generation_id = l.generation_id
        AND t.code = substr(l.sources, 4 * e.key + 1, 4)) AS source,
       (SELECT t.text FROM list_texts t WHERE t.generation_id = l.generation_id
        AND t.code = substr(l.reasons, 4 * e.key + 1, 4)) AS reason,
       g.night, g.model, g.run_id
FROM packed_lists l
JOIN generations g ON g.id = l.generation_id
JOIN json_each(l.item_ids) e
WHERE l.generation_id = (SELECT generation_id FROM live)
"""

# As the first migration made them.
POSTGRESQL_LISTS = """
SELECT l.surface, l.subject_id AS user_id, e.rank::integer AS rank, e.item_id, e.score, e.source, e.reason,
       g.night, g.model, g.run_id
FROM recommendation_lists l
JOIN generations g ON g.id = l.generation_id
CROSS JOIN LATERAL unnest(l.item_ids, l.scores, l.sources, l.reasons)
    WITH ORDINALITY AS e (item_id, score, source, reason, rank)
WHERE l.generation_id = (SELECT generation_id FROM live)
"""

SQLITE_LISTS = """
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
    op.create_table(
        "packed_lists",
        sa.Column("generation_id", ID, primary_key=True, autoincrement=False),
        sa.Column("subject_id", sa.Text, primary_key=True),
        sa.Column("surface", sa.Text, primary_key=True),
        sa.Column("item_ids", sa.Text, nullable=False),
        sa.Column("scores", SCORES, nullable=False),
        sa.Column("sources", sa.LargeBinary, nullable=False),
        sa.Column("reasons", sa.LargeBinary, nullable=False),
        postgresql_partition_by="LIST (generation_id)",
    )
    op.create_table(
        "list_texts",
        sa.Column("generation_id", ID, primary_key=True, autoincrement=False),
        sa.Column("code", sa.LargeBinary, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        _replace_view(f"{POSTGRESQL_PACKED} UNION ALL {POSTGRESQL_LISTS}")
    else:
        _replace_view(f"{SQLITE_PACKED} UNION ALL {SQLITE_LISTS}")


def downgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    _replace_view(POSTGRESQL_LISTS if is_postgresql else SQLITE_LISTS)
    _give_way()
    op.drop_table("list_texts")
    op.drop_table("packed_lists")


def _give_way() -> None:
    """No generation without lists is live, or may go live."""
    packed = "(SELECT generation_id FROM packed_lists)"
    before = (
        "SELECT max(m.to_generation_id) FROM moves m JOIN generations g ON g.id = m.to_generation_id"
        f" WHERE g.state = 'ready' AND g.rolled_back_at IS NULL AND g.id NOT IN {packed}"
    )
    op.execute(f"UPDATE live SET generation_id = ({before}) WHERE generation_id IN {packed}")
    op.execute(f"UPDATE generations SET state = 'pruned' WHERE id IN {packed}")


def _replace_view(query: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        # In place: grants to readers outlive it.
        op.execute(f"CREATE OR REPLACE VIEW recommendations AS {query}")
    else:
        op.execute("DROP VIEW recommendations")
        op.execute(f"CREATE VIEW recommendations AS {query}")
