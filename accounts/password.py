"""Passwords: what may be one, its Argon2id hash, and the proof of it.

Hashing takes tens of milliseconds on purpose: call `hashed` and `matches` before a transaction is
open that others wait for.
"""

import unicodedata
from functools import cache
from importlib.resources import files

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import InvalidError

MIN_LENGTH = 8
ADVISED_LENGTH = 15
MAX_LENGTH = 1024
"""Characters. Every one of them counts: nothing is cut off."""

HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's parameters: 19 MiB a hash, so that eight at once fit into a small machine."""


def hashed(password: str, *, email: str, field: str = "password") -> str:
    """Return the hash of a new password.

    Raises InvalidError for one that is too short, too long, common, or the address itself.
    """
    wrong = _weakness(password, email)
    if wrong is not None:
        raise InvalidError(
            wrong,
            field=field,
            remedy=f"take {ADVISED_LENGTH} characters or more, such as four words nobody guesses",
        )
    return HASHER.hash(_normal(password))


def matches(held: str | None, password: str) -> bool:
    """Say whether a password is the one `held` was made of; as much work when nothing is held."""
    if len(password) > MAX_LENGTH:
        return False
    try:
        HASHER.verify(held or _nobodys(), _normal(password))
    except (VerificationError, InvalidHashError):
        return False
    return held is not None


def _weakness(password: str, email: str) -> str | None:
    if len(password) < MIN_LENGTH:
        return f"a password has {MIN_LENGTH} characters or more"
    if len(password) > MAX_LENGTH:
        return f"a password has at most {MAX_LENGTH:,} characters"
    plain = password.casefold()
    if plain in _common() or len(set(plain)) < 3:
        return "this password is among the first that are tried"
    if plain in (email.casefold(), email.casefold().partition("@")[0]):
        return "a password is not one's own address"
    return None


def _normal(password: str) -> str:
    """Return one spelling of what may be typed in several (NFKC)."""
    return unicodedata.normalize("NFKC", password)


@cache
def _common() -> frozenset[str]:
    return frozenset((files("accounts") / "common_passwords.txt").read_text("utf-8").split())


@cache
def _nobodys() -> str:
    """Return a hash that no password is tried against in earnest."""
    return HASHER.hash("nobody's")
