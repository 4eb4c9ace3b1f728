"""Count nothing where a message goes from queued to being sent: both are one count.

Runs beside: workers of 0037.
"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

OLD = """status, sent_at, read_at, clicked_at, replied_at, cost, segments,
        created_at"""
NEW = """CASE status WHEN 'sending' THEN 'queued' ELSE status END, sent_at,
        read_at, clicked_at, replied_at, cost, segments, created_at"""
FUNCTION = "SELECT pg_get_functiondef('message_days_count()'::regprocedure)"


def upgrade() -> None:
    """Go forward."""
    _replace(OLD, NEW)


def downgrade() -> None:
    """Go back."""
    _replace(NEW, OLD)


def _replace(old: str, new: str) -> None:
    bind = op.get_bind()
    if bind.dialect.name == "postgresql":
        function: str = bind.scalar(sa.text(FUNCTION))
        bind.exec_driver_sql(function.replace(f"reason, {old}", f"reason, {new}"))
