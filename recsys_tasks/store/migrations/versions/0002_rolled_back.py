"""A generation, and a night's decision, remember that somebody rolled away from them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("generations", sa.Column("rolled_back_at", sa.DateTime(timezone=True)))
    op.add_column("generations", sa.Column("rolled_back_why", sa.Text))
    awaits_live = sa.Column("awaits_live", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("gate_decisions", awaits_live)


def downgrade() -> None:
    op.drop_column("gate_decisions", "awaits_live")
    op.drop_column("generations", "rolled_back_why")
    op.drop_column("generations", "rolled_back_at")
