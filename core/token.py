"""Signer: short signed tokens for public links and references; they prove that we made them.

A token is base64url, without padding, of its numbers as varints followed by the first 80 bits of
HMAC-SHA256 over the purpose and those bytes. It hides nothing: it is proof, not encryption.

Invariants
    1. A token of one purpose never verifies for another.
    2. Exactly one text verifies for given numbers; any other spelling of it is refused.
"""

import hashlib
import hmac
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64

MAC_BYTES = 10
"""80 bits: no one makes 2^80 guesses over a network, and references stay below 40 characters."""
MAX_NUMBER = 2**63 - 1
"""What a BIGINT column holds."""
MAX_TOKEN = 128
"""Longer texts are refused before they are decoded."""
BLOCK = 64
TO_URL = bytes.maketrans(b"+/", b"-_")
FROM_URL = str.maketrans("-_", "+/")


class Signer:
    """Makes and verifies tokens with one key of at least 16 bytes."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("a signing key needs at least 16 bytes")
        block = (key if len(key) <= BLOCK else hashlib.sha256(key).digest()).ljust(BLOCK, b"\0")
        # HMAC with its two key blocks hashed once: 0.9 µs instead of 2.3 µs for hmac.digest.
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))

    def sign(self, purpose: str, *numbers: int) -> str:
        """Return the token of `numbers` (each 0 to 2^63 - 1) for `purpose`, in `[A-Za-z0-9_-]+`."""
        payload = bytearray()
        for number in numbers:
            if not 0 <= number <= MAX_NUMBER:
                raise ValueError("a token holds whole numbers from 0 to 2^63 - 1")
            while number > 0x7F:
                payload.append(number & 0x7F | 0x80)
                number >>= 7
            payload.append(number)
        inner = self._inner.copy()
        inner.update(purpose.encode() + b"\0" + payload)
        outer = self._outer.copy()
        outer.update(inner.digest())
        sealed = b2a_base64(payload + outer.digest()[:MAC_BYTES], newline=False)
        return sealed.translate(TO_URL).rstrip(b"=").decode("ascii")

    def verify(self, purpose: str, token: str, count: int) -> tuple[int, ...] | None:
        """Return the `count` numbers of `token`, or None for any defect at all."""
        numbers = _numbers(token, count)
        if numbers is None:
            return None
        # Signing again and comparing texts leaves no second spelling of a valid token.
        return numbers if hmac.compare_digest(self.sign(purpose, *numbers), token) else None


def _numbers(token: str, count: int) -> tuple[int, ...] | None:
    """Read the numbers a token claims to hold, before anything is proven."""
    if len(token) > MAX_TOKEN or not token.isascii():
        return None
    try:
        data = a2b_base64(token.translate(FROM_URL) + "=" * (-len(token) % 4))
    except Base64Error:
        return None
    payload = data[:-MAC_BYTES]
    numbers: list[int] = []
    number = shift = 0
    for byte in payload:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    if shift or len(numbers) != count or any(each > MAX_NUMBER for each in numbers):
        return None
    return tuple(numbers)
