"""Merge: the values a message will show of its member, copied when it is decided.

Copied, because a message is shown later exactly as it was sent, whatever became of the member. All
fields of channels.names.MEMBER_FIELDS have a column here; attributes keep their JSON types.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import InstrumentedAttribute

from core.sql import iso_text, json_at, json_object, plain_number
from members.member import Member

NUMBERS = frozenset({"engagement_score", "lifetime_value", "total_spend"})
INSTANTS = frozenset({"last_active"})
ATTRIBUTES = "attributes."


def merge_of(fields: Sequence[str]) -> ColumnElement[dict[str, Any]]:
    """Return the JSON object of a template's fields, such as `first_name`, `attributes.city`.

    Text stays text, numbers are numbers (`12`, `12.5`), dates and instants ISO 8601 text.
    """
    return json_object({field: _value(field) for field in fields})


def _value(field: str) -> ColumnElement[Any] | InstrumentedAttribute[Any]:
    if field.startswith(ATTRIBUTES):
        return json_at(Member.attributes, field.removeprefix(ATTRIBUTES))
    column: InstrumentedAttribute[Any] = getattr(Member, field)
    if field in NUMBERS:
        return plain_number(column)
    return iso_text(column) if field in INSTANTS else column


NOTHING: ColumnElement[dict[str, Any]] = json_object({})
"""What a message that is not sent shows."""
