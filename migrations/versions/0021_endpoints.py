"""Keep clients' webhook endpoints and what they are to be told.

Runs beside: workers of 0020; they tell nobody anything.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
WAITING = sa.text("state = 'waiting'")


def _instants(*names: str, nullable: bool = False) -> list[sa.Column]:
    return [sa.Column(name, sa.DateTime(timezone=True), nullable=nullable) for name in names]


def _id() -> sa.Column:
    return sa.Column("id", BIG, autoincrement=True, nullable=False)


def _keys(table: str, column: str, home: str) -> list[sa.schema.Constraint]:
    return [
        sa.ForeignKeyConstraint([column], [home], name=op.f(f"fk_{table}_{column}")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    ]


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "endpoints",
        _id(),
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("description", sa.String(length=200), nullable=True),
        sa.Column("types", JSON, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.String(length=200), nullable=True),
        sa.Column("secrets", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("slow", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=True),
        *_instants("failing_since", "rest_until", "lease_until", nullable=True),
        *_instants("last_success_at", "deleted_at", nullable=True),
        *_instants("created_at", "updated_at"),
        *_keys("endpoints", "client_id", "clients.id"),
    )
    op.create_index(op.f("ix_endpoints_client_id"), "endpoints", ["client_id"])
    table = "endpoint_deliveries"
    op.create_table(
        table,
        _id(),
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("endpoint_id", BIG, nullable=False),
        sa.Column("type", sa.String(length=24), nullable=False),
        sa.Column("object", sa.String(length=48), nullable=False),
        sa.Column("data", JSON, nullable=False),
        *_instants("at"),
        sa.Column("state", sa.String(length=24), nullable=False),
        *_instants("due_at"),
        sa.Column("tries", sa.SmallInteger(), nullable=False),
        sa.Column("attempts", JSON, nullable=False),
        *_instants("created_at"),
        *_instants("ended_at", nullable=True),
        *_keys(table, "endpoint_id", "endpoints.id"),
    )
    op.create_index(op.f(f"ix_{table}_endpoint_id_id"), table, ["endpoint_id", "id"])
    op.create_index(op.f(f"ix_{table}_created_at"), table, ["created_at"])
    partial = {"sqlite_where": WAITING, "postgresql_where": WAITING}
    op.create_index(f"ix_{table}_due", table, ["endpoint_id", "due_at"], **partial)
    op.create_index(f"ix_{table}_order", table, ["endpoint_id", "object", "id"], **partial)


def downgrade() -> None:
    """Go back."""
    op.drop_table("endpoint_deliveries")
    op.drop_table("endpoints")
