"""Config: the secrets of the simulated accounts, and the provider settings that go with them.

All derive from the seed, so the engine and a simulator agree without handing anything over. They
are worth nothing: everybody can derive them.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

FROM_EMAIL = "hello@elevate.example"
FROM_NAME = "Elevate"
FROM_NUMBER = "+15005550006"
"""Twilio's own magic number for tests."""
PROJECT = "elevate-simulated"
EXPONENT = 65537
HALF_BITS = 1024
SMALL_PRIMES = [n for n in range(3, 4000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2))]


@dataclass(frozen=True, slots=True)
class Keys:
    """What the two sides share."""

    api_key: str
    """SendGrid's."""
    sendgrid_key: ec.EllipticCurvePrivateKey
    """Signs the event webhook."""
    account_sid: str
    auth_token: str
    """Twilio's; signs its webhooks too."""
    client_email: str
    """The name of FCM's service account."""
    ack_key: str
    """The app's."""
    seed: int

    @classmethod
    def of_seed(cls, seed: int) -> Self:
        """Derive all of them."""
        number = int.from_bytes(_derived(seed, "sendgrid", 32)) % (2**255) + 1
        return cls(
            api_key="SG." + _derived(seed, "api key", 24).hex(),
            sendgrid_key=ec.derive_private_key(number, ec.SECP256R1()),
            account_sid="AC" + _derived(seed, "account", 16).hex(),
            auth_token=_derived(seed, "auth token", 16).hex(),
            client_email=f"engine@{PROJECT}.iam.gserviceaccount.com",
            ack_key=_derived(seed, "ack", 24).hex(),
            seed=seed,
        )

    @property
    def sendgrid_public(self) -> str:
        """Return the event webhook's verification key as SendGrid shows it."""
        public = self.sendgrid_key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(public).decode()

    @property
    def fcm_key(self) -> rsa.RSAPrivateKey:
        """Return the service account's key; the first time takes some 0.3 s."""
        return _rsa_key(self.seed)

    @property
    def fcm_private(self) -> str:
        """Return the service account's key as its JSON file has it."""
        return self.fcm_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()


def config(ports: Mapping[str, int], keys: Keys) -> dict[str, dict[str, Any]]:
    """Return the settings of the four provider accounts, by adapter name.

    `ports` is the line a simulator prints when it is ready: `{"http": …, "smtp": …}`.
    """
    base = f"http://127.0.0.1:{ports['http']}"
    return {
        "sendgrid": {
            "api_key": keys.api_key,
            "from_email": FROM_EMAIL,
            "from_name": FROM_NAME,
            "public_key": keys.sendgrid_public,
            "base_url": base,
        },
        "smtp": {
            "host": "127.0.0.1",
            "port": ports["smtp"],
            "tls": "none",
            "from_email": FROM_EMAIL,
            "from_name": FROM_NAME,
        },
        "twilio": {
            "account_sid": keys.account_sid,
            "auth_token": keys.auth_token,
            "from_number": FROM_NUMBER,
            "base_url": base,
        },
        "fcm": {
            "project_id": PROJECT,
            "client_email": keys.client_email,
            "private_key": keys.fcm_private,
            "ack_key": keys.ack_key,
            "base_url": base,
            "token_url": f"{base}/token",
        },
    }


def _derived(seed: int, purpose: str, size: int) -> bytes:
    return hashlib.shake_256(f"echelonx simulators {seed} {purpose}".encode()).digest(size)


@lru_cache(maxsize=8)
def _rsa_key(seed: int) -> rsa.RSAPrivateKey:
    p, q = _prime(seed, "p"), _prime(seed, "q")
    d = pow(EXPONENT, -1, (p - 1) * (q - 1))
    return rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=rsa.rsa_crt_dmp1(d, p),
        dmq1=rsa.rsa_crt_dmq1(d, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(EXPONENT, p * q),
    ).private_key()


def _prime(seed: int, purpose: str) -> int:
    """Return the first probable prime from a derived number on, its two highest bits set."""
    number = int.from_bytes(_derived(seed, purpose, HALF_BITS // 8))
    number |= 3 << (HALF_BITS - 2) | 1
    while not _is_prime(number):
        number += 2
    return number


def _is_prime(number: int) -> bool:
    if any(number % prime == 0 for prime in SMALL_PRIMES) or number % EXPONENT == 1:
        return False
    return all(pow(base, number - 1, number) == 1 for base in (2, 3, 5))
