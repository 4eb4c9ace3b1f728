"""Triggers that keep `message_days` equal to the log on PostgreSQL, whoever writes it.

They run once a statement, over all rows it changed. Migrations make the same.
"""

from typing import cast

from sqlalchemy import Table

from communications.communication import Communication
from communications.day import COUNTS, KEYS
from core.rollup import NEW, OLD, keep_by_triggers

ACCEPTED = "'sent', 'bounced', 'delivered', 'read', 'clicked', 'replied'"
TAKEN = f"(sent_at IS NOT NULL OR status IN ({ACCEPTED}))"
TESTS = {
    "skipped": "status = 'skipped'",
    "queued": "status IN ('queued', 'sending')",
    "unknown": "status = 'unknown'",
    "refused": f"status = 'failed' AND NOT {TAKEN}",
    "undelivered": f"status = 'failed' AND {TAKEN}",
    "bounced": "status = 'bounced'",
    "delivered": "status IN ('delivered', 'read', 'clicked', 'replied')",
    "pending": "status = 'sent'",
    "read": "coalesce(read_at, clicked_at, replied_at) IS NOT NULL",
    "clicked": "clicked_at IS NOT NULL",
    "replied": "replied_at IS NOT NULL",
    "ended_read": "status IN ('read', 'clicked', 'replied')",
    "ended_replied": "status = 'replied'",
    "taken": TAKEN,
    "unpriced": f"cost IS NULL AND {TAKEN}",
    "priced": "cost IS NOT NULL",
    "machine_read": "machine_read",
    "machine_clicked": "machine_clicked",
}
SUMS = ",\n        ".join([
    "sum(sign) AS messages",
    *(f"coalesce(sum(sign) FILTER (WHERE {test}), 0) AS {name}" for name, test in TESTS.items()),
    "coalesce(sum(sign * round(cost * 1000000)::bigint), 0)::bigint AS units",
    "coalesce(sum(sign * segments), 0) AS segments",
])  # fmt: skip
WATCHED = """
        id, client_id, channel, direction, campaign_id, run_id, provider_account_id, to_address,
        currency, reason, CASE status WHEN 'sending' THEN 'queued' ELSE status END, sent_at,
        read_at, clicked_at, replied_at, cost, segments,
        machine_read, machine_clicked, created_at"""
"""What counts are made of. An intent changes none: what is queued and what is being sent are one
count, and every message passes by here."""


def counted(source: str, *, joined: bool = False) -> str:
    """Return the INSERT into `message_days` of messages with a `sign` from a FROM clause."""
    return f"""
    INSERT INTO message_days (client_id, {", ".join(KEYS)}, {", ".join(COUNTS)}, joined)
    SELECT *, {str(joined).lower()} FROM (
        SELECT client_id, (created_at AT TIME ZONE 'UTC')::date AS day, channel, direction,
        campaign_id, run_id, provider_account_id,
        nullif(substr(to_address, strpos(to_address, '@') + 1), to_address) AS domain,
        currency, reason,
        {SUMS}
        FROM {source}
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    ) summed
    WHERE ({", ".join(COUNTS)}) <> ({", ".join("0" for _ in COUNTS)})
    """  # noqa: S608  (ours)


FUNCTION = f"""
CREATE OR REPLACE FUNCTION message_days_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        {counted(f"({NEW}) changed")};
    ELSIF TG_OP = 'DELETE' THEN
        {counted(f"({OLD}) changed")};
    ELSIF EXISTS (
        SELECT {WATCHED} FROM new_rows EXCEPT SELECT {WATCHED} FROM old_rows
    ) THEN
        {counted(f"({NEW} UNION ALL {OLD}) changed")};
    END IF;
    RETURN NULL;
END $$
"""  # noqa: S608  (ours)
keep_by_triggers(cast(Table, Communication.__table__), "message_days", FUNCTION)
