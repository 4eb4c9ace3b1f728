"""One-time texts: what a link carries. Random, kept as a hash, good for one purpose."""

import hashlib
import secrets

BYTES = 32
MAX_TEXT = 128


def new_text() -> str:
    """Return 256 random bits as text for an address."""
    return secrets.token_urlsafe(BYTES)


def digest(purpose: str, *parts: str) -> str:
    """Return what is stored of a text: SHA-256 over its purpose and whatever it is bound to."""
    return hashlib.sha256("\0".join((purpose, *parts)).encode()).hexdigest()
