"""OrderDay: what a client's orders of one day came to; its revenue adds such rows up.

On PostgreSQL triggers keep `order_days` beside the orders, as core/rollup.py says. SQLite, which
holds few, counts the orders each time.

Invariants
    1. The rows of `order_days` add up to a recount of the orders, whoever wrote them.
    2. Days are days of UTC.
"""

from datetime import date
from typing import cast

from sqlalchemy import BigInteger, Index, String, Table, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.db import Base, BigId, Id
from core.rollup import NEW, OLD, join_days, keep_by_triggers
from members.order import Order

COUNTS = ("orders", "refunds", "gross", "refunded")
TURN = 0x4558_4F44
"""`EXOD`"""


class OrderDay(Base):
    """How many orders of a day there were in a currency, or by how many that changed."""

    __tablename__ = "order_days"
    __table_args__ = (
        Index(None, "client_id", "day"),
        # What a worker has yet to join.
        Index(
            "ix_order_days_apart",
            "id",
            sqlite_where=text("NOT joined"),
            postgresql_where=text("NOT joined"),
        ),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(BigId)
    day: Mapped[date]
    currency: Mapped[str] = mapped_column(String(3))
    orders: Mapped[int]
    refunds: Mapped[int]
    gross: Mapped[int] = mapped_column(BigInteger)
    """What was paid, in the smallest units that are kept (members.order.CENT)."""
    refunded: Mapped[int] = mapped_column(BigInteger)
    """What was given back: zero or less."""
    joined: Mapped[bool]
    """Whether it stands for many changes."""


def join_order_days(session: Session) -> bool:
    """Make one row of all that are alike, of days that changed; say whether there may be more."""
    return join_days(session, OrderDay, ("currency",), COUNTS, turn=TURN)


def added(source: str, *, joined: bool = False) -> str:
    """Return the INSERT into `order_days` of orders with a `sign` from a FROM clause."""
    units = "sign * round(amount * 10000)::bigint"
    return f"""
    INSERT INTO order_days (client_id, day, currency, {", ".join(COUNTS)}, joined)
    SELECT *, {str(joined).lower()} FROM (
        SELECT client_id, (occurred_at AT TIME ZONE 'UTC')::date AS day, currency,
        coalesce(sum(sign) FILTER (WHERE kind = 'order'), 0) AS orders,
        coalesce(sum(sign) FILTER (WHERE kind = 'refund'), 0) AS refunds,
        coalesce(sum({units}) FILTER (WHERE kind = 'order'), 0)::bigint AS gross,
        coalesce(sum({units}) FILTER (WHERE kind = 'refund'), 0)::bigint AS refunded
        FROM {source}
        GROUP BY 1, 2, 3
    ) summed
    WHERE ({", ".join(COUNTS)}) <> ({", ".join("0" for _ in COUNTS)})
    """  # noqa: S608  (ours)


FUNCTION = f"""
CREATE OR REPLACE FUNCTION order_days_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        {added(f"({NEW}) changed")};
    ELSIF TG_OP = 'DELETE' THEN
        {added(f"({OLD}) changed")};
    ELSE
        {added(f"({NEW} UNION ALL {OLD}) changed")};
    END IF;
    RETURN NULL;
END $$
"""
keep_by_triggers(cast(Table, Order.__table__), "order_days", FUNCTION)
