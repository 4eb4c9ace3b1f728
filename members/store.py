"""Store: members of one set, old and new, written with what belongs to them.

New members are copied in bulk, for nobody else can know them yet. What is written to members that
exist already minds what others write beside it.

Invariants
    1. A member has at most one primary address of a kind.
    2. What an edit changed is in `member_changes`, in the same transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from accounts.news import News
from accounts.outbox import Fact, publish
from core.address import AddressHasher
from core.bulk import load, next_ids, update_each
from core.clock import Clock
from core.rows import among
from core.sql import insert_into
from members.address import MemberAddress
from members.change import Change, record_changes
from members.consent import ConsentState, Word, record_first, record_many
from members.member import Member, MemberStatus, MemberTag, Tier
from members.person import Permission
from members.touch import touch

MEMBERS: Any = Member.__table__
TAGS: Any = MemberTag.__table__
ADDRESSES: Any = MemberAddress.__table__
ALWAYS: Mapping[str, Any] = {"tier": Tier.BASIC, "status": MemberStatus.ACTIVE}
"""What a new member has when nothing is said of it."""


@dataclass(slots=True)
class Slot:
    """One member on its way into the database, and what changes about it."""

    id: int
    """0 until a new member has one."""
    key: str
    new: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    """What the member has now, by column; `attributes` among them."""
    before: dict[str, Any] = field(default_factory=dict)
    """Column → what it held before it was changed."""
    primary: dict[str, str] = field(default_factory=dict)
    """Kind → its primary address."""
    new_addresses: dict[str, str] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    new_tags: set[str] = field(default_factory=set)
    consents: dict[tuple[str, str], ConsentState] = field(default_factory=dict)
    words: list[Permission] = field(default_factory=list)
    """What the member said."""

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.before or self.new_addresses or self.new_tags or self.words)


def store(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    slots: Sequence[Slot],
    source: str | None = None,
    actor: str | None = None,
    import_id: int | None = None,
) -> None:
    """Write a set of members; new ones get their ids.

    With a `source`, edits of members that were there before are noted under it.
    """
    now = clock.now()
    new = [slot for slot in slots if slot.new]
    old = [slot for slot in slots if not slot.new and slot.changed]
    if new:
        for slot, id_ in zip(new, next_ids(session, MEMBERS, len(new)), strict=True):
            slot.id = id_
        _insert_members(session, client_id, new, now, import_id)
        _insert_addresses(session, hasher, client_id, new, now)
        _insert_tags(session, client_id, new)
        record_first(session, clock, client_id=client_id, words=_words(new))
        publish(
            session, clock.now(), client_id=client_id, facts=(_created(one, now) for one in new)
        )
    if old:
        _update_members(session, old, now)
        _renew_addresses(session, hasher, client_id, old, now)
        _add_tags(session, client_id, old)
        record_many(session, clock, client_id=client_id, words=_words(old))
        if source is not None:
            noted = [Change(slot.id, _difference(slot)) for slot in old]
            record_changes(
                session, clock, client_id=client_id, source=source, changes=noted, actor=actor
            )
    touch(session, client_id=client_id, member_ids=[slot.id for slot in (*new, *old)])


def _created(slot: Slot, now: datetime) -> Fact:
    return Fact(News.MEMBER_CREATED, f"member:{slot.id}", now, {"id": slot.id})


def _difference(slot: Slot) -> dict[str, tuple[Any, Any]]:
    found = {
        name: (value, slot.values.get(name))
        for name, value in slot.before.items()
        if value != slot.values.get(name)
    }
    if slot.new_tags:
        found["tags"] = ([], sorted(slot.new_tags))
    return found


def _words(slots: Sequence[Slot]) -> list[Word]:
    return [
        Word(
            slot.id,
            said.channel,
            said.state,
            said.source,
            said.occurred_at,
            said.topic,
            said.wording,
            said.proof,
        )
        for slot in slots
        for said in slot.words
    ]


def _insert_members(
    session: Session, client_id: int, slots: Sequence[Slot], now: datetime, import_id: int | None
) -> None:
    names = sorted({name for slot in slots for name in slot.values} | set(ALWAYS))
    columns: dict[str, Any] = {
        "id": [slot.id for slot in slots],
        "client_id": client_id,
        "version": 1,
        "created_at": now,
        "updated_at": now,
        "import_id": import_id,
    }
    for name in names:
        blank = ALWAYS.get(name)
        columns[name] = [slot.values.get(name, blank) for slot in slots]
    columns["member_id"] = [slot.key for slot in slots]
    load(session, MEMBERS, columns, len(slots))


def _insert_addresses(
    session: Session, hasher: AddressHasher, client_id: int, slots: Sequence[Slot], now: datetime
) -> None:
    rows = [(slot.id, kind, value) for slot in slots for kind, value in slot.new_addresses.items()]
    digest = hasher.hash
    columns: dict[str, Any] = {
        "client_id": client_id,
        "member_id": [row[0] for row in rows],
        "channel": [row[1] for row in rows],
        "value": [row[2] for row in rows],
        "hash": [digest(client_id, kind, value) for _, kind, value in rows],
        "created_at": now,
        "updated_at": now,
    }
    load(session, ADDRESSES, columns, len(rows))


def _insert_tags(session: Session, client_id: int, slots: Sequence[Slot]) -> None:
    rows = [(slot.id, tag) for slot in slots for tag in slot.new_tags]
    columns = {
        "member_id": [row[0] for row in rows],
        "tag": [row[1] for row in rows],
        "client_id": client_id,
    }
    load(session, TAGS, columns, len(rows))


def _add_tags(session: Session, client_id: int, slots: Sequence[Slot]) -> None:
    tags = [
        {"member_id": slot.id, "tag": tag, "client_id": client_id}
        for slot in slots
        for tag in sorted(slot.new_tags)
    ]
    if tags:
        session.execute(insert_into(session, MemberTag).on_conflict_do_nothing(), tags)


def _update_members(session: Session, slots: Sequence[Slot], now: datetime) -> None:
    """Update changed members: one statement per set of changed columns, of which there are few.

    Only what changed is written: an edit by somebody else of another column stays.
    """
    alike: dict[tuple[str, ...], list[Slot]] = {}
    for slot in slots:
        alike.setdefault(tuple(sorted(slot.before)), []).append(slot)
    for names, group in alike.items():
        columns = {name: [slot.values[name] for slot in group] for name in names}
        extra = {"version": MEMBERS.c.version + 1, "updated_at": now}
        update_each(session, MEMBERS, [slot.id for slot in group], columns, extra)


def _renew_addresses(
    session: Session, hasher: AddressHasher, client_id: int, slots: Sequence[Slot], now: datetime
) -> None:
    """Insert new primary addresses; the former primary of that kind stays as a further one."""
    new = [(slot, kind, value) for slot in slots for kind, value in slot.new_addresses.items()]
    if not new:
        return
    A = MemberAddress  # noqa: N806  (a table alias)
    for kind in sorted({kind for _, kind, _ in new}):
        ids = [slot.id for slot, its, _ in new if its == kind]
        session.execute(
            update(A)
            .where(among(session, A.member_id, ids), A.channel == kind, A.is_primary)
            .values(is_primary=False, updated_at=now)
            .execution_options(synchronize_session=False)
        )
    statement = insert_into(session, A).on_conflict_do_update(
        index_elements=["member_id", "channel", "value"],
        set_={"is_primary": True, "updated_at": now},
    )
    rows = [
        {
            "client_id": client_id,
            "member_id": slot.id,
            "channel": kind,
            "value": value,
            "hash": hasher.hash(client_id, kind, value),
            "created_at": now,
            "updated_at": now,
        }
        for slot, kind, value in new
    ]
    session.execute(statement, rows)
