"""Upsert: people written into members, addresses, tags and consents, a set at a time.

A person is matched by the client's own id, else by email, else by phone; two spellings of one
person are one member. Every statement covers the whole set: about ten of them for 1,000 people.

Invariants
    1. No suppression is ever lifted here, and no withdrawn consent granted again.
    2. A member has at most one primary address of a kind.
"""

import enum
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from core.address import AddressHasher
from core.clock import Clock
from core.db import is_sqlite
from core.rows import among
from members.address import MemberAddress
from members.consent import ConsentState, CurrentConsent, Word, record_many
from members.member import Member, MemberTag
from members.person import READERS, Person

M = Member


class Existing(enum.StrEnum):
    """What is done with people who are members already."""

    FILL = "fill"  # only what is blank
    OVERWRITE = "overwrite"
    SKIP = "skip"


class Result(enum.StrEnum):
    """What became of one person."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"


@dataclass(slots=True)
class Slot:
    """One member on its way into the database, and what changes about it."""

    id: int | None
    key: str
    values: dict[str, Any] = field(default_factory=dict)
    """What the member has now, by column; `attributes` among them."""
    changed: set[str] = field(default_factory=set)
    primary: dict[str, str] = field(default_factory=dict)
    """Kind → its primary address."""
    new_addresses: dict[str, str] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    new_tags: set[str] = field(default_factory=set)
    consents: dict[tuple[str, str], ConsentState] = field(default_factory=dict)
    words: list[Word] = field(default_factory=list)


def upsert(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    people: Sequence[Person],
    existing: Existing = Existing.FILL,
    only: Member | None = None,
) -> list[tuple[Result, int]]:
    """Write people; return, in their order, what became of each and its member's id.

    With `only`, everything is said of that member, whatever else it matches.
    """
    book = _Book(session, client_id, people, only)
    results: list[tuple[Result, Slot]] = []
    for person in people:
        slot = book.find(person)
        if slot is None:
            slot = book.add(person)
            _merge(slot, person, Existing.OVERWRITE)
            results.append((Result.CREATED, slot))
            continue
        changed = existing is not Existing.SKIP and _merge(slot, person, existing)
        book.learn(slot, person)
        results.append((Result.UPDATED if changed else Result.UNCHANGED, slot))
    _write(session, clock, hasher, client_id, book.slots())
    return [(result, slot.id or 0) for result, slot in results]


class _Book:
    """Who is who among the people of one set and the members they may already be."""

    def __init__(
        self, session: Session, client_id: int, people: Sequence[Person], only: Member | None
    ) -> None:
        self._only = only.id if only is not None else None
        self._slots: list[Slot] = []
        self._by_key: dict[str, Slot] = {}
        self._by_address: dict[tuple[str, str], Slot] = {}
        self._load(session, client_id, people)

    def find(self, person: Person) -> Slot | None:
        if self._only is not None:
            return self._slots[0]
        key = person.fields.get("member_id")
        if key is not None and key in self._by_key:
            return self._by_key[key]
        for kind in ("email", "sms"):
            held = self._by_address.get((kind, person.addresses.get(kind, "")))
            # Somebody with another id of their own is somebody else, even at one mailbox.
            if held is not None and (key is None or held.key.startswith(MADE_UP)):
                return held
        return None

    def add(self, person: Person) -> Slot:
        key = person.fields.get("member_id") or f"{MADE_UP}{secrets.token_hex(8)}"
        slot = Slot(id=None, key=key, values={"attributes": {}})
        self._slots.append(slot)
        self.learn(slot, person)
        return slot

    def learn(self, slot: Slot, person: Person) -> None:
        """Remember how this person may be spelt from now on."""
        self._by_key.setdefault(slot.key, slot)
        for kind, value in person.addresses.items():
            self._by_address.setdefault((kind, value), slot)

    def slots(self) -> list[Slot]:
        return self._slots

    def _load(self, session: Session, client_id: int, people: Sequence[Person]) -> None:
        ids = {self._only} if self._only is not None else _candidates(session, client_id, people)
        if not ids:
            return
        columns = [getattr(M, name) for name in COLUMNS]
        query = select(M.id, *columns).where(
            M.client_id == client_id, among(session, M.id, sorted(ids))
        )
        slots: dict[int, Slot] = {}
        for row in session.execute(query.where(M.deleted_at.is_(None)).order_by(M.id)):
            values = dict(row._mapping)
            slots[row.id] = Slot(id=values.pop("id"), key=row.member_id, values=values)
            self._by_key[row.member_id] = slots[row.id]
        self._slots = list(slots.values())
        self._load_around(session, client_id, slots)

    def _load_around(self, session: Session, client_id: int, slots: dict[int, Slot]) -> None:
        ids = list(slots)
        A, T, S = MemberAddress, MemberTag, CurrentConsent  # noqa: N806  (table aliases)
        held = select(A).where(A.client_id == client_id, among(session, A.member_id, ids))
        for address in session.scalars(held.order_by(A.id)):
            slot = slots[address.member_id]
            self._by_address.setdefault((address.channel, address.value), slot)
            if address.is_primary:
                slot.primary[address.channel] = address.value
        tags = select(T.member_id, T.tag).where(among(session, T.member_id, ids))
        for member_id, tag in session.execute(tags):
            slots[member_id].tags.add(tag)
        states = select(S).where(among(session, S.member_id, ids))
        for consent in session.scalars(states):
            slots[consent.member_id].consents[consent.channel, consent.topic] = consent.state


MADE_UP = "m-"
"""How ids begin that we made up because the client gave none."""
COLUMNS = (*sorted(READERS), "attributes", "email", "phone")
ADDRESS_COLUMN = {"email": "email", "sms": "phone"}


def _candidates(session: Session, client_id: int, people: Sequence[Person]) -> set[int]:
    """Return the ids of members that any of the people may be."""
    ids: set[int] = set()
    keys = sorted({p.fields["member_id"] for p in people if "member_id" in p.fields})
    if keys:
        query = select(M.id).where(M.client_id == client_id, among(session, M.member_id, keys))
        ids |= set(session.scalars(query))
    for kind in ("email", "sms"):
        values = sorted({p.addresses[kind] for p in people if kind in p.addresses})
        if values:
            A = MemberAddress  # noqa: N806  (a table alias)
            held = select(A.member_id).where(
                A.client_id == client_id, A.channel == kind, among(session, A.value, values)
            )
            ids |= set(session.scalars(held))
    return ids


def _merge(slot: Slot, person: Person, existing: Existing) -> bool:
    """Bring what was said into the slot; say whether it changed anything."""
    fill = existing is Existing.FILL
    before = (len(slot.changed), len(slot.new_addresses), len(slot.new_tags), len(slot.words))
    for name, value in person.fields.items():
        held = slot.values.get(name)
        if name == "member_id":
            value, held = slot.key, slot.values.get(name)
        if held != value and not (fill and held not in (None, "")):
            slot.values[name] = value
            slot.changed.add(name)
    _merge_attributes(slot, person, fill=fill)
    for kind, value in person.addresses.items():
        held = slot.primary.get(kind)
        if held != value and not (fill and held is not None):
            slot.primary[kind] = slot.new_addresses[kind] = value
            if kind in ADDRESS_COLUMN:
                slot.values[ADDRESS_COLUMN[kind]] = value
                slot.changed.add(ADDRESS_COLUMN[kind])
    fresh = set(person.tags) - slot.tags
    slot.tags |= fresh
    slot.new_tags |= fresh
    _merge_consents(slot, person)
    after = (len(slot.changed), len(slot.new_addresses), len(slot.new_tags), len(slot.words))
    return after != before


def _merge_attributes(slot: Slot, person: Person, *, fill: bool) -> None:
    held = slot.values.get("attributes") or {}
    new = {
        name: value
        for name, value in person.attributes.items()
        if held.get(name) != value and not (fill and held.get(name) is not None)
    }
    if new:
        slot.values["attributes"] = {**held, **new}
        slot.changed.add("attributes")


def _merge_consents(slot: Slot, person: Person) -> None:
    for said in person.consents:
        key = (said.channel, said.topic)
        held = slot.consents.get(key)
        revives = held is ConsentState.WITHDRAWN and said.source.startswith("import")
        if held is said.state or revives:
            continue
        slot.consents[key] = said.state
        slot.words.append(
            Word(
                member_id=0,
                channel=said.channel,
                state=said.state,
                source=said.source,
                occurred_at=said.occurred_at,
                topic=said.topic,
                wording=said.wording,
            )
        )


def _write(
    session: Session, clock: Clock, hasher: AddressHasher, client_id: int, slots: Sequence[Slot]
) -> None:
    _insert_members(session, clock, client_id, [slot for slot in slots if slot.id is None])
    _update_members(session, clock, [slot for slot in slots if slot.changed])
    _write_addresses(session, clock, hasher, client_id, slots)
    make = sqlite.insert if is_sqlite(session) else postgresql.insert
    tags = [
        {"member_id": slot.id, "tag": tag, "client_id": client_id}
        for slot in slots
        for tag in sorted(slot.new_tags)
    ]
    if tags:
        session.execute(make(MemberTag).on_conflict_do_nothing(), tags)
    record_many(session, clock, client_id=client_id, words=list(_words(slots)))


def _words(slots: Iterable[Slot]) -> Iterable[Word]:
    for slot in slots:
        for word in slot.words:
            yield Word(
                member_id=slot.id or 0,
                channel=word.channel,
                state=word.state,
                source=word.source,
                occurred_at=word.occurred_at,
                topic=word.topic,
                wording=word.wording,
            )


def _insert_members(session: Session, clock: Clock, client_id: int, slots: Sequence[Slot]) -> None:
    if not slots:
        return
    now = clock.now()
    blank = dict.fromkeys(COLUMNS) | {"tier": "basic", "status": "active"}
    rows = [
        blank
        | slot.values
        | {"client_id": client_id, "member_id": slot.key, "created_at": now, "updated_at": now}
        for slot in slots
    ]
    session.execute(insert(Member), rows)
    # Ids by the business key, which is unique: RETURNING a thousand costs three times as much.
    keys = [slot.key for slot in slots]
    query = select(M.member_id, M.id).where(
        M.client_id == client_id, among(session, M.member_id, keys)
    )
    ids = {row.member_id: row.id for row in session.execute(query)}
    for slot in slots:
        slot.id = ids[slot.key]
        slot.changed.clear()


def _update_members(session: Session, clock: Clock, slots: Sequence[Slot]) -> None:
    """Update changed members: one statement per set of changed columns, of which there are few."""
    now = clock.now()
    alike: dict[tuple[str, ...], list[Slot]] = {}
    for slot in slots:
        alike.setdefault(tuple(sorted(slot.changed - {"member_id"})), []).append(slot)
    for names, group in alike.items():
        table = M.__table__
        values = {name: bindparam(f"b_{name}", type_=table.c[name].type) for name in names}
        session.connection().execute(
            update(M)
            .where(table.c.id == bindparam("b_id"))
            .values(**values, version=M.version + 1, updated_at=now),
            [{"b_id": s.id} | {f"b_{name}": s.values[name] for name in names} for s in group],
        )


def _write_addresses(
    session: Session, clock: Clock, hasher: AddressHasher, client_id: int, slots: Sequence[Slot]
) -> None:
    """Insert new primary addresses; the former primary of that kind stays as a further one."""
    new = [(slot, kind, value) for slot in slots for kind, value in slot.new_addresses.items()]
    if not new:
        return
    now = clock.now()
    A = MemberAddress  # noqa: N806  (a table alias)
    for kind in {kind for _, kind, _ in new}:
        ids = [slot.id or 0 for slot, its, _ in new if its == kind]
        session.execute(
            update(A)
            .where(among(session, A.member_id, ids), A.channel == kind, A.is_primary)
            .values(is_primary=False, updated_at=now)
            .execution_options(synchronize_session=False)
        )
    make = sqlite.insert if is_sqlite(session) else postgresql.insert
    statement = make(A).on_conflict_do_update(
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
