"""Sms: how many parts a text takes, and the words by which people opt out and in.

Parts decide the price. One character outside of GSM-7, such as a curly quote or a
non-breaking space, turns the whole text into UCS-2 and more than halves what fits into a part.
"""

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENDED = frozenset("^{}\\[~]|€\f")
"""Each takes two septets."""


class Encoding(StrEnum):
    """How a text travels."""

    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


@dataclass(frozen=True, slots=True)
class Size:
    """What a text takes: `units` are septets in GSM-7, 16-bit units in UCS-2."""

    encoding: Encoding
    units: int
    segments: int


def size(text: str) -> Size:
    """Return encoding, units and parts of a text. An empty text takes one part."""
    if all(character in GSM_BASIC or character in GSM_EXTENDED for character in text):
        costs = [2 if character in GSM_EXTENDED else 1 for character in text]
        return Size(Encoding.GSM_7, sum(costs), _parts(costs, alone=160, joined=153))
    costs = [2 if ord(character) > 0xFFFF else 1 for character in text]
    return Size(Encoding.UCS_2, sum(costs), _parts(costs, alone=70, joined=67))


def _parts(costs: list[int], *, alone: int, joined: int) -> int:
    """Return the number of parts; a character of two units is never split between two."""
    if sum(costs) <= alone:
        return 1
    parts, used = 1, 0
    for cost in costs:
        if used + cost > joined:
            parts, used = parts + 1, 0
        used += cost
    return parts


class Keyword(StrEnum):
    """What a single word from a member asks for; values are Twilio's OptOutType in lower case."""

    STOP = "stop"
    START = "start"
    HELP = "help"


WORDS = {
    **dict.fromkeys(
        ("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"),
        Keyword.STOP,
    ),
    # YES also works at Twilio, but it is what people answer to a question as well.
    **dict.fromkeys(("start", "unstop"), Keyword.START),
    **dict.fromkeys(("help", "info"), Keyword.HELP),
}


def keyword(text: str) -> Keyword | None:
    """Return what a message that is nothing but a keyword asks for.

    Case, spaces and punctuation around it do not matter, nor do they inside `opt out` and `stop
    all`, which are words of the rule itself (47 CFR 64.1200(a)(10)). “Stop please” is a reply.
    """
    if len(text) > 64:
        return None
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = "".join(c if c.isalnum() else " " for c in plain).split()
    found = WORDS.get("".join(words))
    joined_words_are_one = len(words) == 1 or words in (["opt", "out"], ["stop", "all"])
    return found if joined_words_are_one else None
