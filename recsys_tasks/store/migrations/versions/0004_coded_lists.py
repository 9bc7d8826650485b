"""On SQLite, lists in half the bytes: items and scores are four bytes a place, as sources and reasons are.

PostgreSQL keeps its layout. The lists of earlier releases stay where they are, and the view reads all of them; a
downgrade drops the lists that were loaded since, and what was live before them is live again.
"""

from collections.abc import Iterator

import numpy as np
import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# Four bytes of items, sources and reasons are the code of a text. Four bytes of scores are a single-precision number:
# its first two tell where the numbers that begin so begin, and how far they are apart; its last two count the steps.
CODED = """
SELECT l.surface, l.subject_id AS user_id, p.number + 1 AS rank,
       (SELECT i.item_id FROM coded_items i WHERE i.code = substr(l.items, 4 * p.number + 1, 4)) AS item_id,
       (SELECT first.float_from + first.float_step * last.number FROM coded_numbers first, coded_numbers last
        WHERE first.bytes = substr(l.scores, 4 * p.number + 1, 2)
        AND last.bytes = substr(l.scores, 4 * p.number + 3, 2)) AS score,
       (SELECT t.text FROM list_texts t WHERE t.generation_id = l.generation_id
        AND t.code = substr(l.sources, 4 * p.number + 1, 4)) AS source,
       (SELECT t.text FROM list_texts t WHERE t.generation_id = l.generation_id
        AND t.code = substr(l.reasons, 4 * p.number + 1, 4)) AS reason,
       g.night, g.model, g.run_id
FROM coded_lists l
JOIN generations g ON g.id = l.generation_id
CROSS JOIN coded_numbers p ON p.number < length(l.items) / 4
WHERE l.generation_id = (SELECT generation_id FROM live)
"""

# As migrations 0003 and 0001 made them.
PACKED = """
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

LISTS = """
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
    if op.get_bind().dialect.name == "postgresql":
        return
    op.create_table(
        "coded_lists",
        sa.Column("generation_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("subject_id", sa.Text, primary_key=True),
        sa.Column("surface", sa.Text, primary_key=True),
        sa.Column("items", sa.LargeBinary, nullable=False),
        sa.Column("scores", sa.LargeBinary, nullable=False),
        sa.Column("sources", sa.LargeBinary, nullable=False),
        sa.Column("reasons", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "coded_items",
        sa.Column("code", sa.LargeBinary, primary_key=True),
        sa.Column("item_id", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    _make_numbers()
    _replace_view(f"{CODED} UNION ALL {PACKED} UNION ALL {LISTS}")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        return
    _replace_view(f"{PACKED} UNION ALL {LISTS}")
    _give_way()
    for table in ("coded_numbers", "coded_items", "coded_lists"):
        op.drop_table(table)


def _make_numbers() -> None:
    op.create_table(
        "coded_numbers",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("bytes", sa.LargeBinary, nullable=False),
        sa.Column("float_from", sa.REAL),
        sa.Column("float_step", sa.REAL),
        sa.UniqueConstraint("bytes"),
    )
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    driver.executemany("INSERT INTO coded_numbers VALUES (?, ?, ?, ?)", _numbers())


def _numbers() -> Iterator[tuple[int, bytes, float, float]]:
    """Every number of two bytes. What is no number becomes NULL; so does any sum with it, and infinity has no step."""
    first = np.arange(2**16, dtype=np.uint32) << 16
    with np.errstate(invalid="ignore"):
        begins, seconds = (bits.view(np.float32).astype(float) for bits in (first, first + 1))
        steps = seconds - begins
    two_bytes = (first >> 16).astype(">u2").view("V2")
    return zip(range(2**16), two_bytes.tolist(), begins.tolist(), steps.tolist(), strict=True)


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
    op.execute("DROP VIEW recommendations")
    op.execute(f"CREATE VIEW recommendations AS {query}")
