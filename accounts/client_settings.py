"""Client settings: what one client decides for itself, by name; each is checked when it is set.

Read them as `client.settings.get(name, default)`: what is stored has been checked.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from accounts.foundation import REMEDY, is_foundation
from core.errors import InvalidError

MAX_DAYS = 36_500
MIN_AUDIT_DAYS = 365
"""Nobody shortens the trail of what they just did."""
MAX_RATES = 20
STEPS = ("Hook", "Gift", "Identify", "Engage", "Sell", "Nurture", "Upsell", "Educate", "Share")
GATES = ("none", "teacher", "payment")
CURRENCY = re.compile(r"[A-Z]{3}").fullmatch


def checked_settings(told: Mapping[str, Any], held: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings `held` with those `told` in their place; None takes one away.

    Raises InvalidError with the setting as its field.
    """
    result = dict(held)
    for name, value in told.items():
        if name not in CHECKS:
            raise InvalidError(
                f"a client has no setting “{name[:40]}”",
                field="settings",
                remedy=f"set one of {', '.join(CHECKS)}",
            )
        if value is None:
            result.pop(name, None)
            continue
        fits, remedy = CHECKS[name]
        if not fits(value):
            raise InvalidError(
                f"the setting {name} cannot be this", field=f"settings.{name}", remedy=remedy
            )
        result[name] = value
    return result


def _is_currency(value: object) -> bool:
    return isinstance(value, str) and CURRENCY(value) is not None


def _is_days(value: object) -> bool:
    return type(value) is int and 1 <= value <= MAX_DAYS


def _is_switch(value: object) -> bool:
    return isinstance(value, bool)


def _is_audit_days(value: object) -> bool:
    return type(value) is int and MIN_AUDIT_DAYS <= value <= MAX_DAYS


def _is_rates(value: object) -> bool:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_RATES:
        return False
    pairs = [pair for pair in value if isinstance(pair, list) and len(pair) == 2]
    starts = [start for start, _ in pairs if type(start) is int and start >= 0]
    if len(starts) != len(value) or len(set(starts)) != len(starts):
        return False
    return all(_is_share(share) for _, share in pairs)


def _is_share(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        share = Decimal(value)
    except InvalidOperation:
        return False
    return share.is_finite() and 0 <= share <= 1


def _is_elevate(value: object) -> bool:
    """Say whether these are rules of the student's path: a gate, opened steps, own targets."""
    if not isinstance(value, dict) or not value.keys() <= {"gate", "opened", "targets"}:
        return False
    opened, targets = value.get("opened", []), value.get("targets", {})
    return (
        value.get("gate", "none") in GATES
        and isinstance(opened, list)
        and all(step in STEPS for step in opened)
        and isinstance(targets, dict)
        and all(step in STEPS and _is_share(share) for step, share in targets.items())
    )


CHECKS: dict[str, tuple[Callable[[object], bool], str]] = {
    "attribution_days": (_is_days, f"give whole days from 1 to {MAX_DAYS}"),
    "currency": (_is_currency, "write it as EUR"),
    "elevate": (
        _is_elevate,
        'give {"gate": "teacher", "opened": ["Identify"], "targets": {"Hook": "0.05"}}',
    ),
    "audit_days_kept": (
        _is_audit_days,
        f"give whole days from {MIN_AUDIT_DAYS} to {MAX_DAYS}",
    ),
    "event_days_kept": (_is_days, f"give whole days from 1 to {MAX_DAYS}"),
    "foundation": (is_foundation, REMEDY),
    "message_content_days_kept": (_is_days, f"give whole days from 1 to {MAX_DAYS}"),
    "tracking": (_is_switch, "give true or false"),
    "raw_webhook_days_kept": (_is_days, f"give whole days from 1 to {MAX_DAYS}"),
    "referral_rates": (
        _is_rates,
        'give [from how many buyers, share] pairs: [[0, "0.10"], [5, "0.15"]]',
    ),
}
"""Every setting: whether a value fits it, and what to do where it does not."""
