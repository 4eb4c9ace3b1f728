"""The condition language as values: what text, JSON, SQL and the evaluator all share.

A condition says something about one member at one instant. It holds no code: fields come from a
fixed table, values are always bound (depth ≤ 8, leaves ≤ 64, no raw SQL).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Literal

Value = str | int | float | bool | Decimal | date | None
MAX_DEPTH = 8
MAX_LEAVES = 64
ATTRIBUTES = "attributes."
EXTERNAL = "external_id."
"""`external_id.shopify`: what another system calls a member; there may be several such ids."""
SYSTEM = re.compile(r"[a-z0-9][a-z0-9_.-]{0,21}")
"""The name of another system."""
TOTAL = "total"
"""The property of an event that is its money: `properties.total`, else revenue, else value."""


class Kind(StrEnum):
    """What a field holds."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    INSTANT = "instant"
    ANY = "any"  # an attribute: compared as what the value is


FIELDS: dict[str, Kind] = {
    # the fields of a member that conditions may name (seeds/echelonx.md)
    "member_id": Kind.TEXT,
    "first_name": Kind.TEXT,
    "last_name": Kind.TEXT,
    "full_name": Kind.TEXT,
    "email": Kind.TEXT,
    "phone": Kind.TEXT,
    "date_of_birth": Kind.DATE,
    "gender": Kind.TEXT,
    "tier": Kind.TEXT,
    "status": Kind.TEXT,
    "engagement_score": Kind.NUMBER,
    "total_spend": Kind.NUMBER,
    "lifetime_value": Kind.NUMBER,
    "acquisition_channel": Kind.TEXT,
    "acquisition_cost": Kind.NUMBER,
    "last_active": Kind.INSTANT,
    "location": Kind.TEXT,
    "timezone": Kind.TEXT,
    "language": Kind.TEXT,
    "referral_code": Kind.TEXT,
    "created_at": Kind.INSTANT,
    "updated_at": Kind.INSTANT,
}


CHOICES = {
    # the fields that hold one of a few words
    "tier": ("basic", "premium", "elite", "executive"),
    "status": ("active", "inactive", "pending", "suspended", "churned"),
    "gender": ("male", "female", "other", "prefer_not_to_say"),
}


class Op(StrEnum):
    """How a field is compared; the values are the words of the text form."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "in"
    CONTAINS = "contains"
    STARTS_WITH = "starts with"
    BEFORE = "before"
    AFTER = "after"
    IN_LAST = "in the last"
    IS_SET = "is set"
    IS_NOT_SET = "is not set"


ORDER = frozenset({Op.LT, Op.LE, Op.GT, Op.GE})
BARE = frozenset({Op.IS_SET, Op.IS_NOT_SET})
TEXT_ONLY = frozenset({Op.CONTAINS, Op.STARTS_WITH})
TIME_ONLY = frozenset({Op.BEFORE, Op.AFTER, Op.IN_LAST})


@dataclass(frozen=True, slots=True)
class Everyone:
    """Every member."""


@dataclass(frozen=True, slots=True)
class Compare:
    """A field or attribute compared with a value.

    A field that holds nothing matches `is not set` and `!=`, and nothing else.
    """

    field: str
    op: Op
    value: Value | tuple[Value, ...] = None
    """A tuple for IN; days for IN_LAST; None where the operator takes nothing."""


@dataclass(frozen=True, slots=True)
class HasTag:
    """The member has a tag."""

    tag: str


@dataclass(frozen=True, slots=True)
class Consented:
    """The member's last word for a channel and topic is yes."""

    channel: str
    topic: str = "marketing"


@dataclass(frozen=True, slots=True)
class Reachable:
    """The member has an active primary address for a channel that is not suppressed for all."""

    channel: str


@dataclass(frozen=True, slots=True)
class InSegment:
    """The member is in a segment, named as its client names it."""

    name: str


class Measure(StrEnum):
    """What is asked of a member's events of one name."""

    COUNT = "count"
    """How often: at least, at most or exactly (>=, <=, =)."""
    SUM = "sum"
    """Their money together; nothing where there are none."""
    FIRST = "first"
    """When the first one was."""
    LAST = "last"
    """When the last one was."""


@dataclass(frozen=True, slots=True)
class Did:
    """What the member did: how often, for how much, when first or last.

    A window is whole days in UTC, today included: 1 day is today.
    """

    event: str
    measure: Measure = Measure.COUNT
    op: Op = Op.GE
    value: Value = 1
    """A number for COUNT and SUM; a date, or days for IN_LAST, for FIRST and LAST."""
    days: int | None = None
    """Only events of the last so many days; COUNT and SUM only."""
    where: tuple[Compare, ...] = ()
    """Only events whose properties are so; `field` is a property's name, or TOTAL."""


class Verb(StrEnum):
    """What became of a message; the values are the words of the text form."""

    SENT = "sent"
    RECEIVED = "received"
    READ = "read"
    CLICKED = "clicked"
    REPLIED = "replied"
    BOUNCED = "bounced"


@dataclass(frozen=True, slots=True)
class Messaged:
    """The member was sent, read, clicked, … a message."""

    verb: Verb
    campaign: str | Literal[True] | None = None
    """A campaign's name; True for any campaign; None for any message, also single ones."""
    channel: str | None = None
    days: int | None = None
    """Within so many whole days in UTC, today included."""


@dataclass(frozen=True, slots=True)
class Lot:
    """The member is among a part of all members drawn by lot: always the same for one salt."""

    part: int
    of: int
    salt: str = ""


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    items: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of them."""

    items: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Not that."""

    item: "Condition"


Leaf = Everyone | Compare | HasTag | Consented | Reachable | InSegment | Did | Messaged | Lot
Condition = Leaf | And | Or | Not
CHANNELS = ("email", "sms", "push")
"""What addresses and consents are kept for."""
MESSAGES = ("sms", "mms", "email", "voice", "chat", "conversation", "push", "webhook")
"""What messages go by."""


def depth(condition: Condition) -> int:
    """Return how deep a condition nests; a leaf is 1."""
    match condition:
        case And(items=items) | Or(items=items):
            return 1 + max(depth(item) for item in items)
        case Not(item=item):
            return 1 + depth(item)
        case _:
            return 1


def leaves(condition: Condition) -> int:
    """Return how many leaves a condition has; each test of an event's properties is one too."""
    match condition:
        case And(items=items) | Or(items=items):
            return sum(leaves(item) for item in items)
        case Not(item=item):
            return leaves(item)
        case Did(where=where):
            return 1 + len(where)
        case _:
            return 1


def each_leaf(condition: Condition) -> Iterator[Leaf]:
    """Yield the leaves of a condition from left to right."""
    match condition:
        case And(items=items) | Or(items=items):
            for item in items:
                yield from each_leaf(item)
        case Not(item=item):
            yield from each_leaf(item)
        case _:
            yield condition


def kind_of(field: str) -> Kind | None:
    """Return what a field holds; None for a field nobody knows."""
    if field.startswith(ATTRIBUTES) and len(field) > len(ATTRIBUTES):
        return Kind.ANY
    if field.startswith(EXTERNAL) and SYSTEM.fullmatch(field.removeprefix(EXTERNAL)):
        return Kind.TEXT
    return FIELDS.get(field)
