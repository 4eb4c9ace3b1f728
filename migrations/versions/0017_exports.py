"""Keep exports: files of people and messages that are written in slices.

Runs beside: workers of 0016, which know nothing of them.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "exports",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=True),
        sa.Column("of", sa.String(length=24), nullable=False),
        sa.Column("format", sa.String(length=24), nullable=False),
        sa.Column("chosen", JSON, nullable=False),
        sa.Column("masked", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("error", sa.String(length=300), nullable=True),
        sa.Column("last_id", BIG, nullable=False),
        sa.Column("position", BIG, nullable=False),
        sa.Column("rows", BIG, nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("kept_as", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_exports_client_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_index(op.f("ix_exports_client_id_id"), "exports", ["client_id", "id"])
    op.create_index(op.f("ix_exports_status"), "exports", ["status"])


def downgrade() -> None:
    """Go back."""
    op.drop_table("exports")
