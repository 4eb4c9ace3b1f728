"""The text face: parse, and format from spelling.py.

    tier in ("premium", "elite") and has tag "vip" and not consent sms
    attributes.city = "Berlin" or last_active in the last 30 days

`and` binds closer than `or`; keywords may be written in capitals. `parse(format(c)) == c`. What
members did and what messages became is read in happened.py.
"""

from core.condition.ast import (
    ATTRIBUTES,
    FIELDS,
    And,
    Compare,
    Condition,
    Consented,
    Everyone,
    HasTag,
    InSegment,
    Kind,
    Leaf,
    Not,
    Or,
    Reachable,
    kind_of,
)
from core.condition.check import MAX_LENGTH, ConditionError, check_size, field_meant
from core.condition.happened import happened
from core.condition.leaf import Known, checked
from core.condition.spelling import BEGINNINGS, PROPERTIES, format
from core.condition.words import Token, Words

__all__ = ["format", "parse"]

MAX_NESTING = 40


def parse(text: str, known: Known | None = None) -> Condition:
    """Read a condition. Raises ConditionError with line, column and the nearest known word.

    With `known`, names of events, tags, segments and campaigns must be among the client's own. A
    tier, status or gender must always be one that members can have.
    """
    if len(text) > 2 * MAX_LENGTH:
        raise ConditionError(f"the condition has {len(text)} characters", remedy="make it shorter")
    words = Words(text)
    found = _Parser(words, known or Known()).either()
    words.end()
    return check_size(found)


def condition(words: Words, known: Known | None = None) -> Condition:
    """Read a condition as far as it goes, and leave what stands behind it. Raises likewise."""
    start = words.next
    found = _Parser(words, known or Known()).either()
    return words.checked(start, lambda: check_size(found))


class _Parser:
    def __init__(self, words: Words, known: Known) -> None:
        self.words = words
        self._known = known
        self._nesting = 0

    def either(self) -> Condition:
        items = [self._both()]
        while self.words.joined("or"):
            items.append(self._both())
        return items[0] if len(items) == 1 else Or(tuple(items))

    def _both(self) -> Condition:
        items = [self._one()]
        while self.words.word("and"):
            items.append(self._one())
        return items[0] if len(items) == 1 else And(tuple(items))

    def _one(self) -> Condition:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise self.words.error("this nests too deep", self.words.next.start)
        try:
            if self.words.word("not"):
                return Not(self._one())
            if self.words.word("("):
                inner = self.either()
                self.words.need(")")
                return inner
            return self._leaf()
        finally:
            self._nesting -= 1

    def _leaf(self) -> Condition:
        found = happened(self.words, self._known)
        if found is not None:
            return found
        start = self.words.next
        leaf = self._belongs() or self._compare()
        return self.words.checked(start, lambda: checked(leaf, self._known))

    def _belongs(self) -> Leaf | None:
        words = self.words
        if words.word("everyone"):
            return Everyone()
        if words.word("has"):
            words.need("tag")
            return HasTag(words.string())
        if words.word("in"):
            words.need("segment")
            return InSegment(words.string())
        if words.word("reachable"):
            words.need("by")
            return Reachable(words.take().word)
        if words.word("consent"):
            channel = words.take().word
            topic = words.string() if words.word("topic") else "marketing"
            return Consented(channel, topic)
        return None

    def _compare(self) -> Compare:
        start = self.words.next
        if start.kind != "word":
            raise self.words.expected("a field or a condition")
        field = self.words.take().text
        name = field if field.startswith(ATTRIBUTES) else field.casefold()
        kind = kind_of(name)
        if kind is None:
            raise self._unknown(start)
        op = self.words.op()
        return Compare(name, op, self.words.value_for(op, kind or Kind.ANY))

    def _unknown(self, token: Token) -> ConditionError:
        if token.word.startswith(PROPERTIES):
            remedy = "properties belong behind an event: did purchase where …"
        else:
            remedy = field_meant(token.text, (*BEGINNINGS, *FIELDS))
        message = f"“{token.text[:40]}” is neither a field nor a condition"
        return self.words.error(message, token.start, remedy)
