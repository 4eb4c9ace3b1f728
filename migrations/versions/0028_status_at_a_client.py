"""Let a client suspend somebody there only: a status beside the role.

Runs beside: workers of 0027; they write roles without it, which are active, and do not look at it.
Accounts that were suspended stay so everywhere, until a super admin lets them in again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column(
        "client_roles",
        sa.Column("status", sa.String(length=24), server_default="active", nullable=False),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_column("client_roles", "status")
