"""Guard: triggers that keep the audit log append-only, whoever holds the connection.

An entry may be updated once, to be sealed, and deleted only where its chain's checkpoint
(`kept_after`) has passed it. A chain's own row only goes forward. Migrations make the same.
"""

from sqlalchemy import DDL, event
from sqlalchemy.schema import ExecutableDDLElement

from accounts.audit import AuditEntry
from accounts.audit_chain import AuditChain

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


for dialect, statements in (("sqlite", SQLITE), ("postgresql", POSTGRESQL)):
    for statement in statements:
        model = AuditChain if "audit_chains_" in statement else AuditEntry
        made: ExecutableDDLElement = DDL(statement)  # type: ignore[no-untyped-call]
        event.listen(model.__table__, "after_create", made.execute_if(dialect=dialect))
