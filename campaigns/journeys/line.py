"""Line: a line of a journey as words, and the lines that stand below it.

The words are those of conditions, and besides: durations (`1d12h`), times of day (`09:00`), zones
(`Europe/Berlin`), names with hyphens, comments.
"""

import re
from collections.abc import Iterable
from datetime import time, timedelta
from difflib import get_close_matches
from typing import TypeVar

from campaigns.journeys import normal
from campaigns.journeys.duration import WEEKDAYS, read_duration, read_time
from channels.channel import Channel
from core.condition.check import ConditionError, nearest
from core.condition.words import TOKEN, Token, Words

T = TypeVar("T")
MORE = r"""[^\S\n]+ | (?P<comment>\#[^\n]*) | (?P<break>\n)
      | (?P<open>"(?:[^"\\\n]|\\[^\n])*\\?(?=\n|\Z))
      | (?P<time>\d{1,2}:\d{2}(?!\w)) | (?P<dash>-(?=[^\S\n]*\d{1,2}:|\D)) | (?P<slash>/)
      | (?P<over>\d+[^\W\d_]\w*) | (?P<name>[^\W\d][\w+]*(?:[-/][\w+]*)+) | """
MORE_WORDS = ("where", "by", "if", "as", "or", "within", "every", "for", "and")
"""With which a line may go on."""
KINDS = {"dash": "mark", "slash": "mark", "name": "word"}
"""What else goes for a mark or a word."""


class Line(Words):
    """One line, read word by word."""

    def __init__(
        self, text: str, tokens: Iterable[Token], indent: int, comments: Iterable[str]
    ) -> None:
        super().__init__(text, tokens)
        self.start = self.next
        self.number = text.count("\n", 0, self.start.start) + 1
        self.indent = indent
        self.comments = tuple(comments)
        """Those above it, and the one behind it."""
        self.below: list[Line] = []

    def joined(self, word: str) -> bool:
        """Take `or` or `within`, unless a duration follows: that is the step's, or the goal's."""
        return self.peek().kind != "over" and super().joined(word)

    def end(self) -> None:
        """Raise ConditionError unless everything has been read."""
        token = self.next
        if token.kind != "end":
            close = get_close_matches(token.word, MORE_WORDS, n=1)
            raise self.error(
                f"the end of the line was expected, not {token.text[:40]}",
                token.start,
                f"did you mean “{close[0]}”?" if close else None,
            )

    def over(self) -> timedelta:
        """Take a duration such as 1d12h."""
        token = self.next
        if token.kind != "over":
            raise self.expected("a duration such as 30m, 12h or 3d")
        self.take()
        return self.checked(token, lambda: normal.over(read_duration(token.text)))

    def at(self) -> time:
        """Take a time of day such as 09:00."""
        token = self.next
        if token.kind != "time":
            raise self.expected("a time such as 09:00")
        self.take()
        return self.checked(token, lambda: read_time(token.text))

    def zone(self, otherwise: str) -> str:
        """Take a zone if one comes next."""
        token = self.next
        if token.kind != "word" or token.word in ("for", "if", "as"):
            return otherwise
        self.take()
        return self.checked(token, lambda: normal.zone(token.text))

    def weekday(self) -> int | None:
        """Take a weekday, from Monday, 0, if one comes next."""
        day = self.one_of(WEEKDAYS)
        return None if day is None else WEEKDAYS.index(day)

    def channel(self) -> Channel:
        """Take a channel."""
        found = self.one_of(Channel)
        if found is None:
            raise self.expected("a channel", Channel)
        return Channel(found)

    def named(self, what: str) -> str:
        """Take a name in quotation marks."""
        token = self.next
        return self.checked(token, lambda: normal.name(self.string(), what))

    def field(self) -> str:
        """Take a field of members."""
        if self.next.kind != "word":
            raise self.expected("a field of members")
        text = self.take().text
        return text if text.startswith("attributes.") else text.casefold()

    def wrong(self, message: str, known: Iterable[str] = ()) -> ConditionError:
        """Return an error about the next word, with the nearest one that is known."""
        names = tuple(known)
        remedy = nearest(self.next.text, names) if names else None
        return self.error(message, self.next.start, remedy)


def lines(text: str) -> tuple[list[Line], tuple[str, ...]]:
    """Return the outermost lines of a text and the comments behind its last line.

    Raises ConditionError for tabs, quotation marks left open and lines that stand askew.
    """
    found, ending = _Page(text.removeprefix("\ufeff").replace("\r\n", "\n")).lines()
    root = Line(text, [Token("end", "", 0)], -1, ())
    above = [root]
    for line in found:
        while above[-1].indent >= line.indent:
            above.pop()
        beside = above[-1].below
        if beside and beside[0].indent != line.indent:
            raise line.error(
                "this line begins neither below the one above it nor beside another",
                line.next.start,
                f"put {beside[0].indent} spaces before it",
            )
        beside.append(line)
        above.append(line)
    return root.below, ending


class _Page(Words):
    """A whole text, with its comments and line ends as tokens."""

    pattern = re.compile(MORE + TOKEN.pattern, re.VERBOSE | re.DOTALL)

    def lines(self) -> tuple[list[Line], tuple[str, ...]]:
        """Return the lines that say something, and the comments behind the last."""
        found: list[Line] = []
        comments: list[str] = []
        tokens: list[Token] = []
        for token in self._tokens:
            if token.kind == "comment":
                comments.append(token.text[1:].strip())
            elif token.kind not in ("break", "end"):
                tokens.append(self._plain(token))
            elif tokens:
                end = Token("end", "the end of the line", token.start)
                found.append(Line(self._text, [*tokens, end], self._indent(tokens[0]), comments))
                comments, tokens = [], []
        return found, tuple(comments)

    def _plain(self, token: Token) -> Token:
        if token.kind == "open":
            what = "the quotation mark is not closed on this line"
            raise self.error(what, token.start, "close the quotation mark")
        return Token(KINDS.get(token.kind, token.kind), token.text, token.start)

    def _indent(self, first: Token) -> int:
        before = self._text[self._text.rfind("\n", 0, first.start) + 1 : first.start]
        if "\t" in before:
            raise self.error("there is a tab before this line", first.start, "use spaces")
        return len(before)
