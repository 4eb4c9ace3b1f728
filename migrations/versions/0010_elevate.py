"""Keep the funnel's numbers, and the stars that were earned on the path.

Runs beside: workers of 0009; they know nothing of these tables.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "funnel_snapshots",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("period", sa.String(length=100), nullable=False),
        sa.Column("numbers", JSON, nullable=False),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name=op.f("fk_funnel_snapshots_client_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_funnel_snapshots")),
    )
    op.create_index(
        op.f("ix_funnel_snapshots_client_id_id"), "funnel_snapshots", ["client_id", "id"]
    )
    op.create_table(
        "stars",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("practice", sa.Boolean(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("earned_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_stars_client_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stars")),
        sa.UniqueConstraint(
            "client_id", "stage", "practice", "number",
            name=op.f("uq_stars_client_id_stage_practice_number"),
        ),
    )  # fmt: skip


def downgrade() -> None:
    """Go back."""
    op.drop_table("stars")
    op.drop_table("funnel_snapshots")
