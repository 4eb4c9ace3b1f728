"""Count messages beside the log, day by day, and find each list's rows by index.

Statistics read millions of rows of the log, and lists looked for few of many rows through all of
them. On PostgreSQL triggers keep `message_days` from now on; what there is, is counted here.

Runs beside: workers of 0033. Takes about a minute for a million messages, in which nobody writes
communications on PostgreSQL.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from migrations.beside import create_index, replace_index

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

CAMPAIGN = "ix_communications_campaign"
GIVEN = "campaign_id IS NOT NULL"
PARTS = (
    ("run", "run_id IS NOT NULL", "client_id", "run_id", "id"),
    ("inbound", "direction = 'inbound'", "client_id", "id"),
    ("replied", "replied_at IS NOT NULL", "client_id", "id"),
    (
        "responded",
        "coalesce(read_at, clicked_at, replied_at) IS NOT NULL",
        "client_id",
        "id",
    ),
)
WHOLE = (
    ("communications", "client_id", "channel", "id"),
    ("communications", "client_id", "status", "id"),
    ("audit_log", "client_id", "action", "id"),
)
PATTERNS = {"action": "varchar_pattern_ops"}
OTHERS = (
    ("communication_events", "complained", "type = 'complained'", "client_id", "id"),
    ("consents", "withdrawn", "state = 'withdrawn'", "client_id", "id"),
)
COUNTS = (
    "messages", "skipped", "queued", "unknown", "refused", "undelivered", "bounced", "delivered",
    "pending", "read", "clicked", "replied", "ended_read", "ended_replied", "taken", "unpriced",
    "priced",
)  # fmt: skip
FUNCTION = """
CREATE OR REPLACE FUNCTION message_days_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        
    INSERT INTO message_days (client_id, day, channel, direction, campaign_id, run_id, provider_account_id, domain, currency, reason, messages, skipped, queued, unknown, refused, undelivered, bounced, delivered, pending, read, clicked, replied, ended_read, ended_replied, taken, unpriced, priced, units, segments, joined)
    SELECT *, false FROM (
        SELECT client_id, (created_at AT TIME ZONE 'UTC')::date AS day, channel, direction,
        campaign_id, run_id, provider_account_id,
        nullif(substr(to_address, strpos(to_address, '@') + 1), to_address) AS domain,
        currency, reason,
        sum(sign) AS messages,
        coalesce(sum(sign) FILTER (WHERE status = 'skipped'), 0) AS skipped,
        coalesce(sum(sign) FILTER (WHERE status IN ('queued', 'sending')), 0) AS queued,
        coalesce(sum(sign) FILTER (WHERE status = 'unknown'), 0) AS unknown,
        coalesce(sum(sign) FILTER (WHERE status = 'failed' AND NOT (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS refused,
        coalesce(sum(sign) FILTER (WHERE status = 'failed' AND (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS undelivered,
        coalesce(sum(sign) FILTER (WHERE status = 'bounced'), 0) AS bounced,
        coalesce(sum(sign) FILTER (WHERE status IN ('delivered', 'read', 'clicked', 'replied')), 0) AS delivered,
        coalesce(sum(sign) FILTER (WHERE status = 'sent'), 0) AS pending,
        coalesce(sum(sign) FILTER (WHERE coalesce(read_at, clicked_at, replied_at) IS NOT NULL), 0) AS read,
        coalesce(sum(sign) FILTER (WHERE clicked_at IS NOT NULL), 0) AS clicked,
        coalesce(sum(sign) FILTER (WHERE replied_at IS NOT NULL), 0) AS replied,
        coalesce(sum(sign) FILTER (WHERE status IN ('read', 'clicked', 'replied')), 0) AS ended_read,
        coalesce(sum(sign) FILTER (WHERE status = 'replied'), 0) AS ended_replied,
        coalesce(sum(sign) FILTER (WHERE (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS taken,
        coalesce(sum(sign) FILTER (WHERE cost IS NULL AND (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS unpriced,
        coalesce(sum(sign) FILTER (WHERE cost IS NOT NULL), 0) AS priced,
        coalesce(sum(sign * round(cost * 1000000)::bigint), 0)::bigint AS units,
        coalesce(sum(sign * segments), 0) AS segments
        FROM (SELECT 1 AS sign, * FROM new_rows) changed
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    ) summed
    WHERE (messages, skipped, queued, unknown, refused, undelivered, bounced, delivered, pending, read, clicked, replied, ended_read, ended_replied, taken, unpriced, priced, units, segments) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    ;
    ELSIF TG_OP = 'DELETE' THEN
        
    INSERT INTO message_days (client_id, day, channel, direction, campaign_id, run_id, provider_account_id, domain, currency, reason, messages, skipped, queued, unknown, refused, undelivered, bounced, delivered, pending, read, clicked, replied, ended_read, ended_replied, taken, unpriced, priced, units, segments, joined)
    SELECT *, false FROM (
        SELECT client_id, (created_at AT TIME ZONE 'UTC')::date AS day, channel, direction,
        campaign_id, run_id, provider_account_id,
        nullif(substr(to_address, strpos(to_address, '@') + 1), to_address) AS domain,
        currency, reason,
        sum(sign) AS messages,
        coalesce(sum(sign) FILTER (WHERE status = 'skipped'), 0) AS skipped,
        coalesce(sum(sign) FILTER (WHERE status IN ('queued', 'sending')), 0) AS queued,
        coalesce(sum(sign) FILTER (WHERE status = 'unknown'), 0) AS unknown,
        coalesce(sum(sign) FILTER (WHERE status = 'failed' AND NOT (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS refused,
        coalesce(sum(sign) FILTER (WHERE status = 'failed' AND (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS undelivered,
        coalesce(sum(sign) FILTER (WHERE status = 'bounced'), 0) AS bounced,
        coalesce(sum(sign) FILTER (WHERE status IN ('delivered', 'read', 'clicked', 'replied')), 0) AS delivered,
        coalesce(sum(sign) FILTER (WHERE status = 'sent'), 0) AS pending,
        coalesce(sum(sign) FILTER (WHERE coalesce(read_at, clicked_at, replied_at) IS NOT NULL), 0) AS read,
        coalesce(sum(sign) FILTER (WHERE clicked_at IS NOT NULL), 0) AS clicked,
        coalesce(sum(sign) FILTER (WHERE replied_at IS NOT NULL), 0) AS replied,
        coalesce(sum(sign) FILTER (WHERE status IN ('read', 'clicked', 'replied')), 0) AS ended_read,
        coalesce(sum(sign) FILTER (WHERE status = 'replied'), 0) AS ended_replied,
        coalesce(sum(sign) FILTER (WHERE (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS taken,
        coalesce(sum(sign) FILTER (WHERE cost IS NULL AND (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS unpriced,
        coalesce(sum(sign) FILTER (WHERE cost IS NOT NULL), 0) AS priced,
        coalesce(sum(sign * round(cost * 1000000)::bigint), 0)::bigint AS units,
        coalesce(sum(sign * segments), 0) AS segments
        FROM (SELECT -1 AS sign, * FROM old_rows) changed
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    ) summed
    WHERE (messages, skipped, queued, unknown, refused, undelivered, bounced, delivered, pending, read, clicked, replied, ended_read, ended_replied, taken, unpriced, priced, units, segments) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    ;
    ELSIF EXISTS (
        SELECT 
        id, client_id, channel, direction, campaign_id, run_id, provider_account_id, to_address,
        currency, reason, status, sent_at, read_at, clicked_at, replied_at, cost, segments,
        created_at FROM new_rows EXCEPT SELECT 
        id, client_id, channel, direction, campaign_id, run_id, provider_account_id, to_address,
        currency, reason, status, sent_at, read_at, clicked_at, replied_at, cost, segments,
        created_at FROM old_rows
    ) THEN
        
    INSERT INTO message_days (client_id, day, channel, direction, campaign_id, run_id, provider_account_id, domain, currency, reason, messages, skipped, queued, unknown, refused, undelivered, bounced, delivered, pending, read, clicked, replied, ended_read, ended_replied, taken, unpriced, priced, units, segments, joined)
    SELECT *, false FROM (
        SELECT client_id, (created_at AT TIME ZONE 'UTC')::date AS day, channel, direction,
        campaign_id, run_id, provider_account_id,
        nullif(substr(to_address, strpos(to_address, '@') + 1), to_address) AS domain,
        currency, reason,
        sum(sign) AS messages,
        coalesce(sum(sign) FILTER (WHERE status = 'skipped'), 0) AS skipped,
        coalesce(sum(sign) FILTER (WHERE status IN ('queued', 'sending')), 0) AS queued,
        coalesce(sum(sign) FILTER (WHERE status = 'unknown'), 0) AS unknown,
        coalesce(sum(sign) FILTER (WHERE status = 'failed' AND NOT (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS refused,
        coalesce(sum(sign) FILTER (WHERE status = 'failed' AND (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS undelivered,
        coalesce(sum(sign) FILTER (WHERE status = 'bounced'), 0) AS bounced,
        coalesce(sum(sign) FILTER (WHERE status IN ('delivered', 'read', 'clicked', 'replied')), 0) AS delivered,
        coalesce(sum(sign) FILTER (WHERE status = 'sent'), 0) AS pending,
        coalesce(sum(sign) FILTER (WHERE coalesce(read_at, clicked_at, replied_at) IS NOT NULL), 0) AS read,
        coalesce(sum(sign) FILTER (WHERE clicked_at IS NOT NULL), 0) AS clicked,
        coalesce(sum(sign) FILTER (WHERE replied_at IS NOT NULL), 0) AS replied,
        coalesce(sum(sign) FILTER (WHERE status IN ('read', 'clicked', 'replied')), 0) AS ended_read,
        coalesce(sum(sign) FILTER (WHERE status = 'replied'), 0) AS ended_replied,
        coalesce(sum(sign) FILTER (WHERE (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS taken,
        coalesce(sum(sign) FILTER (WHERE cost IS NULL AND (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS unpriced,
        coalesce(sum(sign) FILTER (WHERE cost IS NOT NULL), 0) AS priced,
        coalesce(sum(sign * round(cost * 1000000)::bigint), 0)::bigint AS units,
        coalesce(sum(sign * segments), 0) AS segments
        FROM (SELECT 1 AS sign, * FROM new_rows UNION ALL SELECT -1 AS sign, * FROM old_rows) changed
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    ) summed
    WHERE (messages, skipped, queued, unknown, refused, undelivered, bounced, delivered, pending, read, clicked, replied, ended_read, ended_replied, taken, unpriced, priced, units, segments) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    ;
    END IF;
    RETURN NULL;
END $$
"""
TRIGGERS = (
    """
        CREATE TRIGGER message_days_insert AFTER INSERT ON communications
        REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION message_days_count()
        """,
    """
        CREATE TRIGGER message_days_update AFTER UPDATE ON communications
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION message_days_count()
        """,
    """
        CREATE TRIGGER message_days_delete AFTER DELETE ON communications
        REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION message_days_count()
        """,
)
FILL = """
    INSERT INTO message_days (client_id, day, channel, direction, campaign_id, run_id, provider_account_id, domain, currency, reason, messages, skipped, queued, unknown, refused, undelivered, bounced, delivered, pending, read, clicked, replied, ended_read, ended_replied, taken, unpriced, priced, units, segments, joined)
    SELECT *, true FROM (
        SELECT client_id, (created_at AT TIME ZONE 'UTC')::date AS day, channel, direction,
        campaign_id, run_id, provider_account_id,
        nullif(substr(to_address, strpos(to_address, '@') + 1), to_address) AS domain,
        currency, reason,
        sum(sign) AS messages,
        coalesce(sum(sign) FILTER (WHERE status = 'skipped'), 0) AS skipped,
        coalesce(sum(sign) FILTER (WHERE status IN ('queued', 'sending')), 0) AS queued,
        coalesce(sum(sign) FILTER (WHERE status = 'unknown'), 0) AS unknown,
        coalesce(sum(sign) FILTER (WHERE status = 'failed' AND NOT (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS refused,
        coalesce(sum(sign) FILTER (WHERE status = 'failed' AND (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS undelivered,
        coalesce(sum(sign) FILTER (WHERE status = 'bounced'), 0) AS bounced,
        coalesce(sum(sign) FILTER (WHERE status IN ('delivered', 'read', 'clicked', 'replied')), 0) AS delivered,
        coalesce(sum(sign) FILTER (WHERE status = 'sent'), 0) AS pending,
        coalesce(sum(sign) FILTER (WHERE coalesce(read_at, clicked_at, replied_at) IS NOT NULL), 0) AS read,
        coalesce(sum(sign) FILTER (WHERE clicked_at IS NOT NULL), 0) AS clicked,
        coalesce(sum(sign) FILTER (WHERE replied_at IS NOT NULL), 0) AS replied,
        coalesce(sum(sign) FILTER (WHERE status IN ('read', 'clicked', 'replied')), 0) AS ended_read,
        coalesce(sum(sign) FILTER (WHERE status = 'replied'), 0) AS ended_replied,
        coalesce(sum(sign) FILTER (WHERE (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS taken,
        coalesce(sum(sign) FILTER (WHERE cost IS NULL AND (sent_at IS NOT NULL OR status IN ('sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'))), 0) AS unpriced,
        coalesce(sum(sign) FILTER (WHERE cost IS NOT NULL), 0) AS priced,
        coalesce(sum(sign * round(cost * 1000000)::bigint), 0)::bigint AS units,
        coalesce(sum(sign * segments), 0) AS segments
        FROM (SELECT 1 AS sign, * FROM communications) changed
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    ) summed
    WHERE (messages, skipped, queued, unknown, refused, undelivered, bounced, delivered, pending, read, clicked, replied, ended_read, ended_replied, taken, unpriced, priced, units, segments) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    """


def upgrade() -> None:
    """Go forward."""
    _beside()
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "message_days",
        sa.Column("id", big, autoincrement=True, nullable=False),
        sa.Column("client_id", big, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("channel", sa.String(24), nullable=False),
        sa.Column("direction", sa.String(24), nullable=False),
        sa.Column("campaign_id", big, nullable=True),
        sa.Column("run_id", big, nullable=True),
        sa.Column("provider_account_id", big, nullable=True),
        sa.Column("domain", sa.String(512), nullable=True),
        sa.Column("currency", sa.String(3), nullable=True),
        sa.Column("reason", sa.String(24), nullable=True),
        *[sa.Column(name, sa.Integer(), nullable=False) for name in COUNTS],
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("joined", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_message_days"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(FUNCTION)
        for trigger in TRIGGERS:
            op.execute(trigger)
        op.execute(FILL)
    _index("message_days", "apart", "NOT joined", "id")
    for columns in (("client_id", "day"), ("client_id", "campaign_id"), ("run_id",)):
        op.create_index("_".join(("ix_message_days", *columns)), "message_days", columns)


def _beside() -> None:
    """Build the indexes of big tables, while others write."""
    for name, given, *columns in PARTS:
        create_index("communications", f"ix_communications_{name}", columns, **_where(given))
    for table, name, given, *columns in OTHERS:
        create_index(table, f"ix_{table}_{name}", columns, **_where(given))
    for table, *columns in WHOLE:
        name = "_".join(("ix", table, *columns))
        create_index(table, name, columns, postgresql_ops=PATTERNS)
    columns = ["client_id", "campaign_id", "id"]
    replace_index("communications", CAMPAIGN, columns, **_where(GIVEN))


def _index(table: str, name: str, given: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{name}", table, columns, **_where(given))


def _where(given: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(given), "postgresql_where": sa.text(given)}


def downgrade() -> None:
    """Go back."""
    for table, *columns in WHOLE:
        op.drop_index("_".join(("ix", table, *columns)), table)
    for table, name, *_ in OTHERS:
        op.drop_index(f"ix_{table}_{name}", table)
    for name, *_ in PARTS:
        op.drop_index(f"ix_communications_{name}", "communications")
    op.drop_index(CAMPAIGN, "communications")
    _index("communications", "campaign", GIVEN, "client_id", "campaign_id")
    if op.get_bind().dialect.name == "postgresql":
        for deed in ("insert", "update", "delete"):
            op.execute(f"DROP TRIGGER message_days_{deed} ON communications")
        op.execute("DROP FUNCTION message_days_count()")
    op.drop_table("message_days")
