"""Receiving: a provider's request is capped, verified, stored and only then acknowledged.

    POST /webhooks/<adapter>/<account token>      (Twilio may also GET)

Nothing else happens here; meaning comes later (apply.py). Answers are PROVIDERS 0 and
RELIABILITY 3.14: 2xx stored, 400 malformed, 403 not from the provider, 404 no such account,
405, 413 above 1 MiB, 415 compressed, 503 the database is away. What we acknowledged is durable.

Invariants
    1. A 2xx is given only after the commit (law 5).
    2. The signature is checked over the raw bytes and our configured public URL, never over what
       a proxy or a Host header says.
    3. An unknown token, another adapter's token and an unknown adapter get the same answer.
"""

import re
from dataclasses import dataclass

from flask import Blueprint, Response, request
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException

from channels.adapter import RawWebhook, Receiver
from channels.registry import UnknownProviderError
from communications.account import ProviderAccount, account_by_token
from core import log
from core.db import read, write
from core.errors import EngineError, InvalidError
from webhooks import inbox
from webhooks.context import Services
from webhooks.receiver import Receivers

MAX_BODY = 1024 * 1024
"""Bytes; SendGrid posts at most 768 KB."""
MAX_EVENTS = 10_000
"""No provider puts more into 1 MiB."""
RETRY_AFTER = "30"
"""Seconds; every provider tries again on a 503."""
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}").fullmatch
DATABASE_AWAY = (OperationalError, InterfaceError, PoolTimeoutError)
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
    # An empty TwiML document sends nothing; anything else is an error in Twilio's log (11750,
    # 12200). Inbound messages may be configured as GET (PROVIDERS 1.5).
    "twilio": Manners(
        methods=frozenset({"GET", "POST"}),
        status=200,
        mimetype="text/xml",
        body='<?xml version="1.0" encoding="UTF-8"?><Response/>',
    ),
}
DEFAULT_MANNERS = Manners()

_log = log.get(__name__)


def blueprint(services: Services) -> Blueprint:
    """Return the routes that providers post to."""
    routes = Blueprint("webhooks", __name__, url_prefix="/webhooks")
    receivers = Receivers(services.vault, services.egress)

    @routes.route("/<adapter>/<token>", methods=["GET", "POST"])
    def receive(adapter: str, token: str) -> Response:
        """Store one request of a provider."""
        return _receive(services, receivers, adapter, token)

    for kind in DATABASE_AWAY:
        routes.register_error_handler(kind, _database_away)
    routes.register_error_handler(HTTPException, _refused)
    return routes


def _receive(services: Services, receivers: Receivers, adapter: str, token: str) -> Response:
    manners = MANNERS.get(adapter, DEFAULT_MANNERS)
    if request.method not in manners.methods:
        return _answer(405, Allow=", ".join(sorted(manners.methods)))
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        return _answer(415)
    request.max_content_length = MAX_BODY
    if (request.content_length or 0) > MAX_BODY:
        return _answer(413)
    account = _account(services, adapter, token)
    if account is None:
        return _answer(404)
    webhook = _raw(services, adapter, token)
    return _verified(services, receivers, account, webhook, manners)


def _verified(
    services: Services,
    receivers: Receivers,
    account: ProviderAccount,
    webhook: RawWebhook,
    manners: Manners,
) -> Response:
    try:
        receiver = receivers.of(account)
    except UnknownProviderError:
        return _answer(404)
    except EngineError as error:
        # Without the key that verifies, nobody is believed (B025).
        _log.warning("receiver not configured", account_id=account.id, reason=error.code)
        return _answer(403)
    if not receiver.verify(webhook):
        _log.info("webhook refused", account_id=account.id, reason="signature")
        return _answer(403)
    if _is_malformed(receiver, webhook):
        _log.info("webhook refused", account_id=account.id, reason="malformed")
        return _answer(400)
    with write(services.sessions) as session:
        new = inbox.store(session, services.clock, services.vault, account=account, webhook=webhook)
    if new:
        services.bell.ring()
    return Response(manners.body, status=manners.status, mimetype=manners.mimetype)


def _account(services: Services, adapter: str, token: str) -> ProviderAccount | None:
    if not TOKEN(token):
        return None
    with read(services.sessions) as session:
        account = account_by_token(session, token)
        if account is None or account.adapter != adapter:
            return None
        session.expunge(account)
    return account


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
