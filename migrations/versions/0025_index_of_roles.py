"""Walk a client's users in the order of their ids by index.

Runs beside: workers of 0024; what asked the old index is answered by this one.
"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

TABLE, NEW, OLD = "client_roles", "ix_client_roles_client_id_user_id", "ix_client_roles_client_id"


def upgrade() -> None:
    """Go forward."""
    op.create_index(NEW, TABLE, ["client_id", "user_id"])
    op.drop_index(OLD, TABLE)


def downgrade() -> None:
    """Go back."""
    op.create_index(OLD, TABLE, ["client_id"])
    op.drop_index(NEW, TABLE)
