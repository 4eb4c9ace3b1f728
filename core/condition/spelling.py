"""Spelling: a condition as text that parses to the same condition."""

import difflib
import re
from datetime import date
from decimal import Decimal

from core.condition.ast import (
    BARE,
    FIELDS,
    And,
    Compare,
    Condition,
    Consented,
    Did,
    Everyone,
    HasTag,
    InSegment,
    Leaf,
    Lot,
    Measure,
    Messaged,
    Not,
    Op,
    Or,
    Reachable,
    Verb,
)

COUNTS = {Op.GE: "at least", Op.LE: "at most", Op.EQ: "exactly"}
PROPERTIES = "properties."
"""Stands before a property that is named like a field or a word of the language."""
KEYWORDS = frozenset(
    {
        *("and", "or", "not", "everyone", "has", "tag", "in", "segment", "reachable", "by"),
        *("consent", "topic", "is", "set", "contains", "starts", "with", "before", "after"),
        *("the", "last", "first", "did", "was", "sent", "received", "read", "clicked"),
        *("replied", "bounced", "to", "any", "message", "campaign", "at", "least", "most"),
        *("exactly", "never", "once", "twice", "time", "times", "where", "within", "sum"),
        *("of", "total", "random", "salt", "true", "false", "day", "days", "week", "weeks"),
    }
)
BEGINNINGS = frozenset(
    {
        *("everyone", "has", "in", "reachable", "consent", "not", "did", "sum", "first", "last"),
        *("was", "received", "read", "clicked", "replied", "bounced", "random"),
    }
)
"""Words that begin a condition, besides the fields of members."""
PLAIN = re.compile(r"[^\W\d]\w*")
"""An event's name that needs no quotation marks, if it is no word of the language."""


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
        case Not(item=Did(measure=Measure.COUNT) as did):
            return f"did not {_count(did)}"
        case Not(item=Messaged(verb=Verb.SENT) as messaged):
            return f"was not sent{_message(messaged)}"
        case Not(item=item):
            return f"not {_format(item, 3)}"
        case _:
            return _leaf(condition)


def _leaf(leaf: Leaf) -> str:
    match leaf:
        case HasTag(tag=tag):
            return f"has tag {quote(tag)}"
        case InSegment(name=name):
            return f"in segment {quote(name)}"
        case Reachable(channel=channel):
            return f"reachable by {channel}"
        case Consented(channel=channel, topic=topic):
            more = "" if topic == "marketing" else f" topic {quote(topic)}"
            return f"consent {channel}{more}"
        case Compare():
            return _compare(leaf, leaf.field)
        case _:
            return _happened(leaf)


def _happened(leaf: Leaf) -> str:
    match leaf:
        case Did():
            return _did(leaf)
        case Messaged(verb=verb):
            return f"{'was sent' if verb is Verb.SENT else verb}{_message(leaf)}"
        case Lot(part=part, of=of, salt=salt):
            return f"random {part} of {of}" + (f" salt {quote(salt)}" if salt else "")
        case Everyone():
            return "everyone"
        case _:
            raise AssertionError(leaf)


def _did(did: Did) -> str:
    match did.measure:
        case Measure.COUNT:
            return f"did {_count(did)}"
        case Measure.SUM:
            asked = f"sum of total of {name(did.event)}{_asked(did.op, did.value)}"
            return asked + _window(did.days) + _where(did)
        case _:
            return f"{did.measure} {name(did.event)}{_asked(did.op, did.value)}{_where(did)}"


def _count(did: Did) -> str:
    times = f" {COUNTS[did.op]} {did.value} {'time' if did.value == 1 else 'times'}"
    often = "" if (did.op, did.value) == (Op.GE, 1) else times
    return name(did.event) + often + _window(did.days) + _where(did)


def _where(did: Did) -> str:
    tests = [_compare(test, _property(test.field)) for test in did.where]
    return f" where {' and '.join(tests)}" if tests else ""


def _property(field: str) -> str:
    word = field.casefold()
    taken = word in FIELDS or word in BEGINNINGS or near_field(word)
    return PROPERTIES + field if taken else field


def near_field(word: str) -> bool:
    """Say whether a property's name looks like a field of members, perhaps misspelt."""
    return bool(difflib.get_close_matches(word.casefold(), FIELDS, n=1, cutoff=0.85))


def _message(messaged: Messaged) -> str:
    match messaged.campaign:
        case None:
            what = " any message"
        case True:
            what = " any campaign"
        case str(campaign):
            what = f" {quote(campaign)}"
    by = f" by {messaged.channel}" if messaged.channel else ""
    return what + by + _window(messaged.days)


def _window(days: int | None) -> str:
    return "" if days is None else f" {Op.IN_LAST} {plural(days, 'day')}"


def plural(number: object, word: str) -> str:
    """Return “1 day”, “2 days”."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def name(event: str) -> str:
    """Return an event's name, in quotation marks unless it is one plain word."""
    plain = PLAIN.fullmatch(event) and event.casefold() not in KEYWORDS
    return event if plain else quote(event)


def _compare(compare: Compare, field: str) -> str:
    return f"{field}{_asked(compare.op, compare.value)}"


def _asked(op: Op, value: object) -> str:
    if op in BARE:
        return f" {op}"
    if op is Op.IN_LAST:
        return f" {op} {plural(value, 'day')}"
    if isinstance(value, tuple):
        return f" {op} ({', '.join(literal(item) for item in value)})"
    return f" {op} {literal(value)}"


def literal(value: object) -> str:
    """Return a value as it stands in text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal):
        text = f"{Decimal(str(value)):f}"
        return text if "." in text else f"{text}.0"
    if isinstance(value, int):
        return str(value)
    return quote(value.isoformat() if isinstance(value, date) else str(value))


def quote(text: str) -> str:
    """Return text in quotation marks, on one line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = escaped.replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
