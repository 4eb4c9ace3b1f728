"""ConsentLedger: the ledger of consent as rows to hand out, each with its proof.

The order is that of writing, which nobody can change (consent_guard.py); what holds now is the word
with the latest `occurred_at` of a member, channel and topic.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from members.consent import Consent

PAGE = 1000
COLUMNS = (
    "id", "member_id", "channel", "topic", "state", "source", "wording", "proof", "occurred_at",
    "created_at",
)  # fmt: skip


def consent_rows(
    session: Session, client_id: int, *, member_id: int | None = None
) -> Iterator[dict[str, Any]]:
    """Yield every yes and no of a client, or of one member, oldest first."""
    after = 0
    while True:
        query = select(*[getattr(Consent, name) for name in COLUMNS]).where(
            Consent.client_id == client_id, Consent.id > after
        )
        if member_id is not None:
            query = query.where(Consent.member_id == member_id)
        page = session.execute(query.order_by(Consent.id).limit(PAGE)).mappings().all()
        for row in page:
            yield dict(row) | {
                "state": row["state"].value,
                "occurred_at": row["occurred_at"].isoformat(),
                "created_at": row["created_at"].isoformat(),
            }
        if len(page) < PAGE:
            return
        after = page[-1]["id"]
