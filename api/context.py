"""What one request may use: the product's services, a session, and who is asking.

The session is committed once, after a good answer, and rolled back otherwise. Whoever has new work
is rung only after that commit: a bell for rows that are not there yet would be wasted.
"""

from collections.abc import Callable
from typing import Any, Protocol, cast

from flask import Flask, current_app, g, request
from flask.wrappers import Response
from sqlalchemy.orm import Session

from accounts.audit import AuditEntry
from accounts.audit_changes import watched
from accounts.issuer import Issuer
from accounts.mailer import Mailer
from accounts.principal import Principal
from api.openapi import READS, deed_of
from channels.adapter import HttpClient
from communications.content import ContentStore
from communications.reference import References
from communications.urls import Urls
from core.address import AddressHasher
from core.bucket import Buckets
from core.clock import Clock
from core.db import Sessions, is_sqlite
from core.errors import ForbiddenError
from core.secret import Vault
from core.settings import Settings
from core.token import Signer

EVERYWHERE = "clients:read"
"""The action that shows that a caller sees beyond one client."""


class Bell(Protocol):
    """Tells workers to look."""

    def ring(self) -> None:
        """Ring; never waits, never raises."""
        ...


class Witness(Protocol):
    """Writes down who looked at people, after they were answered."""

    def saw(self, entry: AuditEntry) -> None:
        """Take an entry; never waits, never raises."""
        ...


class Services(Protocol):
    """The part of echelonx.wiring.Services that the API uses."""

    @property
    def settings(self) -> Settings:
        """Settings of this process."""
        ...

    @property
    def clock(self) -> Clock:
        """The one clock."""
        ...

    @property
    def sessions(self) -> Sessions:
        """Makes sessions."""
        ...

    @property
    def vault(self) -> Vault:
        """Encrypts credentials."""
        ...

    @property
    def hasher(self) -> AddressHasher:
        """Hashes addresses."""
        ...

    @property
    def content(self) -> ContentStore:
        """Renders messages."""
        ...

    @property
    def references(self) -> References:
        """Names attempts."""
        ...

    @property
    def egress(self) -> HttpClient:
        """The one way out over HTTP."""
        ...

    @property
    def buckets(self) -> Buckets:
        """Counts requests."""
        ...

    @property
    def urls(self) -> Urls:
        """Builds public links."""
        ...

    @property
    def signer(self) -> Signer:
        """Signs links that expire."""
        ...

    @property
    def witness(self) -> Witness:
        """Notes who looked at people."""
        ...

    @property
    def mailer(self) -> Mailer:
        """Writes to users."""
        ...

    @property
    def issuer(self) -> Issuer | None:
        """Signs people in, where one is set."""
        ...

    @property
    def bell(self) -> Bell:
        """Rings workers."""
        ...


def services() -> Services:
    """Return what the application was built with."""
    return cast("Services", current_app.extensions["echelonx"])


def db() -> Session:
    """Return this request's session; a GET's only reads, and never waits for SQLite's writer."""
    if "session" not in g:
        g.session = services().sessions()
        if request.method not in READS:
            g.changes = watched(g.session)
        elif is_sqlite(g.session):
            g.session.connection(execution_options={"sqlite_begin": "DEFERRED"})
    return cast("Session", g.session)


def release() -> None:
    """End this request's transaction, before work that has transactions of its own."""
    if "session" in g:
        g.session.commit()


def clock() -> Clock:
    """Return the clock the application was built with."""
    return services().clock


def principal() -> Principal:
    """Return who acts and what they may do (api.auth put it there)."""
    return cast("Principal", g.principal)


def client_id() -> int:
    """Return the client of the caller: the only client this request can see.

    Raises ForbiddenError for a person who has none.
    """
    found = principal().client_id
    if found is None:
        raise ForbiddenError(
            "you act for no client", remedy="ask an admin of the client for a role there"
        )
    return found


def reach() -> int | None:
    """Return the client whose users the caller sees; None is every client, for super admins."""
    return None if EVERYWHERE in principal().actions else principal().client_id or 0


def actor() -> str:
    """Return who acts, for the audit log."""
    return principal().actor


def audit(target: str, *, action: str | None = None, at: int | None = None, **detail: Any) -> None:
    """Say what the caller does something to, for the audit log: written with it (auditing.py).

    The operation's name says what is done, unless an `action` is named. It is in the log of the
    caller's client, or of the client `at`.
    """
    named = action or deed_of(current_app, request.endpoint)
    g.setdefault("deeds", []).append((at, named, target, detail))


def ring_after_commit() -> None:
    """Ring the workers once this request's changes are in the database."""
    g.ring = True


def after_commit(work: Callable[[], None]) -> None:
    """Do something once this request's changes are in the database, and only then."""
    g.setdefault("afterwards", []).append(work)


def install(app: Flask) -> None:
    """Commit once per good answer; always close."""

    @app.after_request
    def commit(response: Response) -> Response:
        if "session" in g and response.status_code < 400:
            g.session.commit()
            if g.pop("ring", False):
                services().bell.ring()
            for work in g.pop("afterwards", ()):
                work()
        return response

    @app.teardown_request
    def close(error: BaseException | None) -> None:
        del error
        session: Any = g.pop("session", None)
        if session is not None:
            session.close()
