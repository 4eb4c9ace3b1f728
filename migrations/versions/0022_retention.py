"""Note how far old data was forgotten, and let nobody change the ledger of consent.

Runs beside: workers of 0021; none of them changes what the triggers refuse.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

SQLITE = (
    """
    CREATE TRIGGER consents_update BEFORE UPDATE ON consents
    WHEN NEW.id IS NOT OLD.id OR NEW.client_id IS NOT OLD.client_id
        OR NEW.channel IS NOT OLD.channel OR NEW.topic IS NOT OLD.topic
        OR NEW.state IS NOT OLD.state OR NEW.source IS NOT OLD.source
        OR NEW.occurred_at IS NOT OLD.occurred_at OR NEW.created_at IS NOT OLD.created_at
        OR (NEW.wording IS NOT OLD.wording AND NEW.wording IS NOT NULL)
        OR (NEW.proof IS NOT OLD.proof AND NEW.proof IS NOT '{}')
    BEGIN SELECT RAISE(ABORT, 'consents are append-only'); END
    """,
    """
    CREATE TRIGGER consents_delete BEFORE DELETE ON consents
    BEGIN SELECT RAISE(ABORT, 'consents are append-only'); END
    """,
)
POSTGRESQL = (
    """
    CREATE OR REPLACE FUNCTION consents_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            IF to_jsonb(NEW) - 'member_id' - 'wording' - 'proof'
                    = to_jsonb(OLD) - 'member_id' - 'wording' - 'proof'
                AND (NEW.wording IS NULL OR NEW.wording = OLD.wording)
                AND (NEW.proof = '{}'::jsonb OR NEW.proof = OLD.proof) THEN
                RETURN NEW;
            END IF;
        END IF;
        RAISE EXCEPTION 'consents are append-only' USING ERRCODE = '23000';
    END $$
    """,
    """
    CREATE TRIGGER consents_guard BEFORE UPDATE OR DELETE ON consents
    FOR EACH ROW EXECUTE FUNCTION consents_guard()
    """,
)


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "retention_marks",
        sa.Column("client_id", BIG, nullable=False),
        sa.Column("name", sa.String(length=24), nullable=False),
        sa.Column("position", BIG, nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name=op.f("fk_retention_marks_client_id")
        ),
        sa.PrimaryKeyConstraint("client_id", "name", name=op.f("pk_retention_marks")),
    )
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)


def downgrade() -> None:
    """Go back."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER consents_guard ON consents")
        op.execute("DROP FUNCTION consents_guard")
    else:
        op.execute("DROP TRIGGER consents_update")
        op.execute("DROP TRIGGER consents_delete")
    op.drop_table("retention_marks")
