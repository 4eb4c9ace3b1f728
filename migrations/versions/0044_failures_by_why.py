"""Count failures by why from an index: each one's row was read, a page of the log for each.

Runs beside: workers of 0043. Takes some seconds for a million messages. A message that has not failed is
not in it.
"""

import sqlalchemy as sa
from alembic import op

from migrations.beside import create_index

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None

NAME = "ix_communications_failure"
COLUMNS = (
    "client_id", "channel", "provider_account_id", "reason", "error_code", "id", "status", "rank",
    "open_attempts", "address_hash", "content_removed_at",
)  # fmt: skip
GIVEN = sa.text(
    "status IN ('failed', 'bounced')"
    " OR (status = 'skipped' AND reason IN ('render_failed', 'expired'))"
)


def upgrade() -> None:
    """Go forward."""
    create_index("communications", NAME, COLUMNS, sqlite_where=GIVEN, postgresql_where=GIVEN)


def downgrade() -> None:
    """Go back."""
    op.drop_index(NAME, "communications", sqlite_where=GIVEN, postgresql_where=GIVEN)
