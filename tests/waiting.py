"""Waiting: whether PostgreSQL keeps other transactions of this database waiting for a lock."""

from concurrent.futures import Future
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

WAITING = text("""
    SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid IN (
        SELECT pid FROM pg_locks JOIN pg_database ON oid = database
        WHERE datname = current_database()
    )
""")


def until_waiting(session: Session, *works: Future[Any]) -> None:
    """Return when all of these wait for a lock; fail when one of them has ended instead."""
    while (session.scalar(WAITING) or 0) < len(works):
        assert not any(work.done() for work in works), "it did not wait"
