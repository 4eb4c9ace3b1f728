"""Find the orders that messages are credited with by index: a campaign's return read them all.

Runs beside: workers of 0040.
"""

import sqlalchemy as sa
from alembic import op

from migrations.beside import create_index

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

NAME = "ix_orders_credited"
COLUMNS = ("client_id", "communication_id", "currency", "kind", "amount")
GIVEN = sa.text("communication_id IS NOT NULL")


def upgrade() -> None:
    """Go forward."""
    create_index("orders", NAME, COLUMNS, sqlite_where=GIVEN, postgresql_where=GIVEN)


def downgrade() -> None:
    """Go back."""
    op.drop_index(NAME, "orders", sqlite_where=GIVEN, postgresql_where=GIVEN)
