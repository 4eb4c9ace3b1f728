"""Keep what members did: events with their rollups, orders, referrals.

Runs beside: workers of 0002; they know nothing of these tables.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def _rollup(table: str, *keys: str) -> None:
    day = [sa.Column("day", sa.Date(), nullable=False)] if "day" in keys else []
    op.create_table(
        table,
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        *day,
        sa.Column("member_id", BIG, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("amount", sa.Numeric(precision=18, scale=4), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name=op.f(f"fk_{table}_client_id")
        ),
        sa.ForeignKeyConstraint(
            ["member_id"], ["members.id"], name=op.f(f"fk_{table}_member_id")
        ),
        sa.PrimaryKeyConstraint(*keys, name=op.f(f"pk_{table}")),
    )
    op.create_index(op.f(f"ix_{table}_member_id_name"), table, ["member_id", "name"])


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "event_keys",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name=op.f("fk_event_keys_client_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_keys")),
        sa.UniqueConstraint("client_id", "digest", name=op.f("uq_event_keys_client_id_digest")),
    )
    op.create_table(
        "events",
        sa.Column("id", BIG, autoincrement=False, nullable=False),
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("member_id", BIG, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("message_id", sa.String(length=128), nullable=False),
        sa.Column("properties", JSON, nullable=False),
        sa.Column("amount", sa.Numeric(precision=14, scale=4), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_events_client_id")),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_events_member_id")),
        sa.PrimaryKeyConstraint("id", "occurred_at", name=op.f("pk_events")),
        postgresql_partition_by="RANGE (occurred_at)",
    )
    op.create_index(
        op.f("ix_events_client_id_name_occurred_at"), "events", ["client_id", "name", "occurred_at"]
    )
    op.create_index(
        op.f("ix_events_member_id_occurred_at"), "events", ["member_id", "occurred_at"]
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE TABLE events_default PARTITION OF events DEFAULT")
    _rollup("event_days", "client_id", "name", "day", "member_id")
    _rollup("event_totals", "client_id", "name", "member_id")
    op.create_table(
        "orders",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("member_id", BIG, nullable=False),
        sa.Column("order_id", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("amount", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("refund_of", sa.String(length=128), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("communication_id", BIG, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_orders_client_id")),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"], name=op.f("fk_orders_member_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("client_id", "order_id", name=op.f("uq_orders_client_id_order_id")),
    )
    op.create_index(
        op.f("ix_orders_client_id_member_id_occurred_at"),
        "orders",
        ["client_id", "member_id", "occurred_at"],
    )
    op.create_index(
        op.f("ix_orders_client_id_refund_of"), "orders", ["client_id", "refund_of"]
    )
    op.create_table(
        "commissions",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("referrer_id", BIG, nullable=False),
        sa.Column("referred_id", BIG, nullable=False),
        sa.Column("order_row_id", BIG, nullable=False),
        sa.Column("rate", sa.Numeric(precision=6, scale=4), nullable=False),
        sa.Column("amount", sa.Numeric(precision=14, scale=4), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name=op.f("fk_commissions_client_id")
        ),
        sa.ForeignKeyConstraint(
            ["referrer_id"], ["members.id"], name=op.f("fk_commissions_referrer_id")
        ),
        sa.ForeignKeyConstraint(
            ["referred_id"], ["members.id"], name=op.f("fk_commissions_referred_id")
        ),
        sa.ForeignKeyConstraint(
            ["order_row_id"], ["orders.id"], name=op.f("fk_commissions_order_row_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_commissions")),
        sa.UniqueConstraint("order_row_id", name=op.f("uq_commissions_order_row_id")),
    )
    for person in ("referrer_id", "referred_id"):
        op.create_index(
            op.f(f"ix_commissions_client_id_{person}"), "commissions", ["client_id", person]
        )
    op.create_index(
        op.f("ix_members_client_id_referral_code"), "members", ["client_id", "referral_code"]
    )
    op.create_index(op.f("ix_members_referred_by"), "members", ["referred_by"])


def downgrade() -> None:
    """Go back."""
    op.drop_index(op.f("ix_members_referred_by"), "members")
    op.drop_index(op.f("ix_members_client_id_referral_code"), "members")
    for table in ("commissions", "orders", "event_totals", "event_days", "events", "event_keys"):
        op.drop_table(table)
