"""Let accounts rest, operators resolve, workers report, and a copy be told from its original.

Runs beside: workers of 0001; every new column has a default they need not know.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

UNKNOWN = sa.text("status = 'unknown'")
OPEN = sa.text("status IN ('queued', 'sending')")


def upgrade() -> None:
    """Go forward."""
    op.add_column(
        "communications",
        sa.Column("resends", sa.SmallInteger(), nullable=False, server_default="0"),
    )
    op.add_column(
        "communications", sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_index(
        "ix_communications_open",
        "communications",
        ["run_id"],
        unique=False,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.create_index(
        "ix_communications_unknown",
        "communications",
        ["client_id", "id"],
        unique=False,
        sqlite_where=UNKNOWN,
        postgresql_where=UNKNOWN,
    )
    op.add_column(
        "providers", sa.Column("rest_until", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("providers", sa.Column("rest_reason", sa.String(length=200), nullable=True))
    op.add_column(
        "providers", sa.Column("strikes", sa.Integer(), nullable=False, server_default="0")
    )
    op.add_column(
        "workers",
        sa.Column(
            "report",
            sa.JSON(none_as_null=True).with_variant(
                postgresql.JSONB(none_as_null=True), "postgresql"
            ),
            nullable=False,
            server_default="{}",
        ),
    )
    op.create_table(
        "instances",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("home", sa.String(length=200), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("held_reason", sa.String(length=300), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instances")),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("instances")
    op.drop_column("workers", "report")
    for name in ("strikes", "rest_reason", "rest_until"):
        op.drop_column("providers", name)
    op.drop_index(
        "ix_communications_unknown",
        "communications",
        sqlite_where=UNKNOWN,
        postgresql_where=UNKNOWN,
    )
    op.drop_index(
        "ix_communications_open", "communications", sqlite_where=OPEN, postgresql_where=OPEN
    )
    for name in ("checked_at", "resends"):
        op.drop_column("communications", name)
