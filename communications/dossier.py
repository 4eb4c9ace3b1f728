"""Dossier: everything that is kept about one member, for the member to have (GDPR 15 and 20).

SECTIONS names every table that holds something of a person and by which columns; WITHOUT every
table that looks as if it did, and why it is not shown. A test finds a table that is in neither.
Tables of layers above are taken from the metadata by their names.

Invariants
    1. Nothing here changes anything.
    2. Only rows of the client asked for are read.
"""

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Table, or_, select
from sqlalchemy.orm import Session

from communications.communication import Communication
from communications.content import ContentStore
from communications.queries import rendered
from core.db import Base
from core.rows import among
from members import traces
from members.erasure import lineage
from members.errors import MemberNotFoundError
from members.member import Member

PAGE = 1000
OURS = frozenset({"client_id", "token", "owner", "lease_until", "moved", "draft", "plan"})
"""Columns that say nothing of a person, or what the rest of the file says already."""


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of one table."""

    table: str
    by: tuple[str, ...] = ("member_id",)
    """Columns that hold the member's id, or that of a row of `through`."""
    through: str | None = None
    """The table between this one and the member."""


SECTIONS = (
    Section("members", by=("id",)),
    *map(
        Section,
        ("addresses", "member_tags", "identities", "member_notes", "consents", "consent_states",
         "member_changes", "segment_members", "segment_memberships", "scores", "tier_changes",
         "tier_standings", "signals", "events", "event_totals", "event_days", "orders",
         "bulk_errors", "erasures", "enrolments", "communications"),
    ),
    Section("enrolment_steps", by=("enrolment_id",), through="enrolments"),
    Section("communication_events", by=("communication_id",), through="communications"),
    Section("attempts", by=("communication_id",), through="communications"),
    Section("clicks", by=("communication_id",), through="communications"),
    Section("duplicates", by=("first_id", "second_id")),
    Section("merges", by=("survivor_id", "absorbed_id")),
    Section("commissions", by=("referrer_id", "referred_id")),
)  # fmt: skip
FOUND = ("suppressions", "imports", "import_rejects", "audit_log")
"""Sections that are found by an address, a name or a file, and not by the member's id."""
WITHOUT = {
    "api_keys": "of people who log in, not of members",
    "bulk_edits": "a rule or ids, and what was set: what it changed is in member_changes",
    "clients": "the client's own",
    "collected": "sealed until its events are kept, a moment later",
    "idempotency_keys": "sealed answers to a program, gone within a day",
    "inbox": "sealed requests of providers; what they told is in communication_events",
    "invitations": "to people who are to log in, not to members",
    "journeys": "triggered_member is a place in a list",
    "runs": "last_member_id is a place in a list",
    "template_versions": "the client's own texts",
    "touches": "ids of members whose segments are to be looked at again",
    "users": "people who log in, not members",
}
"""Tables that are not in the file, and why."""


def dossier(
    session: Session, content: ContentStore, *, client_id: int, id: int
) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    """Yield every section with its rows, also those of members who were merged into this one.

    A member that was deleted, too: until it is erased, everything is there. Raises
    MemberNotFoundError before the first section.
    """
    M = Member  # noqa: N806  (a table alias)
    if session.scalar(select(M.id).where(M.client_id == client_id, M.id == id)) is None:
        raise MemberNotFoundError(f"no member {id}")
    ids = lineage(session, client_id, id)
    return _sections(session, content, client_id, ids)


def _sections(
    session: Session, content: ContentStore, client_id: int, ids: Sequence[int]
) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    for section in SECTIONS:
        found = _rows(session, _table(section.table), _which(session, section, client_id, ids))
        if section.table == "communications":
            found = _with_content(session, content, found)
        yield section.table, found
    known = traces.known(session, client_id, ids)
    for name in FOUND:
        yield name, FINDERS[name](session, client_id, ids, known)


def _which(
    session: Session, section: Section, client_id: int, ids: Sequence[int]
) -> ColumnElement[bool]:
    columns: Any = _table(section.table).c
    if section.through is None:
        mine = or_(*[among(session, columns[name], ids) for name in section.by])
    else:
        between: Any = _table(section.through).c
        theirs = select(between.id).where(among(session, between.member_id, ids))
        mine = columns[section.by[0]].in_(theirs)
    inside: ColumnElement[bool] = mine & (columns.client_id == client_id)
    return inside


def _rows(session: Session, of: Table, which: ColumnElement[bool]) -> Iterator[dict[str, Any]]:
    order = list(of.primary_key.columns)
    shown = [one for one in of.columns if one.name not in OURS]
    query = select(*shown).where(which).order_by(*order)
    for row in session.execute(query.execution_options(yield_per=PAGE)).mappings():
        yield {name: _plain(value) for name, value in row.items() if not isinstance(value, bytes)}


def _with_content(
    session: Session, content: ContentStore, rows: Iterator[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    for row in rows:
        message = session.get(Communication, row["id"])
        said = rendered(session, content, message) if message and _kept(message) else {}
        yield row | {"said": said}
        session.expunge_all()


def _kept(message: Communication) -> bool:
    return bool(message.merge or message.content or message.subject)


def _suppressions(
    session: Session, client_id: int, ids: Sequence[int], known: traces.Known
) -> Iterator[dict[str, Any]]:
    del ids
    of = _table("suppressions")
    c: Any = of.c
    mine = among(session, c.address_hash, known.hashes or ["-"])
    return _rows(session, of, mine & (c.client_id == client_id))


def _imports(
    session: Session, client_id: int, ids: Sequence[int], known: traces.Known
) -> Iterator[dict[str, Any]]:
    del known
    of = _table("imports")
    theirs = select(Member.import_id).where(among(session, Member.id, ids))
    return _rows(session, of, of.c.id.in_(theirs) & (of.c.client_id == client_id))


def _rejects(
    session: Session, client_id: int, ids: Sequence[int], known: traces.Known
) -> Iterator[dict[str, Any]]:
    del ids
    for row in traces.rejects(session, client_id):
        if known.named_in(traces.told(row)):
            yield dict(row._mapping)


def _audit(
    session: Session, client_id: int, ids: Sequence[int], known: traces.Known
) -> Iterator[dict[str, Any]]:
    of = _table("audit_log")
    c: Any = of.c
    targets = [f"member:{one}" for one in ids]
    targets += [f"{kind}:{hash}" for kind in ("email", "sms", "push") for hash in known.hashes]
    return _rows(session, of, among(session, c.target, targets) & (c.client_id == client_id))


Finder = Callable[[Session, int, Sequence[int], traces.Known], Iterator[dict[str, Any]]]
FINDERS: Mapping[str, Finder] = {
    "suppressions": _suppressions,
    "imports": _imports,
    "import_rejects": _rejects,
    "audit_log": _audit,
}


def _table(name: str) -> Table:
    return Base.metadata.tables[name]


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
