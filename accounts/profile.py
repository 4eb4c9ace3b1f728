"""Profile: what may be said of a user, checked and brought to its normal form."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from accounts.client import checked_timezone
from accounts.user import Role, UserStatus
from core.address import normalise_email, normalise_phone
from core.condition.check import nearest
from core.errors import InvalidError

MAX_NAME = 100
MAX_PREFERENCES = 10_000
"""Characters of the preferences as JSON."""
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*").fullmatch
ASSIGNABLE = (UserStatus.ACTIVE, UserStatus.INACTIVE, UserStatus.SUSPENDED)
"""`pending` is what an invitation makes; nobody is put back to it."""


def read_profile(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a user as they are stored.

    Raises InvalidError with the field, for one that is wrong and for one that nobody may set.
    """
    unknown = sorted(told.keys() - CHECKS.keys())
    if unknown:
        raise InvalidError(
            f"a user has no field {unknown[0]} to set",
            field=unknown[0],
            remedy=nearest(unknown[0], CHECKS),
        )
    return {
        name: value if value is None and name not in NEEDED else CHECKS[name](value, name)
        for name, value in told.items()
    }


def _text(longest: int) -> Callable[[Any, str], Any]:
    def check(value: Any, field: str) -> str:
        if not isinstance(value, str) or len(value.strip()) > longest:
            raise InvalidError(
                f"{field} is text of up to {longest} characters",
                field=field,
                remedy="send shorter text",
            )
        return value.strip()

    return check


def _email(value: Any, field: str) -> str:
    return normalise_email(str(value), field=field)


def _phone(value: Any, field: str) -> str:
    return normalise_phone(str(value), None, field=field)


def _timezone(value: Any, field: str) -> str:
    del field
    return checked_timezone(str(value))


def _language(value: Any, field: str) -> str:
    if not isinstance(value, str) or len(value) > 16 or not LANGUAGE(value):
        raise InvalidError("this is not a language", field=field, remedy="write it as de or pt-BR")
    return value


def _link(value: Any, field: str) -> str:
    text = str(value).strip()
    wrong = InvalidError("this is not a link", field=field, remedy="give an https:// link")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise wrong from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not 0 < len(text) <= 500:
        raise wrong
    return text


def _preferences(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict) or len(json.dumps(value)) > MAX_PREFERENCES:
        raise InvalidError(
            f"preferences are an object of up to {MAX_PREFERENCES:,} characters",
            field=field,
            remedy="send an object, and keep in it what people chose, no more",
        )
    return value


def _status(value: Any, field: str) -> UserStatus:
    if value not in ASSIGNABLE:
        names = ", ".join(ASSIGNABLE)
        raise InvalidError("nobody can be put into this status", field=field, remedy=f"use {names}")
    return UserStatus(value)


def _role(value: Any, field: str) -> Role:
    if value not in list(Role):
        names = ", ".join(Role)
        raise InvalidError("there is no such role", field=field, remedy=f"use {names}")
    return Role(value)


CHECKS: dict[str, Callable[[Any, str], Any]] = {
    "first_name": _text(MAX_NAME),
    "last_name": _text(MAX_NAME),
    "full_name": _text(2 * MAX_NAME),
    "phone": _phone,
    "avatar_url": _link,
    "timezone": _timezone,
    "language": _language,
    "preferences": _preferences,
    "email": _email,
    "status": _status,
    "role": _role,
}
"""Every field that may be set; the rest the engine sets itself."""
NEEDED = frozenset({"email", "status", "role"})
PROFILE = frozenset(CHECKS) - NEEDED
"""What people may say of themselves."""
