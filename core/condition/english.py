"""English: a condition as a sentence a person would say."""

from datetime import date
from typing import Any

from core.condition.ast import (
    ATTRIBUTES,
    EXTERNAL,
    TOTAL,
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
from core.condition.spelling import COUNTS, plural

COMPARED = {
    # operator: is it, is it not
    Op.EQ: ("is {}", "is not {}"),
    Op.NE: ("is not {}", "is {}"),
    Op.LT: ("is less than {}", "is not less than {}"),
    Op.LE: ("is at most {}", "is not at most {}"),
    Op.GT: ("is more than {}", "is not more than {}"),
    Op.GE: ("is at least {}", "is not at least {}"),
    Op.IN: ("is {}", "is not {}"),
    Op.CONTAINS: ("contains {}", "does not contain {}"),
    Op.STARTS_WITH: ("starts with {}", "does not start with {}"),
    Op.BEFORE: ("is before {}", "is not before {}"),
    Op.AFTER: ("is after {}", "is not after {}"),
    Op.IN_LAST: ("is in the last {}", "is not in the last {}"),
    Op.IS_SET: ("is known", "is not known"),
    Op.IS_NOT_SET: ("is not known", "is known"),
}
VERBS = {
    # verb: did, did not, before what kind of message it was
    Verb.SENT: ("was sent", "was not sent"),
    Verb.RECEIVED: ("received", "did not receive"),
    Verb.READ: ("read", "did not read"),
    Verb.CLICKED: ("clicked in", "did not click in"),
    Verb.REPLIED: ("replied to", "did not reply to"),
    Verb.BOUNCED: ("had a bounce of", "had no bounce of"),
}


def sentence(condition: Condition) -> str:
    """Return whom a condition means, such as “Members who have the tag “vip”.” as text."""
    if isinstance(condition, Everyone):
        return "All members."
    return f"Members {phrase(condition)}."


def phrase(condition: Condition, *, yes: bool = True) -> str:
    """Return a condition as it follows “members”, or its contrary when not `yes`.

    “not (a or b)” is said as “neither”: both contraries joined by “and”.
    """
    match condition:
        case Not(item=item):
            return phrase(item, yes=not yes)
        case And(items=items):
            return _joined(items, "and" if yes else "or", yes)
        case Or(items=items):
            return _joined(items, "or" if yes else "and", yes)
        case _:
            return clause(condition, yes=yes)


def _joined(items: tuple[Condition, ...], word: str, yes: bool) -> str:
    """Join phrases; what another word joins inside them stands in parentheses."""
    parts = []
    for item in items:
        text = phrase(item, yes=yes)
        inner = _word(item, yes)
        if inner not in (None, word):
            text = f"({text})"
        parts.append(text)
    return f" {word} ".join(parts)


def _word(condition: Condition, yes: bool) -> str | None:
    match condition:
        case Not(item=item):
            return _word(item, not yes)
        case And():
            return "and" if yes else "or"
        case Or():
            return "or" if yes else "and"
        case _:
            return None


def clause(leaf: Leaf, *, yes: bool = True) -> str:
    """Return a leaf as a relative clause: “whose tier is “elite””, “who have the tag “vip””."""
    have = "have" if yes else "do not have"
    are = "are" if yes else "are not"
    match leaf:
        case Everyone():
            return "who are anybody" if yes else "who are nobody"
        case Compare():
            return f"whose {_field(leaf.field)} {_compared(leaf, yes)}"
        case HasTag(tag=tag):
            return f"who {have} the tag {_said(tag)}"
        case InSegment(name=name):
            return f"who {are} in the segment {_said(name)}"
        case Reachable(channel=channel):
            return f"who {'can' if yes else 'cannot'} be reached by {channel}"
        case Consented(channel=channel, topic=topic):
            return f"who {'agreed' if yes else 'have not agreed'} to {topic} by {channel}"
        case _:
            return _happened(leaf, yes)


def _happened(leaf: Did | Messaged | Lot, yes: bool) -> str:
    match leaf:
        case Did():
            return _did(leaf, yes)
        case Messaged():
            return _messaged(leaf, yes)
        case Lot(part=part, of=of, salt=salt):
            drawn = f"drawn by lot, {part} of {of}"
            by = f" (lot {_said(salt)})" if salt else ""
            return f"who are {'' if yes else 'not '}{drawn}{by}"


def _field(name: str) -> str:
    if name.startswith(EXTERNAL):
        return f"id in {name.removeprefix(EXTERNAL)}"
    return name.removeprefix(ATTRIBUTES).replace("_", " ")


def _compared(compare: Compare, yes: bool = True) -> str:
    text = COMPARED[compare.op][0 if yes else 1]
    value: Any = compare.value
    if compare.op is Op.IN_LAST:
        return text.format(plural(value, "day"))
    if isinstance(value, tuple):
        said = [_said(one) for one in value]
        value_text = " or ".join(([", ".join(said[:-1])] if said[1:] else []) + said[-1:])
        return text.format(value_text)
    return text.format(_said(value))


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return f"{value.day} {value:%B %Y}"
    return f"“{value}”" if isinstance(value, str) else f"{value}"


def _did(did: Did, yes: bool) -> str:
    event, window = _said(did.event) + _where(did), _window(did.days)
    value: Any = did.value
    match did.measure:
        case Measure.COUNT:
            often = f" {COUNTS[did.op]} {plural(value, 'time')}"
            times = "" if (did.op, value) == (Op.GE, 1) else often
            return f"who {'did' if yes else 'did not do'} {event}{times}{window}"
        case Measure.SUM:
            return f"whose total of {event}{window} {_compared(Compare('', did.op, value), yes)}"
        case _:
            return f"whose {did.measure} {event} {_compared(Compare('', did.op, value), yes)}"


def _where(did: Did) -> str:
    tests = [
        f"{'total' if test.field == TOTAL else _field(test.field)} {_compared(test)}"
        for test in did.where
    ]
    return f" whose {' and '.join(tests)}" if tests else ""


def _window(days: int | None) -> str:
    if days is None:
        return ""
    return " today" if days == 1 else f" in the last {days} days"


def _messaged(messaged: Messaged, yes: bool) -> str:
    verb = VERBS[messaged.verb][0 if yes else 1]
    if messaged.verb is Verb.SENT:
        verb = "were sent" if yes else "were not sent"
    match messaged.campaign:
        case None:
            what = "a message"
        case True:
            what = "a campaign"
        case str(name):
            what = f"the campaign {_said(name)}"
    if not yes or messaged.verb is Verb.BOUNCED:
        what = what.replace("a ", "any ", 1) if what.startswith("a ") else what
    by = f" by {messaged.channel}" if messaged.channel else ""
    return f"who {verb} {what}{by}{_window(messaged.days)}"
