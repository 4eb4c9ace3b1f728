"""Upsert: people matched with the members they are, and merged into them, a set at a time.

A person is matched by the client's own id, else by email, else by phone; two spellings of one
person are one member. How many people there are changes how much each statement does, not how many
statements there are.

Invariants
    1. No suppression is ever lifted here, and no withdrawn consent granted again.
    2. Of two that write the same new person at once, the second finds the member the first made.
"""

import enum
import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, exists, func, select
from sqlalchemy.orm import Session

from core.address import AddressHasher
from core.clock import Clock
from core.db import is_sqlite
from core.rows import among, look_up
from core.sql import by_index
from members.address import MemberAddress
from members.consent import ConsentState, CurrentConsent
from members.identity import FORMER_KEY, Identity, resolve
from members.member import Member, MemberTag
from members.person import READERS, Person
from members.store import Slot, store

M = Member
TURN = 0x45584D42 << 32
"""`EXMB`: with a client's id behind it, the PostgreSQL advisory lock of who writes its people."""


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


def upsert(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    people: Sequence[Person],
    existing: Existing = Existing.FILL,
    only: Member | None = None,
    source: str | None = None,
    actor: str | None = None,
    import_id: int | None = None,
) -> list[tuple[Result, int]]:
    """Write people; return, in their order, what became of each and its member's id.

    With `only`, everything is said of that member, whatever else it matches. With a `source`, such
    as `api` or `import:12`, what changes about members is noted under it; `import_id` is kept with
    members who are new. One client's people are written by one transaction at a time.
    """
    take_turn(session, client_id)
    book = _Book(session, client_id, people, only)
    results: list[tuple[Result, Slot]] = []
    for person in people:
        slot = book.find(person)
        if slot is None:
            results.append((Result.CREATED, book.add(person)))
            continue
        changed = existing is not Existing.SKIP and _merge(slot, person, existing)
        book.learn(slot, person)
        results.append((Result.UPDATED if changed else Result.UNCHANGED, slot))
    store(
        session,
        clock,
        hasher,
        client_id=client_id,
        slots=book.slots,
        source=source,
        actor=actor,
        import_id=import_id,
    )
    return [(result, slot.id) for result, slot in results]


def take_turn(session: Session, client_id: int) -> None:
    """Wait until nobody else writes this client's people; the turn ends with the transaction.

    Nothing but the client's own id is unique, so two that look for one address at the same time
    would both find nobody. On SQLite there is one writer anyway.
    """
    if not is_sqlite(session):
        session.execute(select(func.pg_advisory_xact_lock(TURN | client_id)))


def try_turn(session: Session, client_id: int) -> bool:
    """Take the turn of take_turn() if nobody has it; say whether it was free."""
    if is_sqlite(session):
        return True
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(TURN | client_id))))


class _Book:
    """Who is who among the people of one set and the members they may already be."""

    def __init__(
        self, session: Session, client_id: int, people: Sequence[Person], only: Member | None
    ) -> None:
        self.slots: list[Slot] = []
        self._only = only.id if only is not None else None
        self._by_key: dict[str, Slot] = {}
        self._by_address: dict[tuple[str, str], Slot] = {}
        self._load(session, client_id, people)

    def find(self, person: Person) -> Slot | None:
        if self._only is not None:
            return self.slots[0]
        key = person.fields.get("member_id")
        if key is not None and key in self._by_key:
            return self._by_key[key]
        for kind in ("email", "sms"):
            if kind not in person.addresses:
                continue
            held = self._by_address.get((kind, person.addresses[kind]))
            # Somebody with another id of their own is somebody else, even at one mailbox.
            if held is not None and (key is None or held.key.startswith(MADE_UP)):
                return held
        return None

    def add(self, person: Person) -> Slot:
        """Begin a member from a person whom nobody is yet."""
        values = {**person.fields, "attributes": person.attributes}
        # All that a new member has is new.
        addresses, tags = dict(person.addresses), set(person.tags)
        for kind, column in ADDRESS_COLUMN.items():
            if kind in addresses:
                values[column] = addresses[kind]
        slot = Slot(
            id=0,
            key=person.fields.get("member_id") or f"{MADE_UP}{secrets.token_hex(8)}",
            new=True,
            values=values,
            primary=addresses,
            new_addresses=addresses,
            tags=tags,
            new_tags=tags,
        )
        if person.consents:
            _merge_consents(slot, person)
        self.slots.append(slot)
        self.learn(slot, person)
        return slot

    def learn(self, slot: Slot, person: Person) -> None:
        """Remember how this person may be spelt from now on."""
        self._by_key.setdefault(slot.key, slot)
        for address in person.addresses.items():
            self._by_address.setdefault(address, slot)

    def _load(self, session: Session, client_id: int, people: Sequence[Person]) -> None:
        ids: set[int] = {self._only} if self._only is not None else set()
        former: dict[str, int] = {}
        if self._only is None:
            keys = {p.fields["member_id"] for p in people if "member_id" in p.fields}
            former = _former(session, client_id, keys)
            ids = _candidates(session, client_id, people, keys) | set(former.values())
        if not ids:
            return
        columns = [getattr(M, name) for name in COLUMNS]
        query = select(M.id, *columns).where(M.client_id == client_id, M.deleted_at.is_(None))
        slots: dict[int, Slot] = {}
        for row in _rows(session, look_up(session, query, M.id, sorted(ids))):
            values = dict(zip(COLUMNS, row[1:], strict=True))
            slots[row.id] = Slot(id=row.id, key=values["member_id"], values=values)
            self._by_key[values["member_id"]] = slots[row.id]
        for key, member_id in former.items():
            if member_id in slots:
                self._by_key.setdefault(key, slots[member_id])
        self.slots = list(slots.values())
        if slots:
            self._load_around(session, client_id, slots)

    def _load_around(self, session: Session, client_id: int, slots: dict[int, Slot]) -> None:
        ids = list(slots)
        A, T, S = MemberAddress, MemberTag, CurrentConsent  # noqa: N806  (table aliases)
        held = select(A.id, A.member_id, A.channel, A.value, A.is_primary).where(
            A.client_id == client_id
        )
        for row in _rows(session, look_up(session, held, A.member_id, ids)):
            _, member_id, channel, value, is_primary = row
            slot = slots[member_id]
            self._by_address.setdefault((channel, value), slot)
            if is_primary:
                slot.primary[channel] = value
        tags = select(T.member_id, T.tag).where(among(session, T.member_id, ids))
        for member_id, tag in session.execute(tags):
            slots[member_id].tags.add(tag)
        states = select(S.member_id, S.channel, S.topic, S.state).where(
            among(session, S.member_id, ids)
        )
        for member_id, channel, topic, state in session.execute(states):
            slots[member_id].consents[channel, topic] = state


MADE_UP = "m-"
"""How ids begin that we made up because the client gave none."""
COLUMNS = (*sorted(READERS), "attributes", "email", "phone")
ADDRESS_COLUMN = {"email": "email", "sms": "phone"}


def _rows(session: Session, query: Select[*tuple[Any, ...]]) -> list[Any]:
    """Return what a query that looks values up finds, in the order of its first column."""
    with by_index(session):
        return sorted(session.execute(query), key=lambda row: int(row[0]))


def _former(session: Session, client_id: int, keys: set[str]) -> dict[str, int]:
    """Return the members who had a key before they were merged or had another."""
    any_had = exists().where(Identity.client_id == client_id, Identity.kind == FORMER_KEY)
    if not keys or not session.scalar(select(any_had)):
        return {}
    names = [(FORMER_KEY, key) for key in keys]
    known = resolve(session, client_id=client_id, names=names)
    return {key: member_id for (_, key), member_id in known.items()}


def _candidates(
    session: Session, client_id: int, people: Sequence[Person], keys: set[str]
) -> set[int]:
    """Return the ids of members that any of the people may be."""
    ids: set[int] = set()
    with by_index(session):
        if keys:
            query = select(M.id).where(M.client_id == client_id)
            ids |= set(session.scalars(look_up(session, query, M.member_id, sorted(keys))))
        A = MemberAddress  # noqa: N806  (a table alias)
        for kind in ("email", "sms"):
            values = sorted({p.addresses[kind] for p in people if kind in p.addresses})
            if values:
                held = select(A.member_id).where(A.client_id == client_id, A.channel == kind)
                ids |= set(session.scalars(look_up(session, held, A.value, values)))
    return ids


def _merge(slot: Slot, person: Person, existing: Existing) -> bool:
    """Bring what was said into the slot; say whether it changed anything."""
    fill = existing is Existing.FILL
    changed = _merge_fields(slot, person, fill=fill)
    for kind, value in person.addresses.items():
        held = slot.primary.get(kind)
        if held != value and not (fill and held is not None):
            slot.primary[kind] = slot.new_addresses[kind] = value
            if kind in ADDRESS_COLUMN:
                _change(slot, ADDRESS_COLUMN[kind], value)
            changed = True
    for tag in person.tags:
        if tag not in slot.tags:
            slot.tags.add(tag)
            slot.new_tags.add(tag)
            changed = True
    return _merge_consents(slot, person) or changed


def _merge_fields(slot: Slot, person: Person, *, fill: bool) -> bool:
    changed = False
    for name, value in person.fields.items():
        held = slot.values.get(name)
        if name != "member_id" and held != value and not (fill and held not in (None, "")):
            _change(slot, name, value)
            changed = True
    held = slot.values.get("attributes") or {}
    new = {
        name: value
        for name, value in person.attributes.items()
        if held.get(name) != value and not (fill and held.get(name) is not None)
    }
    if new:
        _change(slot, "attributes", {**held, **new})
    return changed or bool(new)


def _change(slot: Slot, name: str, value: object) -> None:
    if not slot.new:
        slot.before.setdefault(name, slot.values.get(name))
    slot.values[name] = value


def _merge_consents(slot: Slot, person: Person) -> bool:
    changed = False
    for said in person.consents:
        key = (said.channel, said.topic)
        held = slot.consents.get(key)
        revives = held is ConsentState.WITHDRAWN and said.source.startswith("import")
        if held is said.state or revives:
            continue
        slot.consents[key] = said.state
        slot.words.append(said)
        changed = True
    return changed
