"""Let clients and campaigns do without tracking, and note of each message whether it has any.

Runs beside: workers of 0034; they look at none of it, and what they write is tracked. Let them end
before a client does without.
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    for table, column in (("campaigns", "tracking"), ("communications", "tracked")):
        made = sa.Column(column, sa.Boolean(), server_default=sa.true(), nullable=False)
        op.add_column(table, made)


def downgrade() -> None:
    """Go back."""
    op.drop_column("communications", "tracked")
    op.drop_column("campaigns", "tracking")
