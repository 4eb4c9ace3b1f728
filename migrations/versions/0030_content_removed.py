"""Mark messages whose content was removed: sent again, they were empty.

Runs beside: workers of 0029, whose own removals stay unmarked until they are replaced. What was
removed before is marked with the time of its client's last round.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

EMPTIED = """
    UPDATE communications SET content_removed_at = coalesce(
        (SELECT done_at FROM retention_marks m
         WHERE m.client_id = communications.client_id AND m.name = 'message_content'),
        CURRENT_TIMESTAMP)
    WHERE subject IS NULL AND content IS NULL AND CAST(merge AS text) = '{}'
      AND status NOT IN ('queued', 'sending')
      AND id <= (SELECT m.position FROM retention_marks m
                 WHERE m.client_id = communications.client_id AND m.name = 'message_content')
"""


def upgrade() -> None:
    """Go forward."""
    at = sa.Column("content_removed_at", sa.DateTime(timezone=True), nullable=True)
    op.add_column("communications", at)
    op.execute(EMPTIED)


def downgrade() -> None:
    """Go back."""
    op.drop_column("communications", "content_removed_at")
