"""Endpoint: a URL of a client's own, which is told what happens, by Standard Webhooks.

Invariants
    1. A secret is sealed in the database, and shown only by `secrets_of`, to who asks for it.
    2. For a day after a rotation the old secret signs too, so that no receiver misses anything.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.client import hold
from accounts.news import checked
from core.clock import Clock
from core.db import Base, Id
from core.errors import ConflictError, InvalidError, NotFoundError
from core.http import refusal
from core.page import OLDEST, Walk
from core.secret import Vault
from core.signature import checked_secret, new_secret

OVERLAP = timedelta(hours=24)
"""So long an old secret signs beside the new one."""
MAX_SECRETS = 5
MAX_ENDPOINTS = 50
"""Of one client."""
MAX_URL = 2000


class EndpointUrlError(InvalidError):
    """A webhook endpoint's URL cannot be posted to."""

    code = "endpoint_url"


class EndpointNotFoundError(NotFoundError):
    """The client has no such webhook endpoint."""

    code = "endpoint_not_found"
    usual = "list the webhook endpoints, and use an id from there"


class EndpointStateError(ConflictError):
    """The webhook endpoint is not in a state that allows it."""

    code = "endpoint_state"


class Endpoint(Base):
    """One URL, what it wants to know, and how it fares."""

    __tablename__ = "endpoints"
    __table_args__ = (Index(None, "client_id"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    url: Mapped[str] = mapped_column(String(MAX_URL))
    description: Mapped[str | None] = mapped_column(String(200))
    types: Mapped[list[str]]
    """Names and groups of accounts.news: `communication.*`, `member.created`, `*`."""
    enabled: Mapped[bool] = mapped_column(default=True)
    disabled_reason: Mapped[str | None] = mapped_column(String(200))
    secrets: Mapped[bytes] = mapped_column(LargeBinary)
    """[secret, when it ends or null], newest first: JSON, sealed for `endpoint:{id}`."""
    failures: Mapped[int] = mapped_column(default=0)
    """Failed posts since the last that was taken."""
    failing_since: Mapped[datetime | None]
    """When the first of them failed."""
    rest_until: Mapped[datetime | None]
    """Nothing is posted before: it asked for that, or failed too often in a row."""
    slow: Mapped[bool] = mapped_column(default=False)
    """It took long the last time; threads kept for quick ones leave it alone."""
    owner: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None]
    """One worker at a time posts to it."""
    last_success_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


def checked_url(url: str, *, allow_http: bool, allow_private: bool) -> str:
    """Return a URL that may be posted to, as far as can be told without resolving its name.

    Raises EndpointUrlError.
    """
    why = refusal(url, allow_private=allow_private)
    if why is None and not allow_http and not url.lower().startswith("https:"):
        why = "a webhook endpoint's URL starts with https://"
    if why is None and (len(url) > MAX_URL or not url.isascii() or not url.isprintable()):
        why = f"a URL is plain ASCII, at most {MAX_URL} characters"
    if why is not None:
        raise EndpointUrlError(why, field="url", remedy="give a public https:// URL of your own")
    return url


def add_endpoint(
    session: Session,
    clock: Clock,
    vault: Vault,
    *,
    client_id: int,
    url: str,
    types: Sequence[str],
    description: str | None = None,
    secret: str | None = None,
) -> Endpoint:
    """Tell `url` (see `checked_url`) of news from now on; without a `secret` one is made.

    Raises NewsTypeError, SigningSecretError, EndpointStateError for one too many.
    """
    own = checked_secret(secret) if secret else new_secret()
    hold(session, client_id)  # of two at once, the second counts the first
    held = select(func.count()).where(
        Endpoint.client_id == client_id, Endpoint.deleted_at.is_(None)
    )
    if (session.scalar(held) or 0) >= MAX_ENDPOINTS:
        raise EndpointStateError(
            f"a client has at most {MAX_ENDPOINTS} webhook endpoints", remedy="delete one"
        )
    now = clock.now()
    made = Endpoint(
        client_id=client_id,
        url=url,
        description=description,
        types=checked(list(types)),
        secrets=b"",
        created_at=now,
        updated_at=now,
    )
    session.add(made)
    session.flush()
    _seal(vault, made, [(own, None)])
    session.flush()
    return made


def endpoint(session: Session, client_id: int, endpoint_id: int, *, lock: bool = False) -> Endpoint:
    """Return the client's endpoint. Raises EndpointNotFoundError."""
    query = select(Endpoint).where(
        Endpoint.client_id == client_id, Endpoint.id == endpoint_id, Endpoint.deleted_at.is_(None)
    )
    found = session.scalar(query.with_for_update(key_share=True) if lock else query)
    if found is None:
        raise EndpointNotFoundError(f"no webhook endpoint {endpoint_id}")
    return found


def endpoints(
    session: Session, client_id: int, *, walk: Walk = OLDEST, limit: int = MAX_ENDPOINTS
) -> list[Endpoint]:
    """Return up to `limit` endpoints, oldest first or as `walk` says."""
    query = select(Endpoint).where(Endpoint.client_id == client_id, Endpoint.deleted_at.is_(None))
    return list(session.scalars(walk.over(query, Endpoint, limit)))


def change_endpoint(session: Session, clock: Clock, found: Endpoint, **changes: Any) -> Endpoint:
    """Change `url`, `types` or `description`. Raises NewsTypeError."""
    if "types" in changes:
        changes["types"] = checked(list(changes["types"]))
    if changes.get("url", found.url) != found.url:
        _forget_failures(found)  # they were another's
    for name, value in changes.items():
        setattr(found, name, value)
    found.updated_at = clock.now()
    session.flush()
    return found


def enable(session: Session, clock: Clock, found: Endpoint) -> Endpoint:
    """Tell an endpoint again what happens from now on, and what still waits for it.

    What failed may be replayed.
    """
    if not found.enabled:
        found.enabled, found.disabled_reason = True, None
        _forget_failures(found)
        found.updated_at = clock.now()
        session.flush()
    return found


def rotate(
    session: Session, clock: Clock, vault: Vault, found: Endpoint, *, secret: str | None = None
) -> str:
    """Give an endpoint a new secret and return it; the old one signs too for a day.

    Raises SigningSecretError, EndpointStateError when it was rotated too often within a day.
    """
    fresh = checked_secret(secret) if secret else new_secret()
    now = clock.now()
    held = _opened(vault, found, now)
    if len(held) >= MAX_SECRETS:
        raise EndpointStateError(
            "its secret was rotated too often within a day", remedy="wait until older ones end"
        )
    older = [(one, until or now + OVERLAP) for one, until in held if one != fresh]
    _seal(vault, found, [(fresh, None), *older])
    found.updated_at = now
    session.flush()
    return fresh


def secrets_of(clock: Clock, vault: Vault, found: Endpoint) -> list[str]:
    """Return the secrets in force, newest first: never log them. Raises SealedError."""
    return [secret for secret, _ in _opened(vault, found, clock.now())]


def _forget_failures(found: Endpoint) -> None:
    found.failures, found.failing_since, found.rest_until = 0, None, None


def place(found: Endpoint) -> str:
    """Return where sealed secrets belong."""
    return f"endpoint:{found.id}"


def _opened(vault: Vault, found: Endpoint, now: datetime) -> list[tuple[str, datetime | None]]:
    told = json.loads(vault.decrypt(found.secrets, context=place(found)))
    held = [(secret, datetime.fromisoformat(until) if until else None) for secret, until in told]
    return [(secret, until) for secret, until in held if until is None or until > now]


def _seal(vault: Vault, found: Endpoint, held: Sequence[tuple[str, datetime | None]]) -> None:
    told = [[secret, until.isoformat() if until else None] for secret, until in held]
    found.secrets = vault.encrypt(json.dumps(told).encode(), context=place(found))
