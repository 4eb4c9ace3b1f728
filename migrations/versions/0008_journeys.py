"""Keep journeys, their versions, who is in them, and the signals that move them.

Runs beside: workers of 0007; they know nothing of these tables.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
HOMES = {
    "client_id": "clients.id", "journey_id": "journeys.id", "version_id": "journey_versions.id",
    "member_id": "members.id", "enrolment_id": "enrolments.id", "campaign_id": "campaigns.id",
    "created_by": "users.id",
}  # fmt: skip
PARTIAL = {
    "ix_enrolments_due": (["journey_id", "due_at"], "due_at IS NOT NULL"),
    "ix_enrolments_active": (["member_id", "journey_id"], "status = 'active'"),
    "ix_enrolments_inside": (["version_id", "step"], "status = 'active'"),
    "ix_enrolments_calling": (["until"], "held = 'webhook'"),
}
TABLES = ("enrolment_steps", "enrolments", "journey_versions", "journeys", "signals", "listened")


def _id() -> sa.Column:
    return sa.Column("id", BIG, autoincrement=True, nullable=False)


def _big(*names: str, nullable: bool = False) -> list[sa.Column]:
    return [sa.Column(name, BIG, nullable=nullable) for name in names]


def _text(name: str, length: int | None, *, nullable: bool = False) -> sa.Column:
    kind = sa.Text() if length is None else sa.String(length=length)
    return sa.Column(name, kind, nullable=nullable)


def _instants(*names: str, nullable: bool = False) -> list[sa.Column]:
    return [sa.Column(name, sa.DateTime(timezone=True), nullable=nullable) for name in names]


def _keys(table: str, *columns: str) -> list[sa.schema.Constraint]:
    foreign = [
        sa.ForeignKeyConstraint([name], [HOMES[name]], name=op.f(f"fk_{table}_{name}"))
        for name in columns
    ]
    return [*foreign, sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}"))]


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "listened",
        sa.Column("client_id", BIG, nullable=False, autoincrement=False),
        _text("name", 120),
        sa.ForeignKeyConstraint(["client_id"], ["clients.id"], name=op.f("fk_listened_client_id")),
        sa.PrimaryKeyConstraint("client_id", "name", name=op.f("pk_listened")),
    )
    op.create_table(
        "signals",
        _id(), *_big("client_id"), _text("name", 120), *_big("member_id"),
        *_big("about", nullable=True), *_instants("at"),
        *_keys("signals", "client_id"),
    )  # fmt: skip
    op.create_index(op.f("ix_signals_client_id_id"), "signals", ["client_id", "id"])
    op.create_table(
        "journeys",
        _id(), *_big("client_id"), _text("name", 200), _text("status", 24), _text("draft", None),
        *_integers("version_id", nullable=True), *_big("campaign_id", nullable=True),
        *_integers("revision"), *_instants("triggered_at", nullable=True),
        *_instants("created_at", "updated_at"),
        *_keys("journeys", "client_id", "campaign_id"), _unique("journeys", "client_id", "name"),
    )  # fmt: skip
    op.create_index(op.f("ix_journeys_status"), "journeys", ["status"])
    op.create_table(
        "journey_versions",
        _id(), *_big("client_id", "journey_id"), *_integers("number"), _text("text", None),
        sa.Column("ast", JSON, nullable=False), sa.Column("plan", JSON, nullable=False),
        *_instants("created_at"), *_big("created_by", nullable=True),
        *_keys("journey_versions", "client_id", "journey_id", "created_by"),
        _unique("journey_versions", "journey_id", "number"),
    )  # fmt: skip
    _enrolments()


def _integers(*names: str, nullable: bool = False) -> list[sa.Column]:
    return [sa.Column(name, sa.Integer(), nullable=nullable) for name in names]


def _enrolments() -> None:
    op.create_table(
        "enrolments",
        _id(), *_big("client_id", "journey_id", "version_id", "member_id"),
        _text("entry_key", 100), *_integers("ordinal"), _text("cause", 140), _text("status", 24),
        _text("step", 64, nullable=True), *_integers("visit"), *_instants("since"),
        *_instants("until", "due_at", nullable=True), _text("held", 24, nullable=True),
        sa.Column("tries", sa.SmallInteger(), nullable=False), _text("error", 300, nullable=True),
        sa.Column("context", JSON, nullable=False), *_big("caller_id", nullable=True),
        *_instants("entered_at"), *_instants("ended_at", nullable=True),
        _text("end_reason", 200, nullable=True),
        *_keys("enrolments", "client_id", "journey_id", "version_id", "member_id"),
        _unique("enrolments", "journey_id", "member_id", "entry_key", "ordinal"),
    )  # fmt: skip
    for name, (columns, where) in PARTIAL.items():
        clause = sa.text(where)
        op.create_index(
            name, "enrolments", columns, sqlite_where=clause, postgresql_where=clause
        )
    op.create_index(op.f("ix_enrolments_caller_id"), "enrolments", ["caller_id"])
    op.create_table(
        "enrolment_steps",
        _id(), *_big("client_id", "enrolment_id", "version_id"), _text("step", 64),
        *_integers("visit"), _text("way", 24), sa.Column("why", JSON, nullable=False),
        *_big("communication_id", nullable=True), *_instants("came_at", "left_at"),
        *_keys("enrolment_steps", "client_id", "enrolment_id", "version_id"),
        _unique("enrolment_steps", "enrolment_id", "visit"),
    )  # fmt: skip
    op.create_index(
        op.f("ix_enrolment_steps_version_id_step_way"),
        "enrolment_steps",
        ["version_id", "step", "way"],
    )
    op.create_index(
        op.f("ix_enrolment_steps_communication_id"), "enrolment_steps", ["communication_id"]
    )


def downgrade() -> None:
    """Go back."""
    for table in TABLES:
        op.drop_table(table)
