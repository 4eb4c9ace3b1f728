"""What happened: the text of events, messages and lots, read word by word.

    did purchase at least 2 times in the last 30 days where total > 50 and category = "shoes"
    did not "opted in" · sum of total of purchase > 100 in the last 90 days
    first purchase before "2026-01-01" · last purchase in the last 7 days
    clicked "Gift guide" by email within 7 days · was not sent any campaign · random 10 of 100

In a `where`, `and` goes on with the tests of the event until a word follows that begins a
condition of its own, a field of members, `attributes.…`. A property with such a name
is written `properties.status`.
"""

from typing import Literal

from core.condition.ast import (
    ATTRIBUTES,
    EXTERNAL,
    FIELDS,
    Compare,
    Did,
    Kind,
    Leaf,
    Lot,
    Measure,
    Messaged,
    Not,
    Op,
    Verb,
)
from core.condition.check import property_kind
from core.condition.leaf import OPS, Known, checked
from core.condition.spelling import BEGINNINGS, KEYWORDS, PROPERTIES, near_field
from core.condition.words import Token, Words

STARTERS = (
    *("did", "sum", "first", "last", "was", "random"),
    *("received", "read", "clicked", "replied", "bounced"),
)
TESTS = tuple(op for op in Op if op not in (Op.BEFORE, Op.AFTER, Op.IN_LAST))


def happened(words: Words, known: Known) -> Leaf | Not | None:
    """Read what happened to a member; None when the next word begins something else."""
    start = words.next
    word = words.one_of(STARTERS)
    if word is None:
        return None
    if word == "did":
        negated = words.word("not")
        leaf: Leaf = _did(words)
    elif word == "was":
        negated = words.word("not")
        words.need("sent")
        leaf = _messaged(words, Verb.SENT)
    else:
        negated = False
        leaf = _other(words, word)
    normal = words.checked(start, lambda: checked(leaf, known))
    return Not(normal) if negated else normal


def _other(words: Words, word: str) -> Leaf:
    match word:
        case "sum":
            words.need("of", "total", "of")
            return _sum(words)
        case "first" | "last":
            return _when(words, Measure(word))
        case "random":
            part = words.whole("a number")
            words.need("of")
            of = words.whole("a number")
            return Lot(part, of, words.string() if words.word("salt") else "")
        case _:
            if word == "replied":
                words.word("to")
            return _messaged(words, Verb(word))


def _did(words: Words) -> Did:
    name = event(words)
    op, times = Op.GE, 1
    if words.next.word in ("at", "exactly"):
        op, times = _often(words), words.whole("a number of times")
        if not words.word("times"):
            words.need("time")
    elif words.next.word in ("never", "once", "twice"):
        raise words.error(
            f"“{words.next.text}” is not understood",
            words.next.start,
            "write “did not …” for never, “exactly 1 time” for once",
        )
    return Did(name, Measure.COUNT, op, times, _window(words), where(words))


def _often(words: Words) -> Op:
    if words.word("exactly"):
        return Op.EQ
    words.need("at")
    found = words.one_of(("least", "most"))
    if found is None:
        raise words.expected("“least” or “most”", ("least", "most"))
    return Op.GE if found == "least" else Op.LE


def _sum(words: Words) -> Did:
    name = event(words)
    op = words.op(OPS[Measure.SUM])
    value = words.single(op, Kind.NUMBER)
    return Did(name, Measure.SUM, op, value, _window(words), where(words))


def _when(words: Words, measure: Measure) -> Did:
    name = event(words)
    op = words.op(OPS[measure])
    value = words.single(op, Kind.DATE)
    return Did(name, measure, op, value, None, where(words))


def event(words: Words) -> str:
    """Take the name of an event."""
    token = words.next
    if token.kind == "text":
        return words.string()
    if token.kind != "word" or token.word in KEYWORDS:
        raise words.expected('the name of an event, such as purchase or "opted in",')
    return words.take().text


def _window(words: Words) -> int | None:
    if words.joined("within") or words.word("in", "the", "last"):
        return words.days()
    return None


def where(words: Words) -> tuple[Compare, ...]:
    """Take the tests of an event's properties; none where there is no `where`."""
    if not words.word("where"):
        return ()
    tests = [_test(words)]
    while words.next.word == "and" and _is_property(words, words.peek()):
        words.take()
        tests.append(_test(words))
    return tuple(tests)


def _is_property(words: Words, token: Token) -> bool:
    """Say whether `and` goes on with this word as a property of the event."""
    word = token.word
    if word.startswith(PROPERTIES):
        return True
    if not word or word in FIELDS or word in BEGINNINGS or word.startswith((ATTRIBUTES, EXTERNAL)):
        return False
    if near_field(word):
        # It may be a misspelt field; taking it for a property would change whom the rule means.
        raise words.error(
            f"“{token.text}” is no field of members, and looks like one",
            token.start,
            f"write {PROPERTIES}{token.text} if it is a property of the event",
        )
    return True


def _test(words: Words) -> Compare:
    if words.next.kind != "word":
        raise words.expected("a property of the event")
    token = words.take()
    field = token.text[len(PROPERTIES) :] if token.word.startswith(PROPERTIES) else token.text
    op = words.op(TESTS)
    return Compare(field, op, words.value_for(op, property_kind(field)))


def _messaged(words: Words, verb: Verb) -> Messaged:
    campaign: str | Literal[True] | None = None
    if words.next.kind == "text":
        campaign = words.string()
    elif words.word("any"):
        campaign = True if words.word("campaign") else None
        if campaign is None:
            words.need("message")
    channel = words.take().word if words.word("by") else None
    return Messaged(verb, campaign, channel, _window(words))
