"""Keep events that programs told until they are applied, and count those nobody could keep.

Runs beside: workers and web servers of 0014; they do not know these tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.DateTime(timezone=True)
NEW = sa.text("state = 'new'")


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "collected",
        sa.Column("id", ID, primary_key=True, autoincrement=True),
        sa.Column("client_id", ID, sa.ForeignKey("clients.id"), nullable=False),
        sa.Column("key_id", ID, nullable=False),
        sa.Column("trusted", sa.Boolean(), nullable=False),
        sa.Column("mark", sa.String(32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(16)),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("not_before", INSTANT, nullable=False),
        sa.Column("received_at", INSTANT, nullable=False),
    )
    op.create_index(
        "ix_collected_new",
        "collected",
        ["client_id", "id"],
        sqlite_where=NEW,
        postgresql_where=NEW,
    )
    op.create_table(
        "dropped_events",
        sa.Column("client_id", ID, sa.ForeignKey("clients.id"), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("reason", sa.String(32), primary_key=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("key_id", ID),
        sa.Column("message_id", sa.String(100)),
        sa.Column("detail", sa.String(300), nullable=False),
        sa.Column("last_at", INSTANT, nullable=False),
    )
    op.create_index("ix_dropped_events_client_id_last_at", "dropped_events", ["client_id", "last_at"])


def downgrade() -> None:
    """Go back."""
    op.drop_table("dropped_events")
    op.drop_table("collected")
