"""Signature: Standard Webhooks 1.0.0, what proves to a receiver that a request is ours."""

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

from core.errors import InvalidError

PREFIX = "whsec_"
MIN_BYTES, MAX_BYTES = 24, 64
MADE_BYTES = 32


class SigningSecretError(InvalidError):
    """A signing secret is not as Standard Webhooks wants it."""

    code = "signing_secret"


def new_secret() -> str:
    """Return a new signing secret, `whsec_…`."""
    return PREFIX + base64.b64encode(secrets.token_bytes(MADE_BYTES)).decode()


def checked_secret(text: str) -> str:
    """Return somebody's own secret in its one form. Raises SigningSecretError."""
    key = _key(text)
    if key is None or not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise SigningSecretError(
            f"a signing secret is whsec_ and {MIN_BYTES} to {MAX_BYTES} bytes in base64",
            field="secret",
            remedy="leave it out: a good one is made",
        )
    return PREFIX + base64.b64encode(key).decode()


def signed(secrets: Sequence[str], *, message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers that go with a body: one signature for each secret in force."""
    moment = str(int(at.timestamp()))
    content = f"{message_id}.{moment}.".encode() + body
    made = [
        base64.b64encode(hmac.digest(_key(secret) or b"", content, "sha256")).decode()
        for secret in secrets
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(f"v1,{one}" for one in made),
    }


def _key(text: str) -> bytes | None:
    """Return a secret's bytes; its padding may be missing."""
    told = text.removeprefix(PREFIX)
    try:
        return base64.b64decode(told + "=" * (-len(told) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
