"""Secret, Vault and the master key: what must never be read by the wrong eyes.

One master key gives every other key (`derive`), so an installation has one thing to keep. Stored
credentials are AES-256-GCM with the key's id in the value and their place as associated data: a
value copied to another row does not open there.
"""

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import EngineError

if TYPE_CHECKING:
    from core.settings import Settings

MIN_KEY_BYTES = 32
KEY_FILE = "secret.key"
VERSION = b"\x01"
KEY_ID_BYTES = 4
NONCE_BYTES = 12
HEADER_BYTES = len(VERSION) + KEY_ID_BYTES + NONCE_BYTES


class SealedError(EngineError):
    """A stored secret cannot be opened with the key in use."""

    code = "sealed"


class SecretKeyError(EngineError):
    """The installation's secret key is missing or unusable."""

    code = "secret_key"


class Secret:
    """A text that does not show itself in logs, tracebacks or settings dumps."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; call it where the text is used, not before."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return secrets.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)


def derive(key: bytes, purpose: str) -> bytes:
    """Return 32 bytes for one purpose from the master key (HKDF-SHA256, RFC 5869).

    Knowing the key of one purpose tells nothing about the others.
    """
    return HKDF(SHA256(), length=32, salt=None, info=b"echelonx " + purpose.encode()).derive(key)


class Vault:
    """Encrypts stored credentials under `key`; opens values of `older` keys too."""

    def __init__(self, key: bytes, *older: bytes) -> None:
        self._ciphers = {_key_id(each): AESGCM(derive(each, "vault")) for each in (*older, key)}
        self._id = _key_id(key)

    def encrypt(self, plain: bytes, *, context: str) -> bytes:
        """Seal `plain` for one place, such as `provider:12`; the same place opens it."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._ciphers[self._id].encrypt(nonce, plain, context.encode())
        return VERSION + self._id + nonce + sealed

    def is_current(self, sealed: bytes) -> bool:
        """Say whether a value was sealed under the key that seals now."""
        return sealed.startswith(VERSION + self._id)

    def decrypt(self, sealed: bytes, *, context: str) -> bytes:
        """Open what `encrypt` made for the same `context`.

        Raises SealedError when the value was altered, belongs elsewhere or needs another key.
        """
        key_id = sealed[len(VERSION) : len(VERSION) + KEY_ID_BYTES]
        cipher = self._ciphers.get(key_id)
        if sealed[: len(VERSION)] != VERSION or cipher is None:
            raise SealedError(
                "the stored secret was sealed with another key",
                remedy="start with the ECHELONX_SECRET_KEY it was stored under, or enter it again",
            )
        nonce = sealed[len(VERSION) + KEY_ID_BYTES : HEADER_BYTES]
        try:
            return cipher.decrypt(nonce, sealed[HEADER_BYTES:], context.encode())
        except (InvalidTag, ValueError):
            raise SealedError(
                "the stored secret is damaged or was moved from another place",
                remedy="enter the credentials again",
            ) from None


def vault_of(settings: "Settings") -> Vault:
    """Return the vault of an installation: sealed under the first of `vault_keys`, if it has some.

    All of them open, and so does the master key. Raises SecretKeyError.
    """
    keys = [key.reveal().encode() for key in settings.vault_keys]
    return Vault(*keys, load_key(settings))


def _key_id(key: bytes) -> bytes:
    """Name a key without telling anything about it."""
    return hashlib.sha256(derive(key, "key id")).digest()[:KEY_ID_BYTES]


def load_key(settings: "Settings") -> bytes:
    """Return the master key: from the settings, else from `<data_dir>/secret.key`.

    In development the file is made when it does not exist, readable by its owner only.
    Raises SecretKeyError in production without a key, and for a key below 32 bytes.
    """
    if settings.secret_key is not None:
        return _long_enough(settings.secret_key.reveal().encode(), "ECHELONX_SECRET_KEY")
    if settings.mode == "production":
        raise SecretKeyError(
            "ECHELONX_SECRET_KEY is not set",
            field="ECHELONX_SECRET_KEY",
            remedy="make one with `openssl rand -base64 32` and keep it: without it stored "
            "credentials cannot be read and sent links stop working",
        )
    path = settings.data_dir / KEY_FILE
    try:
        if not path.exists():
            _make_key_file(path)
        return _long_enough(path.read_bytes().strip(), str(path))
    except OSError as error:
        raise SecretKeyError(
            f"{path} cannot be read or made: {error.strerror}",
            remedy="make ECHELONX_DATA_DIR writable, or set ECHELONX_SECRET_KEY",
        ) from error


def _make_key_file(path: Path) -> None:
    """Make the file whole or not at all; of two processes starting at once, one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_urlsafe(32).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def _long_enough(key: bytes, source: str) -> bytes:
    if len(key) < MIN_KEY_BYTES:
        raise SecretKeyError(
            f"the key in {source} has {len(key)} bytes and needs at least {MIN_KEY_BYTES}",
            field=source,
            remedy="make one with `openssl rand -base64 32`",
        )
    return key
