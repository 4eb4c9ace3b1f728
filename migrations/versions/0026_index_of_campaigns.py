"""Find the messages of one campaign by index: its numbers were looked for in the client's whole log.

Runs beside: workers of 0025. Takes some seconds for a million rows, in which nobody writes
communications on PostgreSQL.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

NAME = "ix_communications_campaign"


def upgrade() -> None:
    """Go forward."""
    given = sa.text("campaign_id IS NOT NULL")
    op.create_index(
        NAME,
        "communications",
        ["client_id", "campaign_id"],
        sqlite_where=given,
        postgresql_where=given,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index(NAME, "communications")
