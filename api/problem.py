"""Errors as RFC 9457 problem documents: the only place where errors meet HTTP.

`errors` points at what is wrong (`pointer`, a JSON pointer into the body, or the name of a query
parameter or header; "" is the whole) and says what to do (`remedy`). None is without either. What
the framework refuses has the codes of our own errors: Python's names for statuses change.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import chain, islice
from typing import Any

from flask import Flask, Response, json, request
from sqlalchemy.exc import IntegrityError, OperationalError
from werkzeug.exceptions import HTTPException

from api.refusal import refusals
from campaigns.errors import BlockedError
from core.errors import (
    ConflictError,
    EngineError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from core.log import get

log = get(__name__)
TYPE = "application/problem+json"
MOST_ERRORS = 1_000
"""More are not told: what is wrong a million times would take a minute to say."""
FOUND: dict[int, tuple[str, str | None, str]] = {
    400: ("bad_request", None, "send JSON that a parser takes, as /api/v1/openapi.json has it"),
    404: (
        NotFoundError.code,
        "there is nothing at this address",
        "/api/v1/openapi.json lists what there is",
    ),
    405: (
        "method_not_allowed",
        "this address takes other methods",
        "use one of {allowed}",
    ),
    413: ("too_large", "the body is too large", "send 4 MiB at most, in parts; a file 1 GiB"),
    415: ("unsupported_media_type", None, "send it, and name it in the header `Content-Type`"),
    422: (InvalidError.code, None, InvalidError.usual),
}
"""What we say of what the framework finds, in its place: code, detail where it has none, remedy."""
TITLES = {one.code: one("").title for one in (NotFoundError, InvalidError)}
"""Of one code there is one title, whoever finds the fault."""
HEADER_FIELDS = frozenset({"Authorization", "Origin", "X-Client", "X-CSRF-Token"})


def document(
    status: int, *, code: str, title: str, detail: str, errors: Sequence[Mapping[str, Any]]
) -> Response:
    """Return a problem document; each of `errors` has `pointer`, `detail` and `remedy`."""
    body: dict[str, Any] = {
        "type": f"urn:echelonx:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail,
        "errors": errors,
    }
    return Response(json.dumps(body, ensure_ascii=False), status, mimetype=TYPE)


def expected(error: EngineError) -> Response:
    """Render an error of ours."""
    if isinstance(error, BlockedError):
        errors = [
            {"pointer": pointer(f.field), "detail": f.message, "code": f.code, "remedy": f.remedy}
            for f in error.findings
        ]
    else:
        remedy = error.remedy or error.usual
        one: dict[str, Any] = whole(str(error), remedy) | {"pointer": pointer(error.field)}
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
    path = _path(field)
    if field in HEADER_FIELDS:
        return f"header:{path}"
    return f"query:{path}" if field in request.args else path


def _sent(field: str) -> str:
    """Return the name under which a body has it: a rule in words is its `text`, or its `match`."""
    if field != "rule":
        return field
    body = request.get_json(silent=True)
    given = body if isinstance(body, dict) else {}
    return next((name for name in (field, "text", "match") if name in given), field)


def _path(field: str) -> str:
    return "/" + _sent(field).replace(".", "/").lstrip("/")


def of_one(error: EngineError, at: str) -> dict[str, Any]:
    """Return what is wrong with one of many, in the words of a problem; `at` is its place."""
    return _told(error, at + (_path(error.field) if error.field else ""))


def of_named(error: EngineError, id: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is wrong with one of a body's `ids`: a field of its `changes`, or the thing."""
    path = _path(error.field or "")
    if path.split("/")[1] in body.get("changes", ()):
        return _told(error, f"/changes{path}")
    return _told(error, f"/ids/{body['ids'].index(id)}")


def _told(error: EngineError, at: str) -> dict[str, Any]:
    return {
        "code": error.code,
        "pointer": at,
        "detail": str(error),
        "remedy": error.remedy or error.usual,
    }


def whole(detail: str, remedy: str) -> dict[str, Any]:
    """Return what is wrong with a request as a whole."""
    return {"pointer": "", "detail": detail, "remedy": remedy}


def http(error: HTTPException) -> Response:
    """Render an error of the web framework."""
    status = error.code or 500
    data: Mapping[str, Any] = getattr(error, "data", None) or {}
    told = data.get("errors") or data.get("messages") or {}
    schema = data.get("schema")
    found = (refusals(messages, _root(place), schema) for place, messages in told.items())
    errors = list(islice(chain.from_iterable(found), MOST_ERRORS))
    phrase = HTTPStatus(status).phrase
    code, said, remedy = FOUND.get(status, (f"http_{status}", None, EngineError.usual))
    allowed = error.get_response().headers.get("Allow")
    advice = remedy.format(allowed=allowed)
    errors = errors or [whole(said or error.description or phrase, advice)]
    response = document(
        status,
        code=code,
        title=TITLES.get(code, phrase),
        detail=str(data.get("message") or errors[0]["detail"]),
        errors=errors,
    )
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
        return expected(UnavailableError("the database is away"))

    @app.errorhandler(IntegrityError)
    def raced(error: IntegrityError) -> Response:
        # Names and keys are looked up before they are written; two at once get past that.
        log.warning("two requests at once", kind=type(error.orig).__name__)
        return expected(
            ConflictError(
                "another request changed the same thing at the same time", remedy="try again"
            )
        )

    @app.errorhandler(500)
    def bug(error: HTTPException) -> Response:
        log.error(
            "unhandled error", error=type(getattr(error, "original_exception", error)).__name__
        )
        detail = "this is our fault"
        return document(
            500,
            code="internal",
            title="Internal Server Error",
            detail=detail,
            errors=[whole(detail, EngineError.usual)],
        )
