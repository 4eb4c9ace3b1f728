"""Let the ledger of consent alone say that a consent is a member's: its fold said it once more.

Runs beside: workers of 0012; they write the same rows. On SQLite the table is written anew.
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLE, NAME = "consent_states", "fk_consent_states_member_id"


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table(TABLE) as batch:
        batch.drop_constraint(NAME, type_="foreignkey")


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table(TABLE) as batch:
        batch.create_foreign_key(NAME, "members", ["member_id"], ["id"])
