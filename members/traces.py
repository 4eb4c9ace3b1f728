"""Traces: what tables of other layers hold of a person, besides rows of the person's own.

Messages, what providers said of them, requests as providers sent them, and rejected rows of
imports. The tables are named here, not imported: they belong to layers above, and an erasure is one
transaction.

Raw requests are encrypted, so nobody can search them for a person. Those that told of the person's
messages are known by their events, and emptied with the erasure. All others that were received
before it are emptied within a day, whoever they tell of (`sweep`), and so are those that come later
and tell of a message to somebody who was erased: what was applied is in the log, and what is lost
is only the possibility to apply it again.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    LargeBinary,
    Select,
    Update,
    and_,
    column,
    delete,
    func,
    literal,
    literal_column,
    or_,
    select,
    table,
    update,
)
from sqlalchemy.orm import Session

from core.db import Json, UtcDateTime
from core.rows import among, within
from members.address import MemberAddress
from members.member import Member

MESSAGES = table(
    "communications",
    column("id"), column("client_id"), column("member_id"), column("to_address"),
    column("from_address"), column("address_hash"), column("merge", Json), column("subject"),
    column("content"), column("error_message"), column("direction"),
    column("content_removed_at", UtcDateTime()),
)  # fmt: skip
EVENTS = table(
    "communication_events",
    column("id"), column("communication_id"), column("inbox_id"), column("detail"),
)  # fmt: skip
ATTEMPTS = table("attempts", column("id"), column("communication_id"), column("detail"))
INBOX = table(
    "inbox",
    column("id"), column("client_id"), column("request", LargeBinary()), column("state"),
    column("received_at", UtcDateTime()),
)  # fmt: skip
COLLECTED = table(
    "collected",
    column("id"), column("client_id"), column("state"), column("received_at", UtcDateTime()),
)  # fmt: skip
REJECTS = table(
    "import_rejects",
    column("id"), column("client_id"), column("value"), column("message"), column("original", Json),
)  # fmt: skip
ERASURES = table(
    "erasures",
    column("client_id"), column("member_id"), column("erased_at", UtcDateTime()),
)  # fmt: skip
M: Any = MESSAGES.c
RAW: Any = INBOX.c
C: Any = EVENTS.c
DONE = ("applied", "dead")
"""States of stored requests that nobody waits for."""
PAGE = 1000
SWEPT_FOR = timedelta(days=60)
"""So long after an erasure requests that still tell of the person are looked for."""
LEAST_DIGITS = 7
"""A shorter number is found everywhere."""


def forget(
    session: Session, client_id: int, ids: Sequence[int], *, now: datetime
) -> dict[str, Any]:
    """Empty what is left of members elsewhere; return how many rows of each table."""
    names = known(session, client_id, ids)
    mine = and_(M.client_id == client_id, _theirs(session, ids, names))
    messages = session.scalars(select(M.id).where(mine)).all()
    counts = {
        "inbox": _empty_requests(session, client_id, messages),
        "import_rejects": _empty_rejects(session, client_id, names),
    }
    for name, of, which in (
        ("communication_events", EVENTS, C.communication_id),
        ("attempts", ATTEMPTS, ATTEMPTS.c.communication_id),
    ):
        told_of = update(of).where(_any(session, which, messages), of.c.detail.is_not(None))
        counts[name] = len(session.scalars(told_of.values(detail=None).returning(of.c.id)).all())
    _empty_messages(session, update(MESSAGES).where(_any(session, M.id, messages)), now)
    return counts | {"communications": len(messages)}


def sweep(session: Session, *, now: datetime, limit: int = PAGE) -> int:
    """Empty up to `limit` raw requests that may name somebody who was erased; return how many."""
    lately = ERASURES.c.erased_at > now - SWEPT_FOR
    before = (
        select(ERASURES.c.client_id, func.max(ERASURES.c.erased_at).label("at"))
        .where(lately)
        .group_by(ERASURES.c.client_id)
        .subquery()
    )
    older = (
        select(RAW.id)
        .join(before, before.c.client_id == RAW.client_id)
        .where(RAW.received_at <= before.c.at)
    )
    of_erased = (
        select(C.inbox_id)
        .join(MESSAGES, M.id == C.communication_id)
        .join(
            ERASURES,
            and_(ERASURES.c.client_id == M.client_id, ERASURES.c.member_id == M.member_id),
        )
        .where(lately, C.inbox_id.is_not(None))
    )
    found = _emptied(session, RAW.id.in_(older.union(of_erased)), limit)
    _empty_again(session, lately, now)
    dead = (
        select(COLLECTED.c.id)
        .join(before, before.c.client_id == COLLECTED.c.client_id)
        .where(COLLECTED.c.state == "dead", COLLECTED.c.received_at <= before.c.at)
        .limit(limit)
    )
    gone = session.scalars(
        delete(COLLECTED).where(COLLECTED.c.id.in_(dead)).returning(COLLECTED.c.id)
    )
    return found + len(gone.all())


def _empty_again(session: Session, lately: Any, now: datetime) -> None:
    """Empty what was told about messages that were on their way when their member was erased."""
    theirs = (
        select(M.id)
        .join(
            ERASURES,
            and_(ERASURES.c.client_id == M.client_id, ERASURES.c.member_id == M.member_id),
        )
        .where(lately)
    )
    for of, which in ((EVENTS, C.communication_id), (ATTEMPTS, ATTEMPTS.c.communication_id)):
        told_of = update(of).where(which.in_(theirs), of.c.detail.is_not(None))
        session.execute(told_of.values(detail=None))
    full = or_(
        *(one.is_not(None) for one in (M.to_address, M.subject, M.content, M.error_message)),
        and_(M.direction == "inbound", M.from_address.is_not(None)),
    )
    _empty_messages(session, update(MESSAGES).where(M.id.in_(theirs), full), now)


def _empty_messages(session: Session, which: Update, now: datetime) -> None:
    # Of what somebody wrote to us, the sender is the person; of what we sent, it is us.
    session.execute(which.where(M.direction == "inbound").values(from_address=None))
    session.execute(
        which.values(
            to_address=None,
            merge={},
            subject=None,
            content=None,
            error_message=None,
            content_removed_at=func.coalesce(M.content_removed_at, literal(now, UtcDateTime())),
        )
    )


def _emptied(session: Session, which: Any, limit: int) -> int:
    full = select(RAW.id).where(which, RAW.state.in_(DONE), func.length(RAW.request) > 0)
    ids = session.scalars(full.order_by(RAW.id).limit(limit)).all()
    if ids:
        session.execute(update(INBOX).where(_any(session, RAW.id, ids)).values(request=b""))
    return len(ids)


def _empty_requests(session: Session, client_id: int, messages: Sequence[int]) -> int:
    told: Select[Any] = select(C.inbox_id).where(_any(session, C.communication_id, messages))
    return _emptied(session, and_(RAW.client_id == client_id, within(session, RAW.id, told)), 10**9)


def _theirs(session: Session, ids: Sequence[int], names: "Known") -> Any:
    """Return the messages to and from the members, also those that are filed under nobody."""
    return or_(
        _any(session, M.member_id, ids),
        and_(M.member_id.is_(None), _any(session, M.address_hash, names.hashes)),
        and_(M.member_id.is_(None), _any(session, M.to_address, names.addresses)),
        and_(
            M.member_id.is_(None),
            M.direction == "inbound",
            _any(session, M.from_address, names.addresses),
        ),
    )


class Known:
    """By what members may be named in text that somebody else wrote."""

    def __init__(self) -> None:
        self.hashes: list[str] = []
        self.addresses: list[str] = []
        self.words: set[str] = set()
        self.digits: set[str] = set()

    def add(self, address: str) -> None:
        """Note an address."""
        self.addresses.append(address)
        self.words.add(address.casefold())
        digits = "".join(sign for sign in address if sign.isdigit())
        if "@" not in address and len(digits) >= LEAST_DIGITS:
            self.digits.add(digits[-10:])

    def named_in(self, text: str) -> bool:
        """Say whether a text names one of them."""
        folded = text.casefold()
        if any(word in folded for word in self.words):
            return True
        digits = "".join(sign for sign in text if sign.isdigit())
        return any(number in digits for number in self.digits)


def known(session: Session, client_id: int, ids: Sequence[int]) -> Known:
    """Return by what the members may be named, as long as their addresses are kept."""
    names = Known()
    A = MemberAddress  # noqa: N806  (a table alias)
    of = select(A.hash, A.value).where(A.client_id == client_id, among(session, A.member_id, ids))
    for hash, value in session.execute(of):
        names.hashes.append(hash)
        names.add(value)
    people = select(Member.email, Member.phone, Member.full_name, Member.member_id).where(
        among(session, Member.id, ids)
    )
    for email, phone, name, key in session.execute(people):
        for address in filter(None, (email, phone)):
            names.add(address)
        # A whole name or an id of theirs; a first name alone would take others' rows.
        names.words |= {text.casefold() for text in (name, key.partition("#")[0]) if text}
    names.words = {word for word in names.words if len(word) >= LEAST_DIGITS}
    return names


def _empty_rejects(session: Session, client_id: int, names: Known) -> int:
    named = [row.id for row in rejects(session, client_id) if names.named_in(told(row))]
    session.execute(
        update(REJECTS)
        .where(_any(session, REJECTS.c.id, named))
        .values(value="", message="the row was erased", original=[])
    )
    return len(named)


def told(row: Any) -> str:
    """Return everything a rejected row says."""
    return " ".join([row.value, row.message, *map(str, row.original)])


def rejects(session: Session, client_id: int) -> Iterator[Any]:
    """Yield the rejected rows of all the client's imports."""
    after = 0
    while True:
        query = select(REJECTS).where(REJECTS.c.client_id == client_id, REJECTS.c.id > after)
        page = session.execute(query.order_by(REJECTS.c.id).limit(PAGE)).all()
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].id


def _any(session: Session, wanted: Any, values: Sequence[Any]) -> Any:
    return among(session, wanted, list(values)) if values else literal_column("1") == 0
