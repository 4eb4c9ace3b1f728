"""TOTP: the six digits of an authenticator app (RFC 6238, SHA-1, 30 seconds)."""

import base64
import hmac
import secrets
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

STEP_SECONDS = 30
DIGITS = 6
SECRET_BYTES = 20
DRIFT = 1
"""Steps that a phone's clock may be off, either way."""
ISSUER = "EchelonX"


def new_secret() -> bytes:
    """Return 160 random bits."""
    return secrets.token_bytes(SECRET_BYTES)


def spoken(secret: bytes) -> str:
    """Return a secret as it is typed into an app."""
    return base64.b32encode(secret).decode()


def link(secret: bytes, email: str) -> str:
    """Return the address that apps read from a QR code."""
    label = quote(f"{ISSUER}:{email}")
    return f"otpauth://totp/{label}?secret={spoken(secret)}&issuer={ISSUER}"


def code(secret: bytes, step: int) -> str:
    """Return the code of one step."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    at = mac[-1] & 0x0F
    number = int.from_bytes(mac[at : at + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def step_of(secret: bytes, told: str, now: datetime) -> int | None:
    """Return the step whose code was told, around now; None when it is no such code."""
    found = None
    for step in _around(now):
        if hmac.compare_digest(code(secret, step).encode(), told.encode()):
            found = step
    return found


def _around(now: datetime) -> Iterator[int]:
    present = int(now.timestamp()) // STEP_SECONDS
    yield from range(max(0, present - DRIFT), present + DRIFT + 1)
