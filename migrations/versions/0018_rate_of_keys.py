"""Let a key have a rate of its own.

Runs beside: processes of 0017; they know no rate.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column("api_keys", sa.Column("rate", sa.Integer(), nullable=True))


def downgrade() -> None:
    """Go back."""
    op.drop_column("api_keys", "rate")
