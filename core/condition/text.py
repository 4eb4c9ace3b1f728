"""The text face: parse and format.

    tier in ("premium", "elite") and has tag "vip" and not consent sms
    attributes.city = "Berlin" or last_active in the last 30 days

`and` binds closer than `or`; keywords may be written in capitals. `parse(format(c)) == c`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypeVar

from core.condition.ast import (
    BARE,
    FIELDS,
    And,
    Compare,
    Condition,
    Consented,
    Everyone,
    HasTag,
    InSegment,
    Kind,
    Not,
    Op,
    Or,
    Reachable,
    Value,
    kind_of,
)
from core.condition.check import (
    ConditionError,
    check_channel,
    check_compare,
    check_size,
    nearest,
)

T = TypeVar("T")
TOKEN = re.compile(
    r"""\s+ | (?P<text>"(?:[^"\\]|\\.)*") | (?P<number>-?\d+(?:\.\d+)?(?![\w.]))
      | (?P<op><=|>=|!=|=|<|>) | (?P<mark>[(),])
      | (?P<word>[^\W\d]\w*(?:\.\w+)?) """,
    re.VERBOSE,
)
MAX_LENGTH = 20_000
MAX_NESTING = 40
STARTERS = ("everyone", "has", "consent", "reachable", "in", "not")
WORD_OPS = ("contains", "starts", "in", "is", "before", "after")
UNITS = {"day": 1, "days": 1, "week": 7, "weeks": 7}


@dataclass(frozen=True, slots=True)
class Token:
    """One word, value or sign, and where it stands."""

    kind: str
    text: str
    start: int


def parse(text: str) -> Condition:
    """Read a condition. Raises ConditionError with line, column and the nearest known word."""
    if len(text) > MAX_LENGTH:
        raise ConditionError(f"the condition has {len(text)} characters", remedy="make it shorter")
    parser = _Parser(text)
    condition = parser.either()
    parser.end()
    return check_size(condition)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._at = 0
        self._nesting = 0

    def _split(self) -> Iterator[Token]:
        position = 0
        while position < len(self._text):
            found = TOKEN.match(self._text, position)
            if found is None:
                what = self._text[position]
                hint = "close the quotation mark" if what == '"' else None
                raise self._error(f"“{what}” is not understood", position, hint)
            if found.lastgroup is not None:
                yield Token(found.lastgroup, found.group(), position)
            position = found.end()
        yield Token("end", "the end", len(self._text))

    def _error(self, message: str, position: int, remedy: str | None = None) -> ConditionError:
        before = self._text[:position]
        line = before.count("\n") + 1
        column = position - (before.rfind("\n") + 1) + 1
        return ConditionError(message, line=line, column=column, remedy=remedy)

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._next
        self._at += token.kind != "end"
        return token

    def _word(self, *words: str) -> bool:
        """Take the next words if they are these."""
        for offset, word in enumerate(words):
            token = self._tokens[min(self._at + offset, len(self._tokens) - 1)]
            if token.kind not in ("word", "op", "mark") or token.text.casefold() != word:
                return False
        self._at += len(words)
        return True

    def _need(self, *words: str) -> None:
        for word in words:
            if not self._word(word):
                raise self._expected(f"“{word}”", (word,))

    def _expected(self, what: str, known: tuple[str, ...] = ()) -> ConditionError:
        token = self._next
        remedy = nearest(token.text, known) if known and token.kind == "word" else None
        return self._error(f"{what} was expected, not {token.text[:40]}", token.start, remedy)

    def end(self) -> None:
        if self._next.kind != "end":
            raise self._expected("“and”, “or” or the end", ("and", "or"))

    def either(self) -> Condition:
        items = [self._both()]
        while self._word("or"):
            items.append(self._both())
        return items[0] if len(items) == 1 else Or(tuple(items))

    def _both(self) -> Condition:
        items = [self._one()]
        while self._word("and"):
            items.append(self._one())
        return items[0] if len(items) == 1 else And(tuple(items))

    def _one(self) -> Condition:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise self._error("this nests too deep", self._next.start)
        try:
            if self._word("not"):
                return Not(self._one())
            if self._word("("):
                inner = self.either()
                self._need(")")
                return inner
            return self._leaf()
        finally:
            self._nesting -= 1

    def _leaf(self) -> Condition:
        start = self._next
        if self._word("everyone"):
            return Everyone()
        if self._word("has"):
            self._need("tag")
            return HasTag(self._string())
        if self._word("in"):
            self._need("segment")
            return InSegment(self._string())
        if self._word("reachable"):
            self._need("by")
            return Reachable(self._checked(start, lambda: check_channel(self._name())))
        if self._word("consent"):
            channel = self._checked(start, lambda: check_channel(self._name()))
            return Consented(channel, self._string()) if self._word("topic") else Consented(channel)
        return self._compare()

    def _name(self) -> str:
        return self._take().text.casefold()

    def _checked(self, start: Token, make: Callable[[], T]) -> T:
        """Give what `make` makes; an error it raises learns where it stands."""
        try:
            return make()
        except ConditionError as error:
            if error.line is not None:
                raise
            raise self._error(str(error), start.start, error.remedy) from None

    def _string(self) -> str:
        if self._next.kind != "text":
            raise self._expected('text in "quotation marks"')
        return _unquote(self._take().text)

    def _compare(self) -> Condition:
        start = self._next
        if start.kind != "word":
            raise self._expected("a field or a condition")
        field = self._take().text
        kind = kind_of(field.casefold()) or kind_of(field)
        if kind is None:
            known = (*STARTERS, *FIELDS)
            raise self._error(
                f"“{field[:40]}” is neither a field nor a condition",
                start.start,
                nearest(field, known) + "; the client's own fields are attributes.<name>",
            )
        name = field if field.startswith("attributes.") else field.casefold()
        op = self._op()
        value = self._value_for(op, kind)
        compare = Compare(name, op, value)
        return self._checked(start, lambda: check_compare(compare))

    def _op(self) -> Op:
        if self._next.kind == "op":
            return Op(self._take().text)
        for op in sorted(Op, key=lambda op: -len(op.value)):
            if self._word(*op.value.split()):
                return op
        raise self._expected("a comparison", WORD_OPS)

    def _value_for(self, op: Op, kind: Kind) -> Value | tuple[Value, ...]:
        if op in BARE:
            return None
        if op is Op.IN_LAST:
            return self._days()
        if op is Op.IN:
            self._need("(")
            values = [self._value(kind)]
            while self._word(","):
                values.append(self._value(kind))
            self._need(")")
            return tuple(values)
        return self._value(kind)

    def _days(self) -> int:
        token = self._take()
        if token.kind != "number" or not token.text.isdigit():
            raise self._error("a number of days was expected", token.start)
        unit = self._take()
        if unit.text.casefold() not in UNITS:
            raise self._error(
                f"“{unit.text[:20]}” is no unit", unit.start, nearest(unit.text, UNITS)
            )
        return int(token.text) * UNITS[unit.text.casefold()]

    def _value(self, kind: Kind) -> Value:
        token = self._take()
        if token.kind == "number":
            return int(token.text) if "." not in token.text else float(token.text)
        if token.kind == "word" and token.text.casefold() in ("true", "false"):
            return token.text.casefold() == "true"
        if token.kind != "text":
            raise self._error("a value was expected", token.start, 'text stands in "marks"')
        text = _unquote(token.text)
        if kind in (Kind.DATE, Kind.INSTANT):
            return self._date(text, token)
        return text

    def _date(self, text: str, token: Token) -> date:
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise self._error(
                f"“{text[:20]}” is no date", token.start, 'write it as "2026-01-31"'
            ) from None


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)


def format(condition: Condition) -> str:
    """Write a condition as text that parses to the same condition."""
    return _format(condition, 0)


def _format(condition: Condition, binding: int) -> str:
    match condition:
        case Or(items=items):
            text = " or ".join(_format(item, 1) for item in items)
            return f"({text})" if binding >= 1 else text
        case And(items=items):
            text = " and ".join(_format(item, 2) for item in items)
            return f"({text})" if binding >= 2 else text
        case Not(item=item):
            return f"not {_format(item, 3)}"
        case _:
            return _leaf(condition)


def _leaf(condition: Condition) -> str:
    match condition:
        case Everyone():
            return "everyone"
        case HasTag(tag=tag):
            return f"has tag {_quote(tag)}"
        case InSegment(name=name):
            return f"in segment {_quote(name)}"
        case Reachable(channel=channel):
            return f"reachable by {channel}"
        case Consented(channel=channel, topic=topic):
            more = "" if topic == "marketing" else f" topic {_quote(topic)}"
            return f"consent {channel}{more}"
        case Compare(field=field, op=op, value=value):
            return f"{field} {op}{_written(op, value)}"
        case _:
            raise AssertionError(condition)


def _written(op: Op, value: object) -> str:
    if op in BARE:
        return ""
    if op is Op.IN_LAST:
        return f" {value} days"
    if isinstance(value, tuple):
        return f" ({', '.join(_literal(item) for item in value)})"
    return f" {_literal(value)}"


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal):
        text = f"{Decimal(str(value)):f}"
        return text if "." in text else f"{text}.0"
    if isinstance(value, int):
        return str(value)
    return _quote(value.isoformat() if isinstance(value, date) else str(value))


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
