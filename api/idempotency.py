"""Idempotency-Key: a write that is sent again under its key is answered again and not done again.

The answer is stored in the transaction of what the request wrote (accounts/idempotency.py); what
holds for the key of one request is settled here, once, for every route.
"""

import hashlib
from collections.abc import Iterator
from contextlib import suppress

from flask import Flask, g, request
from flask.wrappers import Response

from accounts.idempotency import (
    FIELD,
    Answer,
    Asked,
    IdempotencyKeyBusyError,
    Try,
    free,
    reserve,
    settle,
)
from api import problem
from api.context import clock, db, principal, services
from api.openapi import READS
from core.db import write
from core.errors import InvalidError

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MAX_LENGTH = 255
KEPT_HEADERS = ("Content-Type", "ETag", "Location")
STATE_OF_THE_MOMENT = frozenset({401, 403, 408, 409, 412, 429})
"""Refusals that the same request may not meet again: nothing was written, and none is kept."""
PART = 1 << 16


def install(app: Flask) -> None:
    """Take the key before a write is looked at, and settle it with what was written."""

    @app.before_request
    def take() -> Response | None:
        key = _given()
        if key is None:
            return None
        who = principal()
        asked = Asked(who.client_id or 0, who.actor, key, _fingerprint())
        with write(services().sessions) as session:
            found = reserve(session, clock(), services().vault, asked)
        if isinstance(found, Answer):
            return Response(found.body, found.status, {**found.headers, REPLAYED: "true"})
        g.idempotent_try = found
        return None

    @app.after_request
    def store(response: Response) -> Response:
        mine: Try | None = g.pop("idempotent_try", None)
        if mine is None:
            return response
        if response.status_code < 400:
            return _stored_with_its_writes(mine, response)
        db().rollback()
        with suppress(IdempotencyKeyBusyError), write(services().sessions) as session:
            if response.status_code >= 500 or response.status_code in STATE_OF_THE_MOMENT:
                free(session, mine)
            else:
                settle(session, services().vault, mine, _answer(response))
        return response


def _stored_with_its_writes(mine: Try, response: Response) -> Response:
    """Store the answer in the request's transaction; where others have the key, undo it all."""
    try:
        settle(db(), services().vault, mine, _answer(response))
    except IdempotencyKeyBusyError as error:
        db().rollback()
        return problem.expected(error)
    return response


def _answer(response: Response) -> Answer:
    kept = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    return Answer(response.status_code, response.get_data(), kept)


def _given() -> str | None:
    """Return the request's key, if it has one and writes. Raises InvalidError."""
    if request.method in READS or "principal" not in g:
        return None
    key = request.headers.get(HEADER)
    if key is not None and not (0 < len(key) <= MAX_LENGTH and key.isascii() and key.isprintable()):
        raise InvalidError(
            f"an idempotency key is 1 to {MAX_LENGTH} printable ASCII characters",
            field=FIELD,
            remedy="make one with a UUID, and send it again with every retry",
        )
    return key


def _fingerprint() -> bytes:
    """Return what tells this request from every other."""
    seen = hashlib.sha256()
    for part in (request.method, request.path, request.query_string.decode("latin-1")):
        seen.update(f"{len(part)}:{part}".encode())
    for chunk in _content():
        seen.update(chunk)
    return seen.digest()


def _content() -> Iterator[bytes]:
    """Give the body in pieces: a form's parts, since the boundary is another with every try."""
    if request.mimetype != "multipart/form-data":
        yield request.get_data()
        return
    for name, values in sorted(request.form.lists()):
        yield repr((name, values)).encode()
    for name, file in sorted(request.files.items(multi=True), key=lambda item: item[0]):
        yield repr((name, file.filename)).encode()
        # Werkzeug keeps what is large in a file of its own; it is read once more, never whole.
        while chunk := file.stream.read(PART):
            yield chunk
        file.stream.seek(0)
