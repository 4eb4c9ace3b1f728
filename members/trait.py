"""Trait: what an event says about the person, and how it becomes the person's profile.

Events named `identify` and `group` say traits: name, e-mail, plan, company. They are kept as told,
and the profile is folded from them.

Invariants
    1. What a server tells: of two that say the same trait the later one counts, by the time they
       happened, in whatever order they come.
    2. What a browser tells only fills what is blank: its key can be read by anybody.
    3. A trait is never a consent, a tag, a tier or a status.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from sqlalchemy import literal, select
from sqlalchemy.orm import Session

from core.address import AddressHasher
from core.clock import Clock
from core.errors import InvalidError
from core.rows import among
from members.event import SERVER, TOLD_BY, Event
from members.member import Member
from members.person import MAX_ATTRIBUTES, Person, read_attributes, read_person
from members.upsert import Existing, upsert

IDENTIFY, GROUP = "identify", "group"
AT_ONCE = 500
"""Stored events in memory at a time, 32 kB each at most."""
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
FIELDS = {
    # as Segment's libraries call it, folded and without _: the member's field
    "email": "email",
    "phone": "phone",
    "firstname": "first_name",
    "lastname": "last_name",
    "name": "full_name",
    "birthday": "date_of_birth",
    "gender": "gender",
    "timezone": "timezone",
    "language": "language",
    "locale": "language",
}
PARTS = ("first_name", "last_name")


@dataclass(frozen=True, slots=True)
class Said:
    """An event that says traits, and whose it is."""

    member_id: int
    name: str
    traits: Mapping[str, Any]
    occurred_at: datetime
    message_id: str
    told_by: str | None

    @property
    def order(self) -> tuple[datetime, str]:
        """What comes later counts; the message's id decides where two came at once."""
        return (self.occurred_at, self.message_id)


@dataclass(frozen=True, slots=True)
class Unkept:
    """A trait that is in the event, but could not become part of the profile."""

    message_id: str
    message: str


def learn(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    said: Sequence[Said],
    whole: Iterable[int] = (),
    country: str | None = None,
) -> list[Unkept]:
    """Bring what new events say, which are stored already, into the profiles of their members.

    `whole` are members whose profile is folded from all there is: visitors were absorbed by them.
    Returns what could not be kept. Cost: some twelve statements a set, whatever its size.
    """
    by_server = {one.member_id for one in said if one.told_by == SERVER}
    unkept: list[Unkept] = []
    new = {one.message_id for one in said}
    whole = set(whole)
    since = min((one.occurred_at for one in said), default=None)
    told = chain(
        _stored(session, client_id, by_server - whole, since),
        _stored(session, client_id, whole, LONG_AGO),
    )
    by_browser = [one for one in said if one.told_by != SERVER]
    by_browser.sort(key=lambda one: one.order, reverse=True)  # the first that says it counts
    for existing, members, each in (
        (Existing.OVERWRITE, by_server | whole, told),
        (Existing.FILL, {one.member_id for one in by_browser}, by_browser),
    ):
        held = _held(session, client_id, members)
        people: dict[int, Person] = {}
        for one in each:
            refused = _fold(people, one, held, country)
            unkept += refused if one.message_id in new else ()
        if people:
            upsert(
                session,
                clock,
                hasher,
                client_id=client_id,
                people=list(people.values()),
                existing=existing,
                source="collector",
            )
    return unkept


def _stored(
    session: Session, client_id: int, members: Iterable[int], since: datetime | None
) -> Iterator[Said]:
    """Yield what servers told about members at `since` and later, the earliest first."""
    members = sorted(members)
    if not members or since is None:
        return
    E = Event  # noqa: N806  (a table alias)
    query = (
        select(E.member_id, E.name, E.properties, E.occurred_at, E.message_id, literal(SERVER))
        .where(
            E.client_id == client_id,
            among(session, E.member_id, members),
            E.occurred_at >= since,
            E.name.in_((IDENTIFY, GROUP)),
            E.properties[TOLD_BY].as_string() == SERVER,
        )
        .order_by(E.occurred_at, E.message_id)
        .execution_options(yield_per=AT_ONCE)
    )
    for row in session.execute(query):
        yield Said(*row)


def _held(session: Session, client_id: int, members: Set[int]) -> Mapping[int, Any]:
    """Return what there is of members that the folding looks at."""
    query = select(
        Member.id, Member.member_id, Member.attributes, Member.first_name, Member.last_name
    ).where(
        Member.client_id == client_id,
        among(session, Member.id, sorted(members)),
        Member.deleted_at.is_(None),
    )
    return {row.id: row for row in session.execute(query)} if members else {}


def _fold(
    people: dict[int, Person], one: Said, held: Mapping[int, Any], country: str | None
) -> list[Unkept]:
    """Take what one event says into its person: the last that says a trait says it.

    Returns what could not be kept.
    """
    row = held.get(one.member_id)
    if row is None:
        return []
    person = people.setdefault(row.id, Person(fields={"member_id": row.member_id}))
    unkept = []
    for name, value in _flat(one.traits, f"{GROUP}_" if one.name == GROUP else ""):
        try:
            _take(person, name, value, row, country)
        except InvalidError as error:
            unkept.append(Unkept(one.message_id, f"traits.{name[:64]}: {error}"))
    return unkept


def _flat(traits: Mapping[str, Any], before: str) -> Iterable[tuple[str, Any]]:
    """Yield traits with what lies one level deeper: `address: {city}` is `address_city`."""
    for name, value in traits.items():
        inner = value.items() if isinstance(value, dict) else ()
        for name_, value_ in ((name, value), *((f"{name}_{key}", held) for key, held in inner)):
            plain = isinstance(value_, str | int | float)  # bool is an int
            if plain and value_ != "" and name_ != TOLD_BY:
                full = name_ if not before or name_.startswith(before) else before + name_
                yield full, value_


def _take(person: Person, name: str, value: Any, held: Any, country: str | None) -> None:
    """Take one trait into a person. Raises InvalidError for one that cannot be kept."""
    column = FIELDS.get(name.replace("_", "").casefold())
    if column is None:
        read_one = read_attributes({name: value})
        names = (held.attributes or {}).keys() | person.attributes.keys() | read_one.keys()
        if len(names) > MAX_ATTRIBUTES:
            raise InvalidError(f"a member has at most {MAX_ATTRIBUTES} attributes")
        person.attributes |= read_one
        return
    value = str(value)[:10] if column == "date_of_birth" else value
    read = read_person({column: value}, country=country)
    person.addresses |= read.addresses
    if column in read.fields:
        person.fields[column] = read.fields[column]
    if column in PARTS:
        parts = [person.fields.get(part) or getattr(held, part) for part in PARTS]
        person.fields["full_name"] = " ".join(part for part in parts if part)
