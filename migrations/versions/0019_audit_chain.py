"""Seal the audit log into a chain for each client, and let nobody change it.

Runs beside: workers of 0018; what they write has the source `system` and is sealed like the rest.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
UNSEALED = sa.text("hash IS NULL")

SQLITE = (
    """
    CREATE TRIGGER audit_log_update BEFORE UPDATE ON audit_log
    WHEN OLD.hash IS NOT NULL OR NEW.hash IS NULL OR NEW.seq IS NULL
        OR NEW.id IS NOT OLD.id OR NEW.client_id IS NOT OLD.client_id OR NEW.at IS NOT OLD.at
        OR NEW.actor IS NOT OLD.actor OR NEW.action IS NOT OLD.action
        OR NEW.target IS NOT OLD.target OR NEW.detail IS NOT OLD.detail
        OR NEW.source IS NOT OLD.source OR NEW.ip IS NOT OLD.ip
        OR NEW.before IS NOT OLD.before OR NEW.after IS NOT OLD.after
    BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END
    """,
    """
    CREATE TRIGGER audit_log_delete BEFORE DELETE ON audit_log
    WHEN OLD.seq IS NULL OR OLD.seq > coalesce(
        (SELECT kept_after FROM audit_chains WHERE id = coalesce(OLD.client_id, 0)), 0)
    BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END
    """,
    """
    CREATE TRIGGER audit_chains_update BEFORE UPDATE ON audit_chains
    WHEN NEW.id <> OLD.id OR NEW.seq < OLD.seq OR NEW.kept_after < OLD.kept_after
        OR NEW.kept_after > NEW.seq
    BEGIN SELECT RAISE(ABORT, 'an audit chain only goes forward'); END
    """,
    """
    CREATE TRIGGER audit_chains_delete BEFORE DELETE ON audit_chains
    BEGIN SELECT RAISE(ABORT, 'an audit chain only goes forward'); END
    """,
)
POSTGRESQL = (
    """
    CREATE OR REPLACE FUNCTION audit_log_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            IF OLD.hash IS NULL AND NEW.hash IS NOT NULL AND NEW.seq IS NOT NULL
                AND to_jsonb(NEW) - 'seq' - 'hash' = to_jsonb(OLD) - 'seq' - 'hash' THEN
                RETURN NEW;
            END IF;
        ELSIF OLD.seq <= (SELECT kept_after FROM audit_chains
                          WHERE id = coalesce(OLD.client_id, 0)) THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'audit_log is append-only' USING ERRCODE = '23000';
    END $$
    """,
    """
    CREATE OR REPLACE FUNCTION audit_chains_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'UPDATE' THEN
            IF NEW.id = OLD.id AND NEW.seq >= OLD.seq AND NEW.kept_after >= OLD.kept_after
                AND NEW.kept_after <= NEW.seq THEN
                RETURN NEW;
            END IF;
        END IF;
        RAISE EXCEPTION 'an audit chain only goes forward' USING ERRCODE = '23000';
    END $$
    """,
    """
    CREATE TRIGGER audit_log_guard BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_guard()
    """,
    """
    CREATE TRIGGER audit_chains_guard BEFORE UPDATE OR DELETE ON audit_chains
    FOR EACH ROW EXECUTE FUNCTION audit_chains_guard()
    """,
)


def upgrade() -> None:
    """Go forward."""
    for column in (
        sa.Column("source", sa.String(length=24), nullable=False, server_default="system"),
        sa.Column("ip", sa.String(length=49), nullable=True),
        sa.Column("before", JSON, nullable=True),
        sa.Column("after", JSON, nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=True),
    ):
        op.add_column("audit_log", column)
    op.create_index("uq_audit_log_client_id_seq", "audit_log", ["client_id", "seq"], unique=True)
    op.create_index(
        "ix_audit_log_unsealed",
        "audit_log",
        ["id"],
        unique=False,
        sqlite_where=UNSEALED,
        postgresql_where=UNSEALED,
    )
    op.create_table(
        "audit_chains",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("kept_after", sa.BigInteger(), nullable=False),
        sa.Column("kept_after_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_chains")),
    )
    for statement in POSTGRESQL if op.get_bind().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)


def downgrade() -> None:
    """Go back."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER audit_log_guard ON audit_log")
    else:
        op.execute("DROP TRIGGER audit_log_update")
        op.execute("DROP TRIGGER audit_log_delete")
    op.drop_table("audit_chains")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_log_guard")
        op.execute("DROP FUNCTION audit_chains_guard")
    op.drop_index("ix_audit_log_unsealed", "audit_log", sqlite_where=UNSEALED, postgresql_where=UNSEALED)
    op.drop_index("uq_audit_log_client_id_seq", "audit_log")
    for name in ("hash", "seq", "after", "before", "ip", "source"):
        op.drop_column("audit_log", name)
