"""Tell by the index of clicks what was clicked: pages of who clicked read no messages.

Runs beside: workers of 0039.
"""

import sqlalchemy as sa
from alembic import op

from migrations.beside import replace_index

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

NAME = "ix_communications_clicked"
COLUMNS = ("client_id", "clicked_at", "member_id")
GIVEN = sa.text("clicked_at IS NOT NULL")


def upgrade() -> None:
    """Go forward."""
    _index(*COLUMNS, "campaign_id", "direction", "channel")


def downgrade() -> None:
    """Go back."""
    _index(*COLUMNS)


def _index(*columns: str) -> None:
    replace_index("communications", NAME, columns, sqlite_where=GIVEN, postgresql_where=GIVEN)
