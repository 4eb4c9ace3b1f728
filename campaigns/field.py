"""Fields: plain values from outside, read into the types they stand for or refused by name."""

import difflib
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from core.errors import InvalidError

E = TypeVar("E", bound=StrEnum)

MAX_NAME = 200


def one_of(kind: type[E], value: object, field: str) -> E:
    """Return the value of an enumeration. Raises InvalidError that names the nearest one."""
    try:
        return kind(str(value))
    except ValueError:
        known = [member.value for member in kind]
        near = difflib.get_close_matches(str(value), known, n=1)
        remedy = f"did you mean “{near[0]}”?" if near else f"use one of {', '.join(known)}"
        raise InvalidError(f"{field} cannot be “{value}”", field=field, remedy=remedy) from None


def name_of(value: str) -> str:
    """Return a name without spaces around it. Raises InvalidError for none, or a long one."""
    name = value.strip()
    if not name or len(name) > MAX_NAME:
        raise InvalidError(
            "the name is empty" if not name else f"the name has {len(name)} characters",
            field="name",
            remedy=f"give it a name of up to {MAX_NAME} characters",
        )
    return name


def instant_of(value: datetime, field: str) -> datetime:
    """Return an instant that has a time zone. Raises InvalidError for one that has none."""
    if value.utcoffset() is None:
        raise InvalidError(
            f"{field} has no time zone",
            field=field,
            remedy="write it as 2026-11-28T09:00:00+01:00, or with Z for UTC",
        )
    return value
