"""Tracking: what members did, told by a shop or an app, a set at a time.

The words and rules are those of the Segment specification (https://segment.com/docs/connections/spec):
a message id makes a repeat a no-op, `sent_at` against our clock mends a device's wrong one, whoever
is told of for the first time becomes a member.

Invariants
    1. new + duplicates + rejected = events told.
    2. Any order, any repeats, any split into batches: the same events, the same rollups.
    3. No property that is told says who told (TOLD_BY).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from sqlalchemy import BigInteger, or_, update
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from core.address import AddressHasher
from core.bulk import load
from core.clock import Clock
from core.db import UtcDateTime
from core.errors import InvalidError
from core.rows import table
from core.sql import insert_into
from members.errors import MemberInvalidError
from members.event import OLDEST, TOLD_BY, Event, EventKey
from members.identity import ANONYMOUS, resolve
from members.member import Member
from members.person import Person, read_person
from members.queries import member
from members.rollup import Happening, add
from members.signal import EVENT, Heard, signal
from members.touch import touch
from members.upsert import Existing, take_turn, upsert
from members.visitor import meet, visitor_key

MAX_EVENTS = 1000
MAX_NAME, MAX_MESSAGE_ID = 100, 128
MAX_PROPERTIES = 32_768
"""Bytes of JSON, Segment's own limit for a message."""
AMOUNTS = ("total", "revenue", "value")
"""Properties that hold an event's amount, the first that is a number."""
LARGEST = Decimal(10) ** 10
UNSTORABLE = re.compile("[\x00\ud800-\udfff]").search
"""NUL and half a surrogate pair, which databases refuse."""
EVENTS: Any = Event.__table__
NAMING = ("member_id", "email", "phone", "anonymous_id")


@dataclass(frozen=True, slots=True)
class ToldEvent:
    """One event as it was told, before anything is believed."""

    name: str
    message_id: str
    person: Mapping[str, Any]
    """At least one of `member_id`, `email`, `phone` and `anonymous_id`."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    occurred_at: datetime | None = None
    """By the teller's clock; None is now."""
    sent_at: datetime | None = None
    """When it was sent, by the same clock."""
    by_member: bool = True
    """False for what was done to the member: it does not make the member active."""
    ours: bool = False
    """Whether the engine tells it: its message ids are not those that others give."""
    told_by: str | None = None
    """SERVER or BROWSER, where the collector took it: whose traits become profiles."""

    @property
    def kept(self) -> dict[str, Any]:
        """The properties to keep: who told is said by the field, whatever they say."""
        plain = {name: value for name, value in self.properties.items() if name != TOLD_BY}
        return plain if self.told_by is None else plain | {TOLD_BY: self.told_by}


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that was not kept, and why."""

    index: int
    """Its place among those told, from 0."""
    field: str
    """`event` where it is all of it."""
    message: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Tracked:
    """What became of a set of events."""

    new: int
    duplicates: int
    rejected: list[Refused]
    members: Mapping[str, int] = field(default_factory=dict, compare=False)
    """The message id of each new event → whose it is."""
    absorbed: Mapping[int, int] = field(default_factory=dict, compare=False)
    """Visitors who turned out to be somebody: their id → that member's."""


@dataclass(frozen=True, slots=True)
class _Read:
    """An event that can be kept."""

    digest: bytes
    told: ToldEvent
    person: Person
    anonymous_id: str | None
    occurred_at: datetime
    amount: Decimal | None

    @property
    def who(self) -> tuple[Any, ...]:
        """What tells one person from another within a set."""
        addresses = tuple(sorted(self.person.addresses.items()))
        return (self.person.fields.get("member_id"), addresses, self.anonymous_id)


def track(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    events: Sequence[ToldEvent],
    country: str | None = None,
) -> Tracked:
    """Keep events that are new, with their rollups; make members of people nobody knew.

    `country` (ISO 3166) is where phone numbers without a country code are. What cannot be kept is
    told with its place and field, the rest is kept. Raises MemberInvalidError for more than
    MAX_EVENTS. Cost: some ten statements a set, whatever its size.
    """
    if len(events) > MAX_EVENTS:
        raise MemberInvalidError(
            f"{len(events)} events at once", field="events", remedy=f"send at most {MAX_EVENTS}"
        )
    now = clock.now()
    kept: dict[bytes, _Read] = {}
    refused: list[Refused] = []
    for index, told in enumerate(events):
        try:
            one = _read(client_id, told, now, country)
        except InvalidError as error:
            refused.append(Refused(index, error.field or "event", str(error), error.remedy))
            continue
        kept.setdefault(one.digest, one)
    ids = _new_keys(session, client_id, list(kept.values()))
    fresh = [one for digest, one in kept.items() if digest in ids]
    duplicates = len(events) - len(refused) - len(fresh)
    if not fresh:
        return Tracked(new=0, duplicates=duplicates, rejected=refused)
    people, absorbed = _people(session, clock, hasher, client_id, fresh)
    _store(session, client_id, fresh, ids, people, now)
    members = {one.told.message_id: people[one.who] for one in fresh}
    return Tracked(len(fresh), duplicates, refused, members, absorbed)


def member_told(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    person: Mapping[str, Any],
    country: str | None = None,
) -> int:
    """Return our id of the member a teller names by `id` (ours), `member_id`, `email` or `phone`.

    Whoever is not known becomes a member, but for an `id`. Raises MemberNotFoundError, or
    MemberInvalidError or AddressError with the field.
    """
    if person.get("id"):
        return member(session, client_id, person["id"]).id
    named = {name: person[name] for name in NAMING if person.get(name)}
    if not named:
        raise MemberInvalidError(
            "nobody is named", field="member", remedy="give one of id, member_id, email, phone"
        )
    try:
        read = read_person(named, country=country)
    except InvalidError as error:
        error.field = f"member.{error.field}"
        raise
    [(_, found)] = upsert(
        session,
        clock,
        hasher,
        client_id=client_id,
        people=[read],
        existing=Existing.SKIP,
        source="event",
    )
    return found


def amount_of(properties: Mapping[str, Any]) -> Decimal | None:
    """Return an event's amount: `total`, else `revenue`, else `value`, where it is a number."""
    for name in AMOUNTS:
        value = properties.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            continue
        if -LARGEST < value < LARGEST:  # neither NaN nor infinite
            return Decimal(str(value)).quantize(Decimal("0.0001"))
    return None


def happened_at(told: datetime | None, sent: datetime | None, now: datetime) -> datetime:
    """Return when an event happened by our clock: never later than now.

    A device whose clock is wrong says when it sent, too; the difference is its error.
    Raises MemberInvalidError for what is in no calendar.
    """
    try:
        corrected = now if told is None else told if sent is None else now - (sent - told)
        return min(corrected.astimezone(UTC), now)
    except OverflowError:
        raise MemberInvalidError(
            "no such time", field="occurred_at", remedy="send it as 2026-11-21T12:00:00Z"
        ) from None


def _read(client_id: int, told: ToldEvent, now: datetime, country: str | None) -> _Read:
    _text("name", told.name, MAX_NAME)
    _text("message_id", told.message_id, MAX_MESSAGE_ID)
    _plain(told.properties)
    named = {name: told.person[name] for name in NAMING if told.person.get(name)}
    anonymous_id = named.pop("anonymous_id", None)
    if anonymous_id is not None:
        _text("anonymous_id", anonymous_id, MAX_MESSAGE_ID)
    elif not named:
        raise MemberInvalidError(
            "nobody is named", field="person", remedy=f"give one of {', '.join(NAMING)}"
        )
    occurred_at = happened_at(told.occurred_at, told.sent_at, now)
    if occurred_at < now - OLDEST and not told.ours:
        raise MemberInvalidError(f"longer than {OLDEST.days} days ago", field="occurred_at")
    name = f"{client_id}{'!' if told.ours else ':'}{told.message_id}"
    digest = blake2b(name.encode(), digest_size=16).digest()
    return _Read(
        digest=digest,
        told=told,
        person=read_person(named, country=country),
        anonymous_id=anonymous_id,
        occurred_at=occurred_at,
        amount=amount_of(told.properties),
    )


def _text(name: str, value: object, longest: int) -> None:
    if not isinstance(value, str) or not 1 <= len(value) <= longest or UNSTORABLE(value):
        raise MemberInvalidError(
            f"{name} is no text of 1 to {longest} characters",
            field=name,
            remedy=f"give 1 to {longest} characters",
        )


def _plain(properties: Mapping[str, Any]) -> None:
    try:
        written = json.dumps(properties, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError):  # of which half a surrogate pair is one
        written = None
    if written is None or len(written) > MAX_PROPERTIES or b"\\u0000" in written:
        raise MemberInvalidError(
            "the properties are no JSON object of at most 32 KB without NUL", field="properties"
        )


def _new_keys(session: Session, client_id: int, read: Sequence[_Read]) -> dict[bytes, int]:
    """Write the message ids that are new; return the number of each."""
    if not read:
        return {}
    # In one order: two transactions with the same events wait for each other, not in a ring.
    rows = [
        {"client_id": client_id, "digest": one.digest, "occurred_at": one.occurred_at}
        for one in sorted(read, key=lambda one: one.digest)
    ]
    statement = (
        insert_into(session, EventKey)
        .on_conflict_do_nothing(index_elements=["client_id", "digest"])
        .returning(EventKey.digest, EventKey.id)
    )
    told = session.connection().execute(statement, rows)
    return {bytes(row.digest): row.id for row in told}


def _people(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    client_id: int,
    events: Sequence[_Read],
) -> tuple[dict[tuple[Any, ...], int], dict[int, int]]:
    """Find the members the events are about, and make those nobody knew.

    Returns also which visitors were absorbed by whom.
    """
    take_turn(session, client_id)
    who = {one.who: one for one in events}
    named = [one for one in who.values() if _is_named(one)]
    visiting = {one.anonymous_id or "": key for key, one in who.items() if not _is_named(one)}
    names = [(ANONYMOUS, one) for one in visiting]
    known = {
        one: held for (_, one), held in resolve(session, client_id=client_id, names=names).items()
    }
    met = {one.anonymous_id for one in named}
    strangers = [one for one in visiting if one not in known and one not in met]
    people = [one.person for one in named]
    people += [Person(fields={"member_id": visitor_key()}) for _ in strangers]
    written = upsert(
        session,
        clock,
        hasher,
        client_id=client_id,
        people=people,
        existing=Existing.SKIP,
        source="event",
    )
    ids = [member_id for _, member_id in written]
    found = {one.who: member_id for one, member_id in zip(named, ids, strict=False)}
    links: dict[str, int] = dict(zip(strangers, ids[len(named) :], strict=True))
    for one in named:
        if one.anonymous_id:
            links.setdefault(one.anonymous_id, found[one.who])
    absorbed = meet(session, clock, client_id=client_id, names=links)
    for anonymous_id, key in visiting.items():
        found[key] = known[anonymous_id] if anonymous_id in known else links[anonymous_id]
    return {key: absorbed.get(one, one) for key, one in found.items()}, absorbed


def _is_named(one: _Read) -> bool:
    return bool(one.person.addresses or one.person.fields.get("member_id"))


def _store(
    session: Session,
    client_id: int,
    events: Sequence[_Read],
    ids: Mapping[bytes, int],
    people: Mapping[tuple[Any, ...], int],
    now: datetime,
) -> None:
    columns = {
        "id": [ids[one.digest] for one in events],
        "client_id": client_id,
        "member_id": [people[one.who] for one in events],
        "name": [one.told.name for one in events],
        "message_id": [one.told.message_id for one in events],
        "properties": [one.told.kept for one in events],
        "amount": [one.amount for one in events],
        "occurred_at": [one.occurred_at for one in events],
        "received_at": now,
    }
    load(session, EVENTS, columns, len(events))
    add(
        session,
        client_id=client_id,
        happenings=[
            Happening(people[one.who], one.told.name, one.occurred_at, one.amount) for one in events
        ],
    )
    latest: dict[int, datetime] = {}
    for one in [one for one in events if one.told.by_member]:
        held = latest.get(people[one.who])
        latest[people[one.who]] = max(held, one.occurred_at) if held else one.occurred_at
    _seen(session, latest)
    touch(session, client_id=client_id, member_ids=[people[one.who] for one in events])
    heard = [
        Heard(EVENT + one.told.name, people[one.who], one.occurred_at, ids[one.digest])
        for one in events
    ]
    signal(session, client_id=client_id, heard=heard)


def _seen(session: Session, latest: Mapping[int, datetime]) -> None:
    """Note when members were last active."""
    if not latest:
        return
    columns: dict[str, TypeEngine[Any]] = {"id": BigInteger(), "at": UtcDateTime()}
    told = table(session, columns, [(one, latest[one]) for one in sorted(latest)]).c
    session.execute(
        update(Member)
        .where(
            Member.id == told.id, or_(Member.last_active.is_(None), Member.last_active < told.at)
        )
        .values(last_active=told.at)
        .execution_options(synchronize_session=False)
    )
