"""Keep single permissions with a role at a client: what one client grants holds at no other.

Runs beside: workers of 0013; nothing read or wrote the column of users.
"""

import sqlalchemy as sa
from alembic import op

from core.db import Json

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("client_roles") as batch:
        batch.add_column(sa.Column("permissions", Json, nullable=False, server_default="[]"))
    with op.batch_alter_table("client_roles") as batch:
        batch.alter_column("permissions", server_default=None)
    with op.batch_alter_table("users") as batch:
        batch.drop_column("permissions")


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("users") as batch:
        batch.add_column(sa.Column("permissions", Json, nullable=True))
    with op.batch_alter_table("client_roles") as batch:
        batch.drop_column("permissions")
