"""Remember of a paused journey that it was draining.

Runs beside: workers of 0022; a journey that they pause takes people again when it goes on.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column("journeys", sa.Column("drains", sa.Boolean(), nullable=True))


def downgrade() -> None:
    """Go back."""
    op.drop_column("journeys", "drains")
