"""Checks that every condition passes, whichever face it came in by."""

import difflib
import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from core.condition.ast import (
    ATTRIBUTES,
    BARE,
    EXTERNAL,
    FIELDS,
    MAX_DEPTH,
    MAX_LEAVES,
    ORDER,
    TEXT_ONLY,
    TIME_ONLY,
    TOTAL,
    Compare,
    Condition,
    Kind,
    Op,
    depth,
    kind_of,
    leaves,
)
from core.condition.normal import normal_number, normal_value
from core.condition.spelling import format
from core.errors import InvalidError

ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
MAX_TEXT = 500
MAX_LENGTH = 20_000
"""Characters of a condition as text."""
MAX_DAYS = 36_500


class ConditionError(InvalidError):
    """The condition cannot be understood."""

    code = "condition"

    def __init__(
        self,
        message: str,
        *,
        line: int | None = None,
        column: int | None = None,
        remedy: str | None = None,
        field: str = "rule",
    ) -> None:
        where = f" (line {line}, column {column})" if line is not None else ""
        super().__init__(message + where, field=field, remedy=remedy)
        self.line = line
        self.column = column


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the remedy for a word nobody knows: the nearest one, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(word.casefold(), names, n=1)
    return f"did you mean “{close[0]}”?" if close else f"use one of {', '.join(names)}"


def check_size(condition: Condition) -> Condition:
    """Return the condition. Raises ConditionError when it is too deep or too long."""
    if depth(condition) > MAX_DEPTH:
        raise ConditionError(
            f"the condition nests {depth(condition)} deep",
            remedy=f"keep it to {MAX_DEPTH} levels; make a segment of a part of it",
        )
    if leaves(condition) > MAX_LEAVES:
        raise ConditionError(
            f"the condition has {leaves(condition)} parts",
            remedy=f"keep it to {MAX_LEAVES}; make a segment of a part of it",
        )
    length = len(format(condition))
    if length > MAX_LENGTH:
        raise ConditionError(
            f"the condition has {length} characters",
            remedy=f"keep it to {MAX_LENGTH}; tag the members of a long list instead",
        )
    return condition


def check_compare(compare: Compare) -> Compare:
    """Return a comparison that makes sense, its values as they are stored.

    Raises ConditionError naming what does not.
    """
    kind = kind_of(compare.field)
    if kind is None or (
        kind is Kind.ANY and not ATTRIBUTE.fullmatch(compare.field.removeprefix(ATTRIBUTES))
    ):
        raise ConditionError(
            f"members have no field “{compare.field[:80]}”",
            remedy=field_meant(compare.field),
        )
    return _check(compare, kind)


def field_meant(name: str, known: Iterable[str] = FIELDS) -> str:
    """Return the remedy for a field of members that nobody knows."""
    if name.casefold().startswith(EXTERNAL.rstrip(".")):
        return "name the system, such as external_id.shopify: up to 22 letters, digits, . _ and -"
    return nearest(name, known) + "; the client's own fields are attributes.<name>"


def check_property(compare: Compare) -> Compare:
    """Return a test of one property of an event. Raises ConditionError likewise."""
    if not ATTRIBUTE.fullmatch(compare.field):
        raise ConditionError(
            f"“{compare.field[:80]}” is no name of a property",
            remedy="it has letters, digits and _, at most 64, and begins with no digit",
        )
    return _check(compare, property_kind(compare.field))


def property_kind(name: str) -> Kind:
    """Return what a property of an event holds: its total is a number, others are what they are."""
    return Kind.NUMBER if name == TOTAL else Kind.ANY


def _check(compare: Compare, kind: Kind) -> Compare:
    if not _fits(kind, compare.op):
        raise ConditionError(
            f"“{compare.op}” cannot be asked of {compare.field}, which holds {_holds(kind)}",
            remedy=f"use one of {', '.join(ops_of(kind))}",
        )
    if compare.op in BARE:
        return Compare(compare.field, compare.op)
    if compare.op is Op.IN_LAST:
        check_days(compare.value)
        return compare
    if isinstance(compare.value, tuple) != (compare.op is Op.IN):
        raise ConditionError(f"“{compare.op}” takes {_takes(compare.op)}")
    values = compare.value if isinstance(compare.value, tuple) else (compare.value,)
    if not values:
        raise ConditionError("“in” takes at least one value")
    for value in values:
        _check_value(compare.field, kind, compare.op, value)
    kept = tuple(normal_value(compare.field, compare.op, value) for value in values)
    return Compare(compare.field, compare.op, kept if compare.op is Op.IN else kept[0])


def check_days(days: object) -> None:
    """Raise ConditionError when this is no number of days."""
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MAX_DAYS:
        raise ConditionError(
            f"“in the last” takes a number of days, not {str(days)[:40]}",
            remedy=f"give a whole number from 1 to {MAX_DAYS}",
        )


def check_day(day: object) -> None:
    """Raise ConditionError when this is no date."""
    if not _right(Kind.DATE, day):
        raise ConditionError(
            f"a date was expected, not {str(day)[:40]}", remedy='write it as "2026-01-31"'
        )


def check_number(value: object) -> int | float:
    """Return a number that can be compared with. Raises ConditionError."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ConditionError(f"a number was expected, not {str(value)[:40]}")
    if not is_number(value):
        raise ConditionError("the number is too big", remedy="keep it below 10^15")
    return normal_number(value)


def check_text(value: str, what: str, most: int = MAX_TEXT, least: int = 0) -> str:
    """Return text that both databases can hold. Raises ConditionError naming `what` it is."""
    try:
        value.encode()
        broken = "\x00" in value
    except UnicodeEncodeError:
        broken = True
    if broken:
        raise ConditionError(f"{what} holds a character that cannot be stored")
    if not least <= len(value) <= most:
        raise ConditionError(f"{what} has {len(value)} characters", remedy=f"keep it to {most}")
    return value


def ops_of(kind: Kind) -> tuple[Op, ...]:
    """Return the comparisons that can be asked of what holds `kind`."""
    return tuple(op for op in Op if _fits(kind, op))


def _fits(kind: Kind, op: Op) -> bool:
    if op in TEXT_ONLY:
        return kind in (Kind.TEXT, Kind.ANY)
    if op in TIME_ONLY:
        return kind in (Kind.DATE, Kind.INSTANT)
    if op in ORDER:
        return kind in (Kind.NUMBER, Kind.ANY)
    if op in BARE:
        return True
    return kind is not Kind.INSTANT


def _check_value(field: str, kind: Kind, op: Op, value: object) -> None:
    ordered = kind is Kind.ANY and op in ORDER
    if not _right(Kind.NUMBER if ordered else kind, value):
        expected = "a number" if ordered else _holds(kind)
        raise ConditionError(f"{field} is compared with {expected}, not {value!r:.60}")
    if isinstance(value, str):
        check_text(value, f"the value for {field}")


def _right(kind: Kind, value: object) -> bool:
    match kind:
        case Kind.TEXT:
            return isinstance(value, str)
        case Kind.NUMBER:
            return is_number(value)
        case Kind.DATE | Kind.INSTANT:
            return isinstance(value, date) and not isinstance(value, datetime)
        case Kind.ANY:
            return isinstance(value, str | bool) or is_number(value)


def is_number(value: object) -> bool:
    """Say whether this is a number below 10^15; NaN and infinities are not."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    return abs(float(value)) < 1e15


def _holds(kind: Kind) -> str:
    return {
        Kind.TEXT: "text",
        Kind.NUMBER: "a number",
        Kind.DATE: 'a date such as "2026-01-31"',
        Kind.INSTANT: 'a date such as "2026-01-31"',
        Kind.ANY: "text, a number or true/false",
    }[kind]


def _takes(op: Op) -> str:
    return "values in parentheses" if op is Op.IN else "one value"
