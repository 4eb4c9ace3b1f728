"""Receiving: a provider's request is capped, verified, stored and only then acknowledged.

    POST /webhooks/<adapter>/<account token>      (Twilio may also GET)

Nothing else happens here; meaning comes later (apply.py). Answers: 2xx stored,
400 malformed, 403 not from the provider, 404 no such account, 405, 413 above 1 MiB,
415 compressed, 503 the database is away. What we acknowledged is durable.

Invariants
    1. A 2xx is given only after the commit (law 5).
    2. The signature is checked over the raw bytes and our configured public URL, never over what
       a proxy or a Host header says.
    3. An unknown token, another adapter's token and an unknown adapter get the same answer.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from channels.adapter import RawWebhook, Receiver
from channels.registry import UnknownProviderError
from communications.account import ProviderAccount
from core import log
from core.db import DATABASE_AWAY, write
from core.errors import EngineError, InvalidError
from core.failpoint import reach
from webhooks import inbox
from webhooks.context import Services
from webhooks.group import GroupCommit, LeaderLostError
from webhooks.receiver import Directory, Receivers

MAX_BODY = 1024 * 1024
"""Bytes; SendGrid posts at most 768 KB."""
MAX_EVENTS = 10_000
"""No provider puts more into 1 MiB."""
RETRY_AFTER = "30"
"""Seconds; every provider tries again on a 503."""
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}").fullmatch
MALFORMED = (InvalidError, RecursionError, ValueError)
"""What an adapter raises for a body that is not its provider's; ValueError covers bad UTF-8."""

ADAPTER_BUG = (ArithmeticError, AttributeError, LookupError, TypeError)


@dataclass(frozen=True, slots=True)
class Manners:
    """How a provider wants to be answered."""

    methods: frozenset[str] = frozenset({"POST"})
    status: int = 204
    mimetype: str = "text/plain"
    body: str = ""


MANNERS = {
    "shopify": Manners(status=200),
    # An empty TwiML document sends nothing; anything else is an error in Twilio's log (11750,
    # 12200). Inbound messages may be configured as GET.
    "twilio": Manners(
        methods=frozenset({"GET", "POST"}),
        status=200,
        mimetype="text/xml",
        body='<?xml version="1.0" encoding="UTF-8"?><Response/>',
    ),
}
DEFAULT_MANNERS = Manners()

_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes share."""

    services: Services
    receivers: Receivers
    directory: Directory
    inbox: GroupCommit[Mapping[str, Any], bool]


def blueprint(services: Services) -> Blueprint:
    """Return the routes that providers post to."""
    routes = Blueprint("webhooks", __name__, url_prefix="/webhooks")

    def commit(rows: Sequence[Mapping[str, Any]]) -> Sequence[bool]:
        with write(services.sessions) as session:
            return inbox.store(session, rows)

    desk = Desk(
        services=services,
        receivers=Receivers(services.vault, services.egress),
        directory=Directory(services.sessions),
        inbox=GroupCommit(commit),
    )

    @routes.route("/<adapter>/<token>", methods=["GET", "POST"])
    def receive(adapter: str, token: str) -> Response:
        """Store one request of a provider."""
        return _receive(desk, adapter, token)

    for kind in (*DATABASE_AWAY, LeaderLostError):
        routes.register_error_handler(kind, _database_away)
    routes.register_error_handler(HTTPException, _refused)
    return routes


def _receive(desk: Desk, adapter: str, token: str) -> Response:
    manners = MANNERS.get(adapter, DEFAULT_MANNERS)
    if request.method not in manners.methods:
        return _answer(405, Allow=", ".join(sorted(manners.methods)))
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        return _answer(415)
    request.max_content_length = MAX_BODY
    if (request.content_length or 0) > MAX_BODY:
        return _answer(413)
    account = desk.directory.account(token) if TOKEN(token) else None
    if account is None or account.adapter != adapter:
        return _answer(404)
    webhook = _raw(desk.services, adapter, token)
    return _verified(desk, account, webhook, manners)


def _verified(
    desk: Desk, account: ProviderAccount, webhook: RawWebhook, manners: Manners
) -> Response:
    try:
        receiver = desk.receivers.of(account)
    except UnknownProviderError:
        return _answer(404)
    except EngineError as error:
        # Without the key that verifies, nobody is believed.
        _log.warning("receiver not configured", account_id=account.id, reason=error.code)
        return _answer(403)
    if not receiver.verify(webhook):
        _log.info("webhook refused", account_id=account.id, reason="signature")
        return _answer(403)
    if _is_malformed(receiver, webhook):
        _log.info("webhook refused", account_id=account.id, reason="malformed")
        return _answer(400)
    services = desk.services
    row = inbox.sealed(services.clock, services.vault, account=account, webhook=webhook)
    reach("C12")
    if desk.inbox.put(row):
        services.bell.ring()
    return Response(manners.body, status=manners.status, mimetype=manners.mimetype)


def _raw(services: Services, adapter: str, token: str) -> RawWebhook:
    """Take the request as it came; reading beyond the cap raises 413."""
    url = services.urls.receipts(adapter, token)
    query = request.query_string.decode("latin-1")
    return RawWebhook(
        url=f"{url}?{query}" if query else url,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=request.get_data(cache=True),
        method=request.method,
    )


def _is_malformed(receiver: Receiver, webhook: RawWebhook) -> bool:
    try:
        return len(receiver.parse(webhook)) > MAX_EVENTS
    except MALFORMED:
        return True
    except ADAPTER_BUG:
        return False  # the fault is ours: keep the request for replay


def _answer(status: int, **headers: str) -> Response:
    response = Response("", status=status, mimetype="text/plain")
    response.headers.update(headers)
    return response


def _database_away(error: Exception) -> Response:
    """Ask the provider to come again: nothing was stored."""
    _log.warning("webhook not stored", reason=type(error).__name__)
    return _answer(503, **{"Retry-After": RETRY_AFTER})


def _refused(error: HTTPException) -> Response:
    """Answer 413 and other refusals of the web framework without its HTML."""
    return _answer(error.code or 400)
