"""Pin members in and out of segments, and remember who joined and left.

Runs beside: workers of 0005; every new column has a default or may be empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TRACKED = sa.text("tracked")
PRESENT = sa.text("left_at IS NULL")
CLICKED = sa.text("clicked_at IS NOT NULL")


def upgrade() -> None:
    """Go forward."""
    _index_what_conditions_ask()
    op.add_column(
        "segments", sa.Column("tracked", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    for name in ("refreshed_at", "refresh_at"):
        op.add_column("segments", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_segments_tracked",
        "segments",
        ["client_id"],
        sqlite_where=TRACKED,
        postgresql_where=TRACKED,
    )
    for column in (
        sa.Column("pin", sa.String(length=24), nullable=False, server_default="include"),
        sa.Column("actor", sa.String(length=100), nullable=True),
        sa.Column("pinned_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("segment_members", column)
    op.create_table(
        "segment_memberships",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("segment_id", BIG, nullable=False),
        sa.Column("member_id", BIG, nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(length=24), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("left_reason", sa.String(length=24), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name=op.f("fk_segment_memberships_client_id")
        ),
        sa.ForeignKeyConstraint(
            ["segment_id"], ["segments.id"], name=op.f("fk_segment_memberships_segment_id")
        ),
        sa.ForeignKeyConstraint(
            ["member_id"], ["members.id"], name=op.f("fk_segment_memberships_member_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment_memberships")),
    )
    op.create_index(
        "uq_segment_memberships_present",
        "segment_memberships",
        ["segment_id", "member_id"],
        unique=True,
        sqlite_where=PRESENT,
        postgresql_where=PRESENT,
    )
    for columns in (("segment_id", "id"), ("segment_id", "left_at"), ("member_id", "id")):
        op.create_index(
            f"ix_segment_memberships_{'_'.join(columns)}", "segment_memberships", list(columns)
        )


def _index_what_conditions_ask() -> None:
    """Index attributes by their values, and the clicks among the messages by their time."""
    op.create_index(
        "ix_communications_clicked",
        "communications",
        ["client_id", "clicked_at", "member_id"],
        sqlite_where=CLICKED,
        postgresql_where=CLICKED,
    )
    op.create_index(
        "ix_members_attributes",
        "members",
        ["attributes"],
        postgresql_using="gin",
        postgresql_ops={"attributes": "jsonb_path_ops"},
        # SQLite has no such index; there it holds no row.
        sqlite_where=sa.text("attributes IS NULL"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_members_attributes", "members")
    op.drop_index("ix_communications_clicked", "communications")
    op.drop_table("segment_memberships")
    for name in ("pinned_at", "actor", "pin"):
        op.drop_column("segment_members", name)
    op.drop_index("ix_segments_tracked", "segments", sqlite_where=TRACKED, postgresql_where=TRACKED)
    for name in ("refresh_at", "refreshed_at", "tracked"):
        op.drop_column("segments", name)
