"""Guard: triggers that keep the ledger of consent append-only, whoever holds the connection.

A row may be given to another member, when two become one, and it may lose its wording and proof,
when its member is erased. Nothing else of it changes, and no row goes. Migrations make the same.
"""

from sqlalchemy import DDL, event
from sqlalchemy.schema import ExecutableDDLElement

from members.consent import Consent

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
for dialect, statements in (("sqlite", SQLITE), ("postgresql", POSTGRESQL)):
    for statement in statements:
        made: ExecutableDDLElement = DDL(statement)  # type: ignore[no-untyped-call]
        event.listen(Consent.__table__, "after_create", made.execute_if(dialect=dialect))
