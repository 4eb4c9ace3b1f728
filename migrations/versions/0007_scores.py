"""Keep scores with their reasons, and tiers with their rules and dates.

Runs beside: workers of 0006; they know nothing of these tables.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
FALLING = sa.text("falls_at IS NOT NULL")
TABLES = (
    "tier_standings", "tier_changes", "tier_rules", "score_runs", "score_models", "scores",
)  # fmt: skip


def _text(name: str, length: int, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.String(length=length), nullable=nullable)


def _instant(name: str, *, nullable: bool = False) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _belongs(table: str, *columns: str) -> list[sa.ForeignKeyConstraint]:
    homes = {"client_id": "clients.id", "member_id": "members.id"}
    return [
        sa.ForeignKeyConstraint([name], [homes[name]], name=op.f(f"fk_{table}_{name}"))
        for name in columns
    ]


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "scores",
        sa.Column("member_id", BIG, nullable=False, autoincrement=False),
        _text("kind", 24),
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        _text("version", 40),
        sa.Column("reasons", JSON, nullable=False),
        _instant("computed_at"),
        *_belongs("scores", "member_id", "client_id"),
        sa.PrimaryKeyConstraint("member_id", "kind", name=op.f("pk_scores")),
    )
    op.create_index(
        op.f("ix_scores_client_id_kind_value"), "scores", ["client_id", "kind", "value"]
    )
    op.create_table(
        "score_models",
        sa.Column("client_id", BIG, nullable=False, autoincrement=False),
        _text("kind", 24),
        _text("method", 40),
        sa.Column("parameters", JSON, nullable=False),
        sa.Column("quality", JSON, nullable=False),
        _instant("fitted_at"),
        *_belongs("score_models", "client_id"),
        sa.PrimaryKeyConstraint("client_id", "kind", name=op.f("pk_score_models")),
    )
    op.create_table(
        "score_runs",
        sa.Column("client_id", BIG, nullable=False, autoincrement=False),
        _instant("started_at"),
        sa.Column("position", BIG, nullable=False),
        _instant("finished_at", nullable=True),
        _instant("fresh_at"),
        *_belongs("score_runs", "client_id"),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_score_runs")),
    )
    op.create_table(
        "tier_rules",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("client_id", BIG, nullable=False),
        _text("tier", 24),
        sa.Column("rule", JSON, nullable=False),
        sa.Column("grace_days", sa.Integer(), nullable=False),
        _instant("created_at"),
        _instant("updated_at"),
        *_belongs("tier_rules", "client_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tier_rules")),
        sa.UniqueConstraint("client_id", "tier", name=op.f("uq_tier_rules_client_id_tier")),
    )
    op.create_table(
        "tier_changes",
        sa.Column("id", BIG, autoincrement=True, nullable=False),
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("member_id", BIG, nullable=False),
        _text("from_tier", 24),
        _text("to_tier", 24),
        _text("reason", 40),
        sa.Column("rule", sa.Text(), nullable=True),
        _text("note", 500, nullable=True),
        _text("actor", 100, nullable=True),
        _instant("changed_at"),
        *_belongs("tier_changes", "client_id", "member_id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tier_changes")),
    )
    op.create_index(
        op.f("ix_tier_changes_client_id_member_id_id"),
        "tier_changes",
        ["client_id", "member_id", "id"],
    )
    op.create_table(
        "tier_standings",
        sa.Column("member_id", BIG, nullable=False, autoincrement=False),
        sa.Column("client_id", BIG, nullable=False),
        _instant("locked_at", nullable=True),
        _text("locked_by", 100, nullable=True),
        _instant("below_since", nullable=True),
        _instant("falls_at", nullable=True),
        *_belongs("tier_standings", "member_id", "client_id"),
        sa.PrimaryKeyConstraint("member_id", name=op.f("pk_tier_standings")),
    )
    op.create_index(
        "ix_tier_standings_falling",
        "tier_standings",
        ["client_id", "falls_at", "member_id"],
        sqlite_where=FALLING,
        postgresql_where=FALLING,
    )


def downgrade() -> None:
    """Go back."""
    for table in TABLES:
        op.drop_table(table)
