"""Errors as RFC 9457 problem documents: the only place where errors meet HTTP.

`errors` points at what is wrong (`pointer`, a JSON pointer into the body, or the name of a query
parameter or header) and says what to do (`remedy`).
"""

from collections.abc import Mapping
from http import HTTPStatus
from itertools import chain, islice
from typing import Any

from flask import Flask, Response, json, request
from sqlalchemy.exc import IntegrityError, OperationalError
from werkzeug.exceptions import HTTPException

from api.refusal import refusals
from campaigns.errors import BlockedError
from core.errors import EngineError
from core.log import get

log = get(__name__)
TYPE = "application/problem+json"
MOST_ERRORS = 1_000
"""More are not told: what is wrong a million times would take a minute to say."""
ADVICE = {
    404: ("there is nothing at this address", "/api/v1/openapi.json lists what there is"),
    405: ("this address takes other methods", "use one that this answer's Allow names"),
}
"""What we say of what the framework finds, in its place."""
HEADER_FIELDS = frozenset({"Authorization", "Origin", "X-Client", "X-CSRF-Token"})


def document(
    status: int, *, code: str, title: str, detail: str, errors: list[dict[str, Any]] | None = None
) -> Response:
    """Return a problem document."""
    body: dict[str, Any] = {
        "type": f"urn:echelonx:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    return Response(json.dumps(body), status, mimetype=TYPE)


def expected(error: EngineError) -> Response:
    """Render an error of ours."""
    errors: list[dict[str, Any]] = []
    if isinstance(error, BlockedError):
        errors = [
            {"pointer": pointer(f.field), "detail": f.message, "code": f.code, "remedy": f.remedy}
            for f in error.findings
        ]
    elif error.field is not None or error.remedy is not None:
        one = {"pointer": pointer(error.field), "detail": str(error), "remedy": error.remedy}
        one |= {"line": getattr(error, "line", None), "column": getattr(error, "column", None)}
        errors = [{name: value for name, value in one.items() if value is not None}]
    response = document(
        error.status, code=error.code, title=error.title, detail=str(error), errors=errors
    )
    if error.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="echelonx"'
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def pointer(field: str | None) -> str:
    """Return where a field is: a JSON pointer, or `query:/…` or `header:/…`; "" is the whole."""
    if field is None:
        return ""
    if field.startswith(("query:/", "header:/")):
        return field
    path = "/" + field.replace(".", "/").lstrip("/")
    if field in HEADER_FIELDS:
        return f"header:{path}"
    return f"query:{path}" if field in request.args else path


def http(error: HTTPException) -> Response:
    """Render an error of the web framework."""
    status = error.code or 500
    data: Mapping[str, Any] = getattr(error, "data", None) or {}
    told = data.get("errors") or data.get("messages") or {}
    whole = data.get("schema")
    found = (refusals(messages, _root(place), whole) for place, messages in told.items())
    errors = list(islice(chain.from_iterable(found), MOST_ERRORS))
    if not errors and status in ADVICE:
        detail, remedy = ADVICE[status]
        errors = [{"pointer": "", "detail": detail, "remedy": remedy}]
    first = errors[0]["detail"] if errors else error.description or ""
    response = document(
        status,
        code=HTTPStatus(status).name.lower(),
        title=HTTPStatus(status).phrase,
        detail=str(data.get("message") or first),
        errors=errors,
    )
    allowed = error.get_response().headers.get("Allow")
    if allowed:
        response.headers["Allow"] = allowed
    return response


def _root(place: str) -> str:
    return "" if place in ("json", "files", "form") else f"{place}:"


def install(app: Flask) -> None:
    """Make `app` answer errors under /api as problem documents."""

    @app.errorhandler(EngineError)
    def engine_error(error: EngineError) -> Response:
        return expected(error)

    @app.errorhandler(OperationalError)
    def database_away(error: OperationalError) -> Response:
        log.error("database error", kind=type(error.orig).__name__)
        response = document(
            503, code="unavailable", title="Service Unavailable", detail="the database is away"
        )
        response.headers["Retry-After"] = "30"
        return response

    @app.errorhandler(IntegrityError)
    def raced(error: IntegrityError) -> Response:
        # Names and keys are looked up before they are written; two at once get past that.
        log.warning("two requests at once", kind=type(error.orig).__name__)
        return document(
            409,
            code="conflict",
            title="The request is well formed, but the present state forbids it.",
            detail="another request changed the same thing at the same time; try again",
        )

    @app.errorhandler(500)
    def bug(error: HTTPException) -> Response:
        log.error(
            "unhandled error", error=type(getattr(error, "original_exception", error)).__name__
        )
        return document(
            500, code="internal", title="Internal Server Error", detail="this is our fault"
        )
