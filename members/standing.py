"""Standing: what another product says about a subscriber, as consent and suppression.

A column mapped to `standing` holds words such as `subscribed`, `unsubscribed` or `cleaned`. Whoever
left there is not written to from here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from members.columns import STANDING, STANDINGS
from members.consent import ConsentState
from members.errors import MemberInvalidError
from members.suppression import Scope, SuppressionReason

_, LEFT_COLUMN, BOUNCED_COLUMN = STANDINGS

Suppress = tuple[Scope, SuppressionReason]


@dataclass(frozen=True, slots=True)
class Standing:
    """What follows from one word."""

    consent: ConsentState | None = None
    suppress: Suppress | None = None


SUBSCRIBED = Standing(consent=ConsentState.GRANTED)
LEFT = Standing(
    consent=ConsentState.WITHDRAWN, suppress=(Scope.MARKETING, SuppressionReason.UNSUBSCRIBED)
)
BOUNCED = Standing(suppress=(Scope.ALL, SuppressionReason.BOUNCED))
COMPLAINED = Standing(
    consent=ConsentState.WITHDRAWN, suppress=(Scope.ALL, SuppressionReason.COMPLAINED)
)
BLOCKED = Standing(suppress=(Scope.ALL, SuppressionReason.MANUAL))
UNKNOWN = Standing()
WORDS: Mapping[str, Standing] = {
    "subscribed": SUBSCRIBED,
    "confirmed": SUBSCRIBED,
    "unsubscribed": LEFT,
    "archived": LEFT,
    "cleaned": BOUNCED,
    "bounced": BOUNCED,
    "complained": COMPLAINED,
    "spam": COMPLAINED,
    "blocklisted": BLOCKED,
    "blacklisted": BLOCKED,
    # None of these says that the person agreed to anything.
    "enabled": UNKNOWN,
    "disabled": BLOCKED,
    "nonsubscribed": UNKNOWN,
    "non-subscribed": UNKNOWN,
    "transactional": UNKNOWN,
    "unconfirmed": UNKNOWN,
    "pending": UNKNOWN,
    "": UNKNOWN,
}


def standing_of(target: str, cell: str) -> Standing:
    """Return what a cell says. Raises MemberInvalidError for a word that is not known."""
    if target != STANDING:
        return {LEFT_COLUMN: LEFT, BOUNCED_COLUMN: BOUNCED}[target] if cell.strip() else UNKNOWN
    found = WORDS.get(cell.strip().casefold())
    if found is None:
        raise MemberInvalidError(
            f"“{cell[:40]}” says nothing about a subscription",
            field="standing",
            remedy="use " + ", ".join(word for word in WORDS if word),
        )
    return found


def flattened(cell: str) -> dict[str, Any]:
    """Return a JSON object as flat attributes: `{"a": {"b": 1}}` is `a.b`, lists are text.

    Raises MemberInvalidError for anything but an object.
    """
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise MemberInvalidError(
            "the cell is no JSON object", field="attributes", remedy='write {"city": "Porto"}'
        )
    flat: dict[str, Any] = {}
    _flatten(found, "", flat)
    return flat


def _flatten(value: Mapping[str, Any], before: str, flat: dict[str, Any], depth: int = 0) -> None:
    for name, held in value.items():
        key = f"{before}{name}".replace("\x00", "")
        if isinstance(held, dict) and depth < 8:
            _flatten(held, f"{key}.", flat, depth + 1)
        elif isinstance(held, list | dict):
            simple = isinstance(held, list) and all(isinstance(one, str) for one in held)
            flat[key] = ", ".join(held) if simple else json.dumps(held, ensure_ascii=False)
        else:
            flat[key] = held
