"""The condition language as values: what text, JSON, SQL and the evaluator all share.

A condition says something about one member at one instant. It holds no code: fields come from a
fixed table, values are always bound (RELIABILITY 4.4: depth ≤ 8, leaves ≤ 64, no raw SQL).
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

Value = str | int | float | bool | Decimal | date | None
MAX_DEPTH = 8
MAX_LEAVES = 64
ATTRIBUTES = "attributes."


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


Condition = Everyone | Compare | HasTag | Consented | Reachable | InSegment | And | Or | Not
CHANNELS = ("email", "sms", "push")


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
    """Return how many leaves a condition has."""
    match condition:
        case And(items=items) | Or(items=items):
            return sum(leaves(item) for item in items)
        case Not(item=item):
            return leaves(item)
        case _:
            return 1


def kind_of(field: str) -> Kind | None:
    """Return what a field holds; None for a field nobody knows."""
    if field.startswith(ATTRIBUTES) and len(field) > len(ATTRIBUTES):
        return Kind.ANY
    return FIELDS.get(field)
