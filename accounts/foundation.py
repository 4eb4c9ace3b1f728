"""Foundation: a client's brand facts, which templates show as `foundation.offer`, ….

It is the client setting `foundation`: a mapping of names below to values; none is needed.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeGuard
from urllib.parse import urlsplit

from core.condition.check import nearest
from core.errors import InvalidError


class Kind(StrEnum):
    """What a fact is."""

    TEXT = "text"
    LIST = "list"  # of texts
    LINK = "link"  # an https or http URL
    RIVALS = "rivals"  # a list of {name, weakness}


MAX_TEXT = 2_000
MAX_ITEMS = 20

FOUNDATION: dict[str, dict[str, Kind]] = {
    "company": {
        "core_offers": Kind.TEXT,
        "unique_mechanism": Kind.TEXT,
        "value_proposition": Kind.TEXT,
        "brand_pillars": Kind.TEXT,
        "brand_voice_adjectives": Kind.LIST,
        "positioning_price": Kind.TEXT,
        "mission_vision": Kind.TEXT,
        "brand_story_personality": Kind.TEXT,
    },
    "market": {
        "competitors": Kind.RIVALS,
        "differentiation": Kind.TEXT,
        "market_trends": Kind.TEXT,
        "channel_analysis": Kind.TEXT,
    },
    "customer": {
        "profile_summary": Kind.TEXT,
        "pains": Kind.LIST,
        "fears": Kind.LIST,
        "goals": Kind.LIST,
        "dreams": Kind.LIST,
        "needs": Kind.LIST,
        "watering_holes": Kind.TEXT,
    },
    "summary": {"strategic_blueprint_summary": Kind.TEXT},
    "offers": {
        "sender": Kind.TEXT,
        "gift": Kind.TEXT,
        "gift_url": Kind.LINK,
        "offer": Kind.TEXT,
        "offer_url": Kind.LINK,
        "next_offer": Kind.TEXT,
        "next_offer_url": Kind.LINK,
        "guide_url": Kind.LINK,
        "review_url": Kind.LINK,
        "referral_url": Kind.LINK,
    },
}
"""Every fact by its group; names are unique across groups, as templates name no group."""

FACTS = {name: kind for group in FOUNDATION.values() for name, kind in group.items()}
WANTED = {
    Kind.TEXT: f"text of at most {MAX_TEXT:,} characters",
    Kind.LIST: f"a list of at most {MAX_ITEMS} texts",
    Kind.LINK: "a link that begins with https:// or http://",
    Kind.RIVALS: f"a list of at most {MAX_ITEMS} objects with name and weakness",
}
REMEDY = "give facts of docs/reference/elevate.md: text, a list of texts, an https:// link"


def is_foundation(value: object) -> bool:
    """Say whether a value fits the setting `foundation`."""
    return isinstance(value, Mapping) and all(
        name in FACTS and _fits(FACTS[name], fact) for name, fact in value.items()
    )


def checked_foundation(facts: Mapping[str, object]) -> Mapping[str, object]:
    """Return the facts. Raises InvalidError with the first one that does not fit."""
    for name, fact in facts.items():
        field = f"foundation.{name[:40]}"
        if name not in FACTS:
            said = f"there is no fact “{name[:40]}”"
            raise InvalidError(said, field=field, remedy=nearest(name, FACTS))
        if not _fits(FACTS[name], fact):
            said = f"the fact {name} cannot be this"
            raise InvalidError(said, field=field, remedy=f"give {WANTED[FACTS[name]]}")
    return facts


def _fits(kind: Kind, fact: object) -> bool:
    match kind:
        case Kind.TEXT:
            return _is_text(fact)
        case Kind.LINK:
            return _is_link(fact)
        case Kind.LIST:
            return _is_list(fact) and all(map(_is_text, fact))
        case Kind.RIVALS:
            return _is_list(fact) and all(map(_is_rival, fact))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and len(value) <= MAX_TEXT


def _is_link(value: object) -> bool:
    if not isinstance(value, str) or not _is_text(value) or len(value.split()) != 1:
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list) and len(value) <= MAX_ITEMS


def _is_rival(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and "name" in value
        and value.keys() <= {"name", "weakness"}
        and all(map(_is_text, value.values()))
    )
