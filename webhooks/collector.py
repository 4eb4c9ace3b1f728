"""Collector: takes events as Segment's libraries send them; they need only another host.

    POST /v1/identify|track|page|screen|group|alias     one event
    POST /v1/batch, /v1/import                          up to 2,500
    POST /v1/i|t|p|s|g|a|b                              the same, from browsers

Nothing happens here but storing (collected.py); meaning comes later (collecting.py). Answers:
200 stored, or not ours to keep and counted; 400 too large or not JSON, 401 no write key, 429 more
than a key may tell a second, 503 the database is away. What we acknowledged is durable.

Invariants
    1. A 200 is given only after the commit (law 5).
    2. A key that is unknown gets the answer of one that is known.
    3. No body, however compressed, takes more than MAX_BODY of memory before it is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from core import log
from core.db import DATABASE_AWAY, write
from core.document import DocumentError, TooLargeError, read_document, unzipped
from core.errors import EngineError, InvalidError, UnauthenticatedError
from webhooks import collected
from webhooks.allowance import Allowance
from webhooks.context import Services
from webhooks.dropped import Drop, Tally, note_drops
from webhooks.group import GroupCommit, LeaderLostError
from webhooks.segment import MAX_EVENT
from webhooks.write_key import WriteKey, WriteKeys

MAX_BODY = 500 * 1024
MAX_EVENTS = 2500
BATCH = None
WORDS: dict[str, str | None] = {
    # path → the kind of call
    "identify": "identify", "i": "identify", "track": "track", "t": "track",
    "page": "page", "p": "page", "screen": "screen", "s": "screen",
    "group": "group", "g": "group", "alias": "alias", "a": "alias",
    "batch": BATCH, "import": BATCH, "b": BATCH,
}  # fmt: skip
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Vary": "Origin",
}
PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding",
    "Access-Control-Max-Age": "86400",
}
NOT_IN_FORCE = "the write key was revoked, has expired, or lacks the scope events:write"
RETRY_AFTER = "5"
"""Seconds, while the database is away."""

_log = log.get(__name__)


class MalformedError(InvalidError):
    """The request cannot be read."""

    status = 400
    code = "invalid_request"


class OversizeError(InvalidError):
    """The request or its event is larger than may be."""

    status = 400
    code = "too_large"


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes share."""

    services: Services
    keys: WriteKeys
    allowance: Allowance
    tally: Tally
    inbox: GroupCommit[Mapping[str, Any], None]


def blueprint(services: Services, allowance: Allowance | None = None) -> Blueprint:
    """Return the routes that Segment's libraries post to."""
    routes = Blueprint("collector", __name__, url_prefix="/v1")

    def commit(rows: Sequence[Mapping[str, Any]]) -> Sequence[None]:
        with write(services.sessions) as session:
            collected.store(session, rows)
        return [None] * len(rows)

    desk = Desk(
        services=services,
        keys=WriteKeys(services.sessions, services.clock),
        allowance=allowance or Allowance(),
        tally=Tally(),
        inbox=GroupCommit(commit),
    )

    @routes.route("/<word>", methods=["POST", "OPTIONS"], provide_automatic_options=False)
    def collect(word: str) -> Response:
        """Store what one request tells."""
        if word not in WORDS:
            return _answer(404, "not_found", f"there is no /v1/{word[:20]}")
        if request.method == "OPTIONS":
            return Response("", status=204, headers=PREFLIGHT)
        return _collect(desk, WORDS[word])

    @routes.after_request
    def for_browsers(response: Response) -> Response:
        response.headers.update(CORS)
        return response

    for kind in (*DATABASE_AWAY, LeaderLostError):
        routes.register_error_handler(kind, _database_away)
    routes.register_error_handler(EngineError, _refused)
    routes.register_error_handler(HTTPException, _misdirected)
    return routes


def _collect(desk: Desk, kind: str | None) -> Response:
    body = _body()
    told = _told(body, kind)
    events = 1 if kind else len(told["batch"])
    text = _key_text(told)
    key = desk.keys.of(text)
    if key is None:
        _log.info("events dropped", reason="unknown write key", count=events)
        return _answer(200)
    wait = desk.allowance.take(key, events=events, size=len(body))
    if wait:
        return _too_many(wait)
    if not events:
        return _answer(200)
    if key.refusal:
        _note(desk, key, Drop(kind or "?", key.refusal, NOT_IN_FORCE, key_id=key.id, count=events))
    else:
        services = desk.services
        row = collected.sealed(
            services.clock, services.vault, key=key, body=body, kind=kind, events=events
        )
        desk.inbox.put(row)
        services.bell.ring()
    return _answer(200)


def _body() -> bytes:
    """Return the body as it was before it was compressed. Raises MalformedError, OversizeError."""
    request.max_content_length = MAX_BODY
    encoding = request.headers.get("Content-Encoding", "identity").strip().casefold()
    if encoding not in ("identity", "gzip", ""):
        raise MalformedError("the body is compressed in a way that is not read", remedy="use gzip")
    try:
        raw = request.get_data(cache=False)
        return unzipped(raw, MAX_BODY) if encoding == "gzip" else raw
    except RequestEntityTooLarge:
        raise OversizeError(f"a request has at most {MAX_BODY:,} bytes") from None
    except DocumentError as error:
        raise _as_refusal(error) from None


def _told(body: bytes, kind: str | None) -> dict[str, Any]:
    if kind and len(body) > MAX_EVENT:
        raise OversizeError(f"an event has at most {MAX_EVENT:,} bytes")
    try:
        told = read_document(body)
    except DocumentError as error:
        raise _as_refusal(error) from None
    if not isinstance(told, dict):
        raise MalformedError("the body is no JSON object")
    if kind is None:
        events = told.get("batch")
        if not isinstance(events, list):
            raise MalformedError("a batch is a list of events", field="batch")
        if len(events) > MAX_EVENTS:
            raise OversizeError(f"a batch has at most {MAX_EVENTS:,} events", field="batch")
    return told


def _as_refusal(error: DocumentError) -> InvalidError:
    kind = OversizeError if isinstance(error, TooLargeError) else MalformedError
    return kind(str(error))


def _key_text(told: Mapping[str, Any]) -> str:
    """Return the write key: the user of Basic, or `writeKey` in the body."""
    basic = request.authorization
    if basic is not None and basic.type == "basic" and basic.username:
        return str(basic.username)
    text = told.get("writeKey")
    if not isinstance(text, str) or not text:
        raise UnauthenticatedError(
            "there is no write key", remedy="send it as the user of Basic, or as writeKey"
        )
    return text


def _note(desk: Desk, key: WriteKey, drop: Drop) -> None:
    whole = desk.tally.add(drop)
    if whole is not None:
        with write(desk.services.sessions) as session:
            note_drops(session, desk.services.clock, client_id=key.client_id, drops=[whole])


def _answer(status: int, code: str = "", message: str = "", **headers: str) -> Response:
    told: dict[str, Any] = (
        {"success": True} if status == 200 else {"code": code, "message": message}
    )
    response = jsonify(told)
    response.status_code = status
    response.headers.update(headers)
    return response


def _too_many(wait: int) -> Response:
    headers = {"Retry-After": str(wait), "X-RateLimit-Reset": str(wait)}
    return _answer(429, "rate_limited", "more a second than this key may tell", **headers)


def _refused(error: EngineError) -> Response:
    message = f"{error}: {error.remedy}" if error.remedy else str(error)
    return _answer(error.status, error.code, message)


def _misdirected(error: HTTPException) -> Response:
    return _answer(error.code or 400, "invalid_request", error.name)


def _database_away(error: Exception) -> Response:
    """Ask the library to come again: nothing was stored."""
    _log.warning("events not stored", reason=type(error).__name__)
    headers = {"Retry-After": RETRY_AFTER}
    return _answer(503, "unavailable", "nothing was stored, come again", **headers)
