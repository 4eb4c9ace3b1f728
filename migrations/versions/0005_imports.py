"""Let imports wait, stop, go on, be undone; keep exports."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
OF_MEMBERS = ("addresses", "consent_states", "consents", "member_tags")
"""Their rows belong to a member, whose row says which client it is of: to check that again for each
row took half of an import's time."""
COUNTS = ("duplicates", "suppressed")


def upgrade() -> None:
    """Go forward."""
    add = [
        sa.Column("format", sa.String(16), nullable=False, server_default="csv"),
        sa.Column("kept_as", sa.String(64), nullable=True),
        sa.Column("total", sa.Integer(), nullable=True),
        *[sa.Column(name, sa.Integer(), nullable=False, server_default="0") for name in COUNTS],
        sa.Column("report", JSON, nullable=False, server_default="{}"),
        sa.Column("runner", sa.String(64), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
    ]
    for column in add:
        op.add_column("imports", column)
    op.create_index(op.f("ix_imports_status"), "imports", ["status"])
    for table in OF_MEMBERS:
        with op.batch_alter_table(table) as batch:
            batch.drop_constraint(f"fk_{table}_client_id", type_="foreignkey")


def downgrade() -> None:
    """Go back."""
    for table in OF_MEMBERS:
        with op.batch_alter_table(table) as batch:
            batch.create_foreign_key(f"fk_{table}_client_id", "clients", ["client_id"], ["id"])
    op.drop_index(op.f("ix_imports_status"), "imports")
    for name in (
        "undone_at",
        "leased_until",
        "runner",
        "report",
        *COUNTS,
        "total",
        "kept_as",
        "format",
    ):
        op.drop_column("imports", name)
