"""Find by index what is new, what changed and what went wrong: it was looked for in whole tables.

Runs beside: workers of 0028. Takes some seconds for a million rows of members and communications.
"""

import sqlalchemy as sa
from alembic import op

from migrations.beside import create_index

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

WHOLE = (
    ("communications", ["client_id", "created_at", "id"]),
    ("members", ["client_id", "created_at", "id"]),
    ("members", ["client_id", "updated_at", "id"]),
    ("campaigns", ["client_id", "created_at"]),
    ("campaigns", ["client_id", "updated_at"]),
)
PARTIAL = (("ix_communications_reason", "reason"), ("ix_communications_error", "error_code"))


def upgrade() -> None:
    """Go forward."""
    for table, columns in WHOLE:
        create_index(table, _name(table, columns), columns)
    for name, column in PARTIAL:
        given = sa.column(column).is_not(None)
        create_index(
            "communications",
            name,
            ["client_id", column, "id"],
            sqlite_where=given,
            postgresql_where=given,
        )


def downgrade() -> None:
    """Go back."""
    for name, _ in PARTIAL:
        op.drop_index(name, "communications")
    for table, columns in reversed(WHOLE):
        op.drop_index(_name(table, columns), table)


def _name(table: str, columns: list[str]) -> str:
    return str(op.f(f"ix_{table}_{'_'.join(columns)}"))
