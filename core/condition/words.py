"""Words: the tokens of a condition as text, taken one after the other, with their places."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from core.condition.ast import BARE, Kind, Op, Value
from core.condition.check import ConditionError, nearest

T = TypeVar("T")
TOKEN = re.compile(
    r"""\s+ | (?P<text>"(?:[^"\\]|\\.)*") | (?P<number>-?\d+(?:\.\d+)?(?![\w.]))
      | (?P<op><=|>=|!=|=|<|>) | (?P<mark>[(),])
      | (?P<word>(?i:external_id)\.[\w.-]* | [^\W\d]\w*(?:\.\w+)?) """,
    re.VERBOSE | re.DOTALL,
)
DIGITS = 330
"""No number that is a condition's value has more."""
WORD_OPS = ("contains", "starts", "in", "is", "before", "after")
UNITS = {"day": 1, "days": 1, "week": 7, "weeks": 7}


@dataclass(frozen=True, slots=True)
class Token:
    """One word, value or sign, and where it stands."""

    kind: str
    text: str
    start: int

    @property
    def word(self) -> str:
        """The word in small letters; nothing for what is no word."""
        return self.text.casefold() if self.kind == "word" else ""


class Words:
    """A text as tokens, or some tokens of it, and how far they have been read."""

    pattern = TOKEN

    def __init__(self, text: str, tokens: Iterable[Token] | None = None) -> None:
        self._text = text
        self._tokens = list(self._split() if tokens is None else tokens)
        self._at = 0

    def _split(self) -> Iterator[Token]:
        position = 0
        while position < len(self._text):
            found = self.pattern.match(self._text, position)
            if found is None:
                what = self._text[position]
                hint = "close the quotation mark" if what == '"' else None
                raise self.error(f"“{what}” is not understood", position, hint)
            if found.lastgroup is not None:
                yield Token(found.lastgroup, found.group(), position)
            position = found.end()
        yield Token("end", "the end", len(self._text))

    def error(self, message: str, position: int, remedy: str | None = None) -> ConditionError:
        """Return the error with its line and column, from 1."""
        before = self._text[:position]
        line = before.count("\n") + 1
        column = position - (before.rfind("\n") + 1) + 1
        return ConditionError(message, line=line, column=column, remedy=remedy)

    @property
    def next(self) -> Token:
        """The token that comes next; it stays."""
        return self._tokens[self._at]

    def peek(self, offset: int = 1) -> Token:
        """Return the token after the next; the end stands for all that follow."""
        return self._tokens[min(self._at + offset, len(self._tokens) - 1)]

    def take(self) -> Token:
        """Return the next token and move on; the end is never left."""
        token = self.next
        self._at += token.kind != "end"
        return token

    def word(self, *words: str) -> bool:
        """Take the next words if they are these."""
        for offset, word in enumerate(words):
            token = self.peek(offset)
            if token.kind not in ("word", "op", "mark") or token.text.casefold() != word:
                return False
        self._at += len(words)
        return True

    def joined(self, word: str) -> bool:
        """Take a word that joins what follows to a condition, where that goes on with it."""
        return self.word(word)

    def need(self, *words: str) -> None:
        """Take these words. Raises ConditionError when something else stands there."""
        for word in words:
            if not self.word(word):
                raise self.expected(f"“{word}”", (word,))

    def one_of(self, words: Iterable[str]) -> str | None:
        """Take the next word if it is one of these, and return it."""
        return next((word for word in words if self.word(word)), None)

    def expected(self, what: str, known: Iterable[str] = ()) -> ConditionError:
        """Return the error that something else was expected here, with the nearest word."""
        token = self.next
        names = tuple(known)
        remedy = nearest(token.text, names) if names and token.kind == "word" else None
        return self.error(f"{what} was expected, not {token.text[:40]}", token.start, remedy)

    def end(self) -> None:
        """Raise ConditionError unless everything has been read."""
        if self.next.kind != "end":
            raise self.expected("“and”, “or” or the end", ("and", "or"))

    def checked(self, start: Token, make: Callable[[], T]) -> T:
        """Return what `make` returns; an error it raises learns where it stands."""
        try:
            return make()
        except ConditionError as error:
            if error.line is not None:
                raise
            raise self.error(str(error), start.start, error.remedy) from None

    def string(self) -> str:
        """Take text in quotation marks."""
        if self.next.kind != "text":
            raise self.expected('text in "quotation marks"')
        return _unquote(self.take().text)

    def whole(self, what: str) -> int:
        """Take a whole number from 0; `what` names it."""
        token = self.next
        if token.kind != "number" or not token.text.isdecimal() or len(token.text) > DIGITS:
            raise self.expected(what)
        return int(self.take().text)

    def days(self) -> int:
        """Take a number of days or weeks."""
        number = self.whole("a number of days")
        unit = self.take()
        if unit.word not in UNITS:
            message = f"“{unit.text[:20]}” is no unit"
            raise self.error(message, unit.start, nearest(unit.text, UNITS))
        return number * UNITS[unit.word]

    def op(self, ops: Iterable[Op] = Op) -> Op:
        """Take a comparison."""
        if self.next.kind == "op":
            return Op(self.take().text)
        for op in sorted(ops, key=lambda op: -len(op.value)):
            if self.word(*op.value.split()):
                return op
        raise self.expected("a comparison", WORD_OPS)

    def value_for(self, op: Op, kind: Kind) -> Value | tuple[Value, ...]:
        """Take what a comparison takes of a field that holds `kind`."""
        if op in BARE:
            return None
        if op is Op.IN:
            self.need("(")
            values = [self._value(kind)]
            while self.word(","):
                values.append(self._value(kind))
            self.need(")")
            return tuple(values)
        return self.single(op, kind)

    def single(self, op: Op, kind: Kind) -> Value:
        """Take the one value of a comparison."""
        return self.days() if op is Op.IN_LAST else self._value(kind)

    def _value(self, kind: Kind) -> Value:
        token = self.take()
        if token.kind == "number" and len(token.text) <= DIGITS:
            return float(token.text) if "." in token.text else int(token.text)
        if token.word in ("true", "false"):
            return token.word == "true"
        if token.kind != "text":
            raise self.error("a value was expected", token.start, 'text stands in "marks"')
        text = _unquote(token.text)
        return self._date(text, token) if kind in (Kind.DATE, Kind.INSTANT) else text

    def _date(self, text: str, token: Token) -> date:
        try:
            return date.fromisoformat(text)
        except ValueError:
            message = f"“{text[:20]}” is no date"
            raise self.error(message, token.start, 'write it as "2026-01-31"') from None


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", _meant, text[1:-1], flags=re.DOTALL)


def _meant(found: re.Match[str]) -> str:
    return {"n": "\n", "r": "\r"}.get(found[1], found[1])
