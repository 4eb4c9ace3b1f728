"""Keep how far a journey's schedule has come among the members.

Runs beside: workers of 0008; they know nothing of this column.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Go forward."""
    op.add_column("journeys", sa.Column("triggered_member", BIG, nullable=True))


def downgrade() -> None:
    """Go back."""
    op.drop_column("journeys", "triggered_member")
