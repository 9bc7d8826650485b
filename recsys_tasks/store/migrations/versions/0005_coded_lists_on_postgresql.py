"""On PostgreSQL, the layout that SQLite has had since 0004: items, scores, sources and reasons are four bytes a place.

The lists of earlier releases stay where they are, and the view reads all of them: nothing is copied, and the previous
release reads and publishes on. A downgrade drops the lists that were loaded since; what was live before them is live again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Four bytes of items, sources and reasons are the code of a text, which is not looked up for a reader who does not ask.
# Four bytes of scores are a single-precision number: a sign, 8 bits of exponent, 23 of fraction. Powers of two in double
# precision are exact, and so is what becomes of them.
# The array of zeros only counts places: the planner expects ten of an array and a thousand of a series, and by a thousand
# in each of many partitions a lookup looks dear enough to be compiled, which takes longer than the lookup.
CODED = """
SELECT l.surface, l.subject_id AS user_id, p.rank::integer AS rank,
       (SELECT i.item_id FROM coded_items i WHERE i.code = substr(l.items, 4 * p.rank::integer - 3, 4)) AS item_id,
       (SELECT (CASE WHEN s.bits < 0 THEN -1 ELSE 1 END * CASE (s.bits >> 23) & 255
            WHEN 0 THEN (s.bits & 8388607) * 2::double precision ^ -149
            WHEN 255 THEN CASE s.bits & 8388607 WHEN 0 THEN 'Infinity'::double precision ELSE 'NaN' END
            ELSE (8388608 + (s.bits & 8388607)) * 2::double precision ^ (((s.bits >> 23) & 255) - 150) END)::real
        FROM (SELECT ('x' || encode(substr(l.scores, 4 * p.rank::integer - 3, 4), 'hex'))::bit(32)::integer AS bits
              OFFSET 0) s) AS score,
       (SELECT t.text FROM list_texts t WHERE t.generation_id = l.generation_id
        AND t.code = substr(l.sources, 4 * p.rank::integer - 3, 4)) AS source,
       (SELECT t.text FROM list_texts t WHERE t.generation_id = l.generation_id
        AND t.code = substr(l.reasons, 4 * p.rank::integer - 3, 4)) AS reason,
       g.night, g.model, g.run_id
FROM coded_lists l
JOIN generations g ON g.id = l.generation_id
CROSS JOIN LATERAL unnest(array_fill(0, ARRAY[octet_length(l.items) / 4])) WITH ORDINALITY AS p (zero, rank)
WHERE l.generation_id = (SELECT generation_id FROM live)
"""

# As migrations 0003 and 0001 made them.
PACKED = """
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

LISTS = """
SELECT l.surface, l.subject_id AS user_id, e.rank::integer AS rank, e.item_id, e.score, e.source, e.reason,
       g.night, g.model, g.run_id
FROM recommendation_lists l
JOIN generations g ON g.id = l.generation_id
CROSS JOIN LATERAL unnest(l.item_ids, l.scores, l.sources, l.reasons)
    WITH ORDINALITY AS e (item_id, score, source, reason, rank)
WHERE l.generation_id = (SELECT generation_id FROM live)
"""


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    op.create_table(
        "coded_lists",
        sa.Column("generation_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("subject_id", sa.Text, primary_key=True),
        sa.Column("surface", sa.Text, primary_key=True),
        sa.Column("items", sa.LargeBinary, nullable=False),
        sa.Column("scores", sa.LargeBinary, nullable=False),
        sa.Column("sources", sa.LargeBinary, nullable=False),
        sa.Column("reasons", sa.LargeBinary, nullable=False),
        postgresql_partition_by="LIST (generation_id)",
    )
    op.create_table(
        "coded_items",
        sa.Column("code", sa.LargeBinary, primary_key=True),
        sa.Column("item_id", sa.Text, nullable=False),
    )
    _replace_view(f"{CODED} UNION ALL {PACKED} UNION ALL {LISTS}")


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    _replace_view(f"{PACKED} UNION ALL {LISTS}")
    _give_way()
    op.drop_table("coded_items")
    op.drop_table("coded_lists")


def _give_way() -> None:
    """No generation without lists is live, or may go live."""
    coded = "(SELECT generation_id FROM coded_lists)"
    before = (
        "SELECT max(m.to_generation_id) FROM moves m JOIN generations g ON g.id = m.to_generation_id"
        f" WHERE g.state = 'ready' AND g.rolled_back_at IS NULL AND g.id NOT IN {coded}"
    )
    op.execute(f"UPDATE live SET generation_id = ({before}) WHERE generation_id IN {coded}")
    op.execute(f"UPDATE generations SET state = 'pruned' WHERE id IN {coded}")


def _replace_view(query: str) -> None:
    # In place: grants to readers outlive it.
    op.execute(f"CREATE OR REPLACE VIEW recommendations AS {query}")
