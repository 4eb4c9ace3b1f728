"""Find members who are stuck in a journey by an index.

Runs beside: workers of 0011; they do not ask for it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STUCK = sa.text("status = 'stuck'")


def upgrade() -> None:
    """Go forward."""
    op.create_index(
        "ix_enrolments_stuck",
        "enrolments",
        ["journey_id"],
        sqlite_where=STUCK,
        postgresql_where=STUCK,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_enrolments_stuck", "enrolments")
