"""Checks that every condition passes, whichever face it came in by."""

import difflib
import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from core.condition.ast import (
    ATTRIBUTES,
    BARE,
    CHANNELS,
    FIELDS,
    MAX_DEPTH,
    MAX_LEAVES,
    ORDER,
    TEXT_ONLY,
    TIME_ONLY,
    Compare,
    Condition,
    Kind,
    Op,
    depth,
    kind_of,
    leaves,
)
from core.errors import InvalidError

ATTRIBUTE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
MAX_TEXT = 500


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
    return condition


def check_channel(channel: str) -> str:
    """Return a channel that has addresses."""
    if channel not in CHANNELS:
        raise ConditionError(f"“{channel}” is no channel", remedy=nearest(channel, CHANNELS))
    return channel


def check_compare(compare: Compare) -> Compare:
    """Return a comparison that makes sense. Raises ConditionError naming what does not."""
    kind = kind_of(compare.field)
    if kind is None or (
        kind is Kind.ANY and not ATTRIBUTE.fullmatch(compare.field.removeprefix(ATTRIBUTES))
    ):
        raise ConditionError(
            f"members have no field “{compare.field[:80]}”",
            remedy=nearest(compare.field, FIELDS) + "; the client's own are attributes.<name>",
        )
    if not _fits(kind, compare.op):
        raise ConditionError(
            f"“{compare.op}” cannot be asked of {compare.field}, which holds {_holds(kind)}",
            remedy=f"use one of {', '.join(op for op in Op if _fits(kind, op))}",
        )
    if compare.op in BARE:
        return Compare(compare.field, compare.op)
    if compare.op is Op.IN_LAST:
        return _check_days(compare)
    if isinstance(compare.value, tuple) != (compare.op is Op.IN):
        raise ConditionError(f"“{compare.op}” takes {_takes(compare.op)}")
    values = compare.value if isinstance(compare.value, tuple) else (compare.value,)
    if not values:
        raise ConditionError("“in” takes at least one value")
    for value in values:
        _check_value(compare.field, kind, compare.op, value)
    return compare


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


def _check_days(compare: Compare) -> Compare:
    days = compare.value
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= 36_500:
        raise ConditionError(f"“in the last” takes a number of days, not {days!r}")
    return compare


def _check_value(field: str, kind: Kind, op: Op, value: object) -> None:
    ordered = kind is Kind.ANY and op in ORDER
    if not _right(Kind.NUMBER if ordered else kind, value):
        expected = "a number" if ordered else _holds(kind)
        raise ConditionError(f"{field} is compared with {expected}, not {value!r:.60}")
    if isinstance(value, str) and (len(value) > MAX_TEXT or "\x00" in value):
        raise ConditionError(f"the value for {field} is too long or holds a NUL")


def _right(kind: Kind, value: object) -> bool:
    match kind:
        case Kind.TEXT:
            return isinstance(value, str)
        case Kind.NUMBER:
            return _is_number(value)
        case Kind.DATE | Kind.INSTANT:
            return isinstance(value, date)
        case Kind.ANY:
            return isinstance(value, str | bool) or _is_number(value)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    return abs(float(value)) < 1e15  # NaN and infinities are not


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
