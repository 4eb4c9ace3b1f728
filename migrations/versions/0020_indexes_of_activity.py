"""Find what somebody did or had done to them, and a client's orders of some months, by index.

Runs beside: workers of 0019. Takes some seconds for a million rows, in which nobody writes the audit
log and orders on PostgreSQL.
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

INDEXES = (
    ("audit_log", "actor", "id"),
    ("audit_log", "target", "id"),
    ("orders", "client_id", "occurred_at"),
)


def upgrade() -> None:
    """Go forward."""
    for table, *columns in INDEXES:
        op.create_index("_".join(("ix", table, *columns)), table, columns)


def downgrade() -> None:
    """Go back."""
    for table, *columns in INDEXES:
        op.drop_index("_".join(("ix", table, *columns)), table)
