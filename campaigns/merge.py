"""Merge: the values a message will show of its member, copied when it is decided.

Copied, because a message is shown later exactly as it was sent, whatever became of the member. All
fields of channels.names.MEMBER_FIELDS have a column here; attributes and the client's foundation
keep their JSON types. What only a journey knows is null here; its sends put it in.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, null, select
from sqlalchemy.orm import InstrumentedAttribute

from accounts.client import Client
from channels.names import FOUNDATION, JOURNEY_ROOTS
from core.sql import iso_text, json_at, json_object, plain_number
from members.member import Member

NUMBERS = frozenset({"engagement_score", "lifetime_value", "total_spend"})
INSTANTS = frozenset({"last_active"})


def merge_of(fields: Sequence[str]) -> ColumnElement[dict[str, Any]]:
    """Return the JSON object of a template's fields, such as `first_name`, `attributes.city`.

    Text stays text, numbers are numbers (`12`, `12.5`), dates and instants ISO 8601 text.
    """
    return json_object({field: _value(field) for field in fields})


def _value(field: str) -> ColumnElement[Any] | InstrumentedAttribute[Any]:
    root, _, name = field.partition(".")
    if name and root in JOURNEY_ROOTS:
        return null()
    if name:
        return _fact(name) if root == FOUNDATION else json_at(Member.attributes, name)
    column: InstrumentedAttribute[Any] = getattr(Member, field)
    if field in NUMBERS:
        return plain_number(column)
    return iso_text(column) if field in INSTANTS else column


def _fact(name: str) -> ColumnElement[Any]:
    foundation = json_at(Client.settings, FOUNDATION)
    told = select(json_at(foundation, name)).where(Client.id == Member.client_id)
    return told.scalar_subquery()


NOTHING: ColumnElement[dict[str, Any]] = json_object({})
"""What a message that is not sent shows."""
