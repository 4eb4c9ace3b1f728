"""Drift: where `message_days` does not add up to the log, and the rows that make it do so again.

Triggers keep the two equal (day_triggers.py) unless somebody goes past them: TRUNCATE, a restore of
data alone, a copy while triggers are off.

Why a correction is exact while everybody writes
    Whoever writes messages commits what that changed in the counts with them. So one statement,
    which sees one moment, finds both without anything that is under way, and what they differ by is
    no more and no less than what is missing. Adding that changes nothing for those under way: their
    rows come on top of both. Nothing is locked but the turn to correct, as two that found the same
    difference would both add it; nothing is deleted, and who reads meanwhile sees either.
"""

import secrets
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import (
    Select,
    cast,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    union_all,
)
from sqlalchemy.orm import Session

from accounts.client import Client
from communications.communication import Communication
from communications.day import COUNTS, KEYS, MessageDay, kept, recounted
from core.db import is_sqlite
from core.rollup import TABLES

C, D = Communication, MessageDay
DAY = timedelta(days=1)
TURN = 0x4558_4D52
"""`EXMR`: the PostgreSQL advisory lock of who corrects."""
MANY = 200_000
"""Messages of a client's day that are recounted in passing: 0.2 s."""
ENABLED = text("""
    SELECT count(*) FROM pg_trigger WHERE tgrelid = 'communications'::regclass
    AND tgname LIKE 'message_days_%' AND tgenabled IN ('O', 'A')
""")


def is_watched(session: Session) -> bool:
    """Say whether the triggers are there and on; SQLite counts the log itself, and needs none."""
    return is_sqlite(session) or session.scalar(ENABLED) == len(TABLES)


def days_of(session: Session, client_id: int) -> Iterator[date]:
    """Give the days of a client that may have counts or messages, oldest first."""
    counted = select(func.min(D.day), func.max(D.day)).where(D.client_id == client_id)
    logged = select(func.min(C.created_at), func.max(C.created_at)).where(C.client_id == client_id)
    ends = [one for one in session.execute(counted).one() if one is not None]
    ends += [one.astimezone(UTC).date() for one in session.execute(logged).one() if one is not None]
    if ends:
        first, last = min(ends), max(ends)
        yield from (first + DAY * number for number in range((last - first).days + 1))


def drift(session: Session, client_id: int, day: date) -> int:
    """Return how many rows of counts of a client's day are wrong or missing."""
    if is_sqlite(session):
        return 0
    return (
        session.scalar(select(func.count()).select_from(_missing(client_id, day).subquery())) or 0
    )


def correct(session: Session, client_id: int, day: date) -> int:
    """Make a client's day add up to the log; return how many rows of counts were wrong or missing.

    Reads the day's messages once. Waits for whoever corrects at the same time.
    """
    if is_sqlite(session):
        return 0
    # A statement of its own: the next one must not look before it is its turn.
    session.execute(select(func.pg_advisory_xact_lock(TURN)))
    names = ["client_id", *KEYS, *COUNTS, "joined"]
    made = insert(D).from_select(names, _missing(client_id, day)).returning(D.id)
    return len(session.scalars(made).all())


def sampled(session: Session) -> list[tuple[int, date]]:
    """Return a few clients' days that are recounted soon: the newest, the oldest, one in between.

    Of a client chosen by lot, so that asking again and again looks everywhere.
    """
    some = select(Client.id).where(select(C.id).where(C.client_id == Client.id).exists())
    client_id = session.scalar(some.order_by(func.random()).limit(1))
    if client_id is None:
        return []
    days = list(days_of(session, client_id))
    chosen = sorted({days[0], secrets.choice(days), days[-1]})
    return [(client_id, day) for day in chosen if not _is_large(session, client_id, day)]


def _is_large(session: Session, client_id: int, day: date) -> bool:
    some = select(C.id).where(*_on(client_id, day)).limit(MANY + 1).subquery()
    return (session.scalar(select(func.count()).select_from(some)) or 0) > MANY


def _on(client_id: int, day: date) -> tuple[Any, ...]:
    midnight = datetime.combine(day, time(), UTC)
    return C.client_id == client_id, C.created_at >= midnight, C.created_at < midnight + DAY


def _missing(client_id: int, day: date) -> Select[Any]:
    """Return the rows that are to be added to a client's day, so that it adds up to the log."""
    logged = recounted(*_on(client_id, day)).subquery()
    counted = kept(D.client_id == client_id, D.day == day).subquery()
    both = union_all(
        select(*[logged.c[name] for name in (*KEYS, *COUNTS)]),
        select(*[counted.c[name] for name in KEYS], *[-counted.c[name] for name in COUNTS]),
    ).subquery()
    keys = [both.c[name] for name in KEYS]
    sums = [cast(func.sum(both.c[name]), D.__table__.c[name].type).label(name) for name in COUNTS]
    whole = select(*keys, *sums).group_by(*keys).subquery()
    return select(
        literal(client_id, D.__table__.c.client_id.type),
        *whole.c,
        literal(value=False),  # a worker joins it with the others
    ).where(or_(*[whole.c[name] != 0 for name in COUNTS]))
