"""Count a client's members by index: a client's use read every one of them.

Runs beside: workers of 0041.
"""

import sqlalchemy as sa
from alembic import op

from migrations.beside import create_index

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None

NAME = "ix_members_alive"
GIVEN = sa.text("deleted_at IS NULL")


def upgrade() -> None:
    """Go forward."""
    create_index("members", NAME, ["client_id"], sqlite_where=GIVEN, postgresql_where=GIVEN)


def downgrade() -> None:
    """Go back."""
    op.drop_index(NAME, "members", sqlite_where=GIVEN, postgresql_where=GIVEN)
