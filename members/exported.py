"""Exported: the finished and half-written files of exports that hold somebody who is to be erased.

The table is named here, not imported: it belongs to a layer above, and an erasure is one
transaction. A worker deletes the files within a minute; nobody is given one from the erasure on.
"""

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import column, select, table, update
from sqlalchemy.orm import Session

from core.clock import Clock
from core.db import Json, UtcDateTime

EXPORTS = table(
    "exports",
    column("id"), column("client_id"), column("of"), column("chosen", Json), column("status"),
    column("error"), column("position"), column("rows"), column("size"), column("kept_as"),
    column("expires_at", UtcDateTime()),
)  # fmt: skip
E: Any = EXPORTS.c
DONE = "done"
OPEN = (DONE, "queued", "running")
WHY = "somebody in it was erased"


def forget(session: Session, clock: Clock, client_id: int, ids: Sequence[int]) -> int:
    """Expire the client's files that hold the members, and begin half-written ones anew.

    All that are not over are locked until the erasure is: no slice is read meanwhile. Whoever asks
    for one waits for this client's turn, which the caller has taken. Returns how many are gone.
    """
    mine = select(EXPORTS).where(E.client_id == client_id, E.status.in_(OPEN)).order_by(E.id)
    found = [row for row in session.execute(mine.with_for_update()) if _holds(row, ids)]
    for row in found:
        values: dict[str, Any] = (
            {"status": "expired", "error": WHY, "expires_at": clock.now()}
            if row.status == DONE
            else {"status": "queued", "kept_as": secrets.token_hex(16), "position": 0}
            | {"rows": 0, "size": 0}
        )
        session.execute(update(EXPORTS).where(E.id == row.id).values(**values))
    return len(found)


def _holds(row: Any, ids: Sequence[int]) -> bool:
    """Say whether a file may hold one of the members: rather one too many than one too few."""
    if row.of == "client":
        return bool(row.status != "queued")
    if row.of == "members":
        return bool(row.position >= min(ids))
    about = row.chosen.get("member_id")
    return row.position > 0 and (about is None or about in ids)
