"""Say of imports, bulk edits and exports when they began, and why a bulk edit failed.

An import says who asked for it, an export of a whole client until when its worker is believed alive.

Runs beside: workers of 0030, which leave all of it empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go forward."""
    for table in ("imports", "bulk_edits", "exports"):
        op.add_column(table, sa.Column("started_at", INSTANT, nullable=True))
    op.add_column("imports", sa.Column("actor", sa.String(length=100), nullable=True))
    op.add_column("bulk_edits", sa.Column("error", sa.String(length=300), nullable=True))
    op.add_column("exports", sa.Column("leased_until", INSTANT, nullable=True))


def downgrade() -> None:
    """Go back."""
    op.drop_column("exports", "leased_until")
    op.drop_column("bulk_edits", "error")
    op.drop_column("imports", "actor")
    for table in ("imports", "bulk_edits", "exports"):
        op.drop_column(table, "started_at")
