"""Note when somebody last proved who they are, and let them sign in by a link.

Runs beside: workers of 0032; sessions that they open are never fresh, and they give no links.
"""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Go forward."""
    op.add_column("sessions", sa.Column("proven_at", INSTANT, nullable=True))
    op.add_column("users", sa.Column("sign_in_token", sa.String(length=128), nullable=True))
    op.add_column("users", sa.Column("sign_in_expires", INSTANT, nullable=True))


def downgrade() -> None:
    """Go back."""
    op.drop_column("users", "sign_in_expires")
    op.drop_column("users", "sign_in_token")
    op.drop_column("sessions", "proven_at")
