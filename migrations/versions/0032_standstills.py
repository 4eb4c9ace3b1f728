"""Note when a campaign or a provider account stood still, so that messages can say why they waited.

Runs beside: workers of 0031, which note nothing.
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "standstills",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("what", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=300), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=True),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_standstills_client_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_standstills")),
    )
    op.create_index(
        op.f("ix_standstills_client_id_subject_began_at"),
        "standstills",
        ["client_id", "subject", "began_at"],
    )
    op.create_index(op.f("ix_standstills_ended_at"), "standstills", ["ended_at"])


def downgrade() -> None:
    """Go back."""
    op.drop_table("standstills")
