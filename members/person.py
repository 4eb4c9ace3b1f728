"""Person: what somebody says about one member, read field by field into the types we keep.

The API, the command line and the import all read people here, so that one spelling means one thing
whichever door it comes in by.
"""

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from core.address import normalise
from core.errors import InvalidError
from members.consent import MARKETING, ConsentState
from members.errors import MemberInvalidError
from members.member import Gender, MemberStatus, Tier
from members.suppression import Scope, SuppressionReason

KINDS = {"email": "email", "phone": "sms", "push_token": "push"}
"""What a person is given with → the kind of address it is."""
LENGTHS = {
    "member_id": 128,
    "first_name": 100,
    "last_name": 100,
    "full_name": 200,
    "acquisition_channel": 100,
    "location": 200,
    "language": 16,
    "notes": 10_000,
    "referral_code": 32,
}
MAX_TAGS = 100
MAX_ATTRIBUTES = 100
MAX_VALUE = 1000


@dataclass(frozen=True, slots=True)
class Permission:
    """A yes or no that comes with a person."""

    channel: str
    state: ConsentState
    source: str
    topic: str = MARKETING
    wording: str | None = None
    occurred_at: datetime | None = None
    proof: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Person:
    """What was said; only what was said is here."""

    fields: dict[str, Any] = field(default_factory=dict)
    """Columns of `members`."""
    addresses: dict[str, str] = field(default_factory=dict)
    """Kind of address → normal form."""
    tags: tuple[str, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    consents: tuple[Permission, ...] = ()
    suppress: tuple[Scope, SuppressionReason] | None = None
    """Its e-mail address is not to be written to: how far, and why."""


def read_person(values: Mapping[str, Any], *, country: str | None) -> Person:
    """Read a person; `country` (ISO 3166) is where numbers without a country code are.

    Raises AddressError or MemberInvalidError naming the field, what is wrong and the remedy. Empty
    text says nothing, and is left out.
    """
    person = Person()
    for name, value in values.items():
        if value is None or value == "":
            continue
        if name in KINDS:
            kind = KINDS[name]
            person.addresses[kind] = read_address(name, kind, value, country)
        elif name == "tags":
            person.tags = read_tags(value)
        elif name == "attributes":
            person.attributes = read_attributes(value)
        elif name == "consents":
            person.consents = tuple(_permission(item) for item in value)
        else:
            person.fields[name] = READERS[name](name, value) if name in READERS else _bad(name)
    _name_in_full(person.fields)
    return person


def key_of(text: str) -> str:
    """Return the normal form of a client's own id of a member: trimmed and case-folded."""
    return " ".join(text.split()).casefold()


def _bad(name: str) -> Any:
    raise MemberInvalidError(
        f"members have no field “{name[:80]}”",
        field=name,
        remedy="put what is your own into attributes",
    )


def read_address(name: str, kind: str, value: object, country: str | None) -> str:
    """Return the normal form of an address. Raises AddressError with `name` as its field."""
    try:
        return normalise(kind, str(value), country)
    except InvalidError as error:
        error.field = name
        raise


def _text(name: str, value: object) -> str:
    text = str(value).strip()
    if "\x00" in text or len(text) > LENGTHS[name]:
        raise MemberInvalidError(
            f"{name} is too long or holds a NUL",
            field=name,
            remedy=f"give at most {LENGTHS[name]} characters",
        )
    return text


def _key(name: str, value: object) -> str:
    return key_of(_text(name, value))


def _word(kind: type[enum.StrEnum]) -> Callable[[str, object], Any]:
    def read(name: str, value: object) -> Any:
        try:
            return kind(str(value).strip().casefold())
        except ValueError:
            known = ", ".join(kind)
            raise MemberInvalidError(
                f"{name} cannot be “{str(value)[:40]}”", field=name, remedy=f"use one of {known}"
            ) from None

    return read


def _number(name: str, value: object) -> float:
    try:
        number = float(str(value).strip())
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or abs(number) > 1e12:
        raise MemberInvalidError(
            f"{name} is no number: “{str(value)[:40]}”", field=name, remedy="write it as 12.5"
        )
    return number


def _money(name: str, value: object) -> Decimal:
    try:
        amount = Decimal(str(value).strip())
        if not amount.is_finite() or abs(amount) >= Decimal(10) ** 10:
            raise InvalidOperation
        return amount.quantize(Decimal("0.0001"))
    except InvalidOperation:
        raise MemberInvalidError(
            f"{name} is no amount: “{str(value)[:40]}”", field=name, remedy="write it as 1234.50"
        ) from None


def _day(name: str, value: object) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(str(value).strip())
    except ValueError:
        raise MemberInvalidError(
            f"{name} is no date: “{str(value)[:40]}”", field=name, remedy="write it as 1990-01-31"
        ) from None


def _instant(name: str, value: object) -> datetime:
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    except ValueError:
        raise MemberInvalidError(
            f"{name} is no time: “{str(value)[:40]}”",
            field=name,
            remedy="write it as 2026-01-31T12:00:00Z",
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def _zone(name: str, value: object) -> str:
    zone = str(value).strip()
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        raise MemberInvalidError(
            f"“{zone[:40]}” is no time zone", field=name, remedy="use a name such as Europe/Berlin"
        ) from None
    return zone


def read_tags(value: str | Sequence[str]) -> tuple[str, ...]:
    """Return tags folded and each once; text is parted at commas and semicolons."""
    parts = value.replace(";", ",").split(",") if isinstance(value, str) else value
    tags = tuple(dict.fromkeys(" ".join(str(part).split()).casefold() for part in parts))
    tags = tuple(tag for tag in tags if tag)
    if len(tags) > MAX_TAGS or any(len(tag) > 64 or "\x00" in tag for tag in tags):
        raise MemberInvalidError(
            "a tag has at most 64 characters, a member at most 100 tags",
            field="tags",
            remedy="give shorter or fewer tags, as text without NUL",
        )
    return tags


def read_attributes(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes without the empty ones; they are flat, short and at most 100."""
    for name, held in value.items():
        plain = held is None or isinstance(held, str | int | float | bool)
        if (
            not plain
            or len(str(held)) > MAX_VALUE
            or not 1 <= len(name) <= 64
            or "\x00" in str(held)
        ):
            raise MemberInvalidError(
                f"the attribute “{name[:64]}” is no short text, number, true/false or null",
                field=f"attributes.{name[:64]}",
                remedy="attributes are flat and hold at most 1,000 characters",
            )
    if len(value) > MAX_ATTRIBUTES:
        raise MemberInvalidError(
            "a member has at most 100 attributes",
            field="attributes",
            remedy="leave out those that nobody uses",
        )
    return {name: held for name, held in value.items() if held != ""}


def _permission(item: Permission | Mapping[str, Any]) -> Permission:
    if isinstance(item, Permission):
        return item
    channel = str(item.get("channel", ""))
    if channel not in ("email", "sms", "push"):
        raise MemberInvalidError(
            f"“{channel[:20]}” is no channel", field="consents", remedy="use email, sms or push"
        )
    return Permission(
        channel=channel,
        state=_word(ConsentState)("consents", item.get("state", "granted")),
        source=str(item.get("source", "api"))[:64],
        topic=str(item.get("topic", MARKETING))[:64],
        wording=item.get("wording"),
        occurred_at=item.get("occurred_at"),
    )


def _name_in_full(fields: dict[str, Any]) -> None:
    if "full_name" not in fields and ("first_name" in fields or "last_name" in fields):
        names = (fields.get("first_name"), fields.get("last_name"))
        fields["full_name"] = " ".join(name for name in names if name)


READERS: dict[str, Callable[[str, object], Any]] = {
    # field of `members`: how it is read
    "member_id": _key,
    **{name: _text for name in LENGTHS if name != "member_id"},
    "tier": _word(Tier),
    "status": _word(MemberStatus),
    "gender": _word(Gender),
    "date_of_birth": _day,
    "engagement_score": _number,
    "total_spend": _money,
    "lifetime_value": _money,
    "acquisition_cost": _money,
    "last_active": _instant,
    "timezone": _zone,
}
FIELDS = frozenset(READERS) | frozenset(KINDS) | {"tags", "attributes", "consents"}
"""Everything a person may be given with."""
