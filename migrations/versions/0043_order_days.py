"""Count a client's orders day by day: its revenue read every one of a year.

On PostgreSQL triggers keep `order_days` from now on; what there is, is counted here.

Runs beside: workers of 0042. Takes some seconds for a million orders, in which nobody writes
orders on PostgreSQL.
"""

import sqlalchemy as sa
from alembic import op

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None

FUNCTION = """
CREATE OR REPLACE FUNCTION order_days_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        
    INSERT INTO order_days (client_id, day, currency, orders, refunds, gross, refunded, joined)
    SELECT *, false FROM (
        SELECT client_id, (occurred_at AT TIME ZONE 'UTC')::date AS day, currency,
        coalesce(sum(sign) FILTER (WHERE kind = 'order'), 0) AS orders,
        coalesce(sum(sign) FILTER (WHERE kind = 'refund'), 0) AS refunds,
        coalesce(sum(sign * round(amount * 10000)::bigint) FILTER (WHERE kind = 'order'), 0)::bigint AS gross,
        coalesce(sum(sign * round(amount * 10000)::bigint) FILTER (WHERE kind = 'refund'), 0)::bigint AS refunded
        FROM (SELECT 1 AS sign, * FROM new_rows) changed
        GROUP BY 1, 2, 3
    ) summed
    WHERE (orders, refunds, gross, refunded) <> (0, 0, 0, 0)
    ;
    ELSIF TG_OP = 'DELETE' THEN
        
    INSERT INTO order_days (client_id, day, currency, orders, refunds, gross, refunded, joined)
    SELECT *, false FROM (
        SELECT client_id, (occurred_at AT TIME ZONE 'UTC')::date AS day, currency,
        coalesce(sum(sign) FILTER (WHERE kind = 'order'), 0) AS orders,
        coalesce(sum(sign) FILTER (WHERE kind = 'refund'), 0) AS refunds,
        coalesce(sum(sign * round(amount * 10000)::bigint) FILTER (WHERE kind = 'order'), 0)::bigint AS gross,
        coalesce(sum(sign * round(amount * 10000)::bigint) FILTER (WHERE kind = 'refund'), 0)::bigint AS refunded
        FROM (SELECT -1 AS sign, * FROM old_rows) changed
        GROUP BY 1, 2, 3
    ) summed
    WHERE (orders, refunds, gross, refunded) <> (0, 0, 0, 0)
    ;
    ELSE
        
    INSERT INTO order_days (client_id, day, currency, orders, refunds, gross, refunded, joined)
    SELECT *, false FROM (
        SELECT client_id, (occurred_at AT TIME ZONE 'UTC')::date AS day, currency,
        coalesce(sum(sign) FILTER (WHERE kind = 'order'), 0) AS orders,
        coalesce(sum(sign) FILTER (WHERE kind = 'refund'), 0) AS refunds,
        coalesce(sum(sign * round(amount * 10000)::bigint) FILTER (WHERE kind = 'order'), 0)::bigint AS gross,
        coalesce(sum(sign * round(amount * 10000)::bigint) FILTER (WHERE kind = 'refund'), 0)::bigint AS refunded
        FROM (SELECT 1 AS sign, * FROM new_rows UNION ALL SELECT -1 AS sign, * FROM old_rows) changed
        GROUP BY 1, 2, 3
    ) summed
    WHERE (orders, refunds, gross, refunded) <> (0, 0, 0, 0)
    ;
    END IF;
    RETURN NULL;
END $$
"""
TRIGGERS = (
    """
        CREATE TRIGGER order_days_insert AFTER INSERT ON orders
        REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION order_days_count()
        """,
    """
        CREATE TRIGGER order_days_update AFTER UPDATE ON orders
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION order_days_count()
        """,
    """
        CREATE TRIGGER order_days_delete AFTER DELETE ON orders
        REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION order_days_count()
        """,
)
FILL = """
    INSERT INTO order_days (client_id, day, currency, orders, refunds, gross, refunded, joined)
    SELECT *, true FROM (
        SELECT client_id, (occurred_at AT TIME ZONE 'UTC')::date AS day, currency,
        coalesce(sum(sign) FILTER (WHERE kind = 'order'), 0) AS orders,
        coalesce(sum(sign) FILTER (WHERE kind = 'refund'), 0) AS refunds,
        coalesce(sum(sign * round(amount * 10000)::bigint) FILTER (WHERE kind = 'order'), 0)::bigint AS gross,
        coalesce(sum(sign * round(amount * 10000)::bigint) FILTER (WHERE kind = 'refund'), 0)::bigint AS refunded
        FROM (SELECT 1 AS sign, * FROM orders) changed
        GROUP BY 1, 2, 3
    ) summed
    WHERE (orders, refunds, gross, refunded) <> (0, 0, 0, 0)
    """


def upgrade() -> None:
    """Go forward."""
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "order_days",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("client_id", big, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("orders", sa.Integer(), nullable=False),
        sa.Column("refunds", sa.Integer(), nullable=False),
        sa.Column("gross", sa.BigInteger(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.Column("joined", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_order_days"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(FUNCTION)
        for trigger in TRIGGERS:
            op.execute(trigger)
        op.execute(FILL)
    op.create_index("ix_order_days_client_id_day", "order_days", ["client_id", "day"])
    given = sa.text("NOT joined")
    op.create_index(
        "ix_order_days_apart", "order_days", ["id"], sqlite_where=given, postgresql_where=given
    )


def downgrade() -> None:
    """Go back."""
    if op.get_bind().dialect.name == "postgresql":
        for deed in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER order_days_{deed} ON orders")
        op.execute("DROP FUNCTION order_days_count()")
    op.drop_table("order_days")
