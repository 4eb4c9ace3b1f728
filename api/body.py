"""Body: what callers send, read strictly, before any schema sees it.

JSON allows more than a database can hold or a person can mean: NaN, numbers of a thousand digits,
NUL characters, half a surrogate pair. They are refused here once, with their place (B095).
"""

import json
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, NoReturn

from flask import Flask, request
from werkzeug.exceptions import BadRequest

from core.errors import InvalidError

MAX_JSON = 4 << 20
MAX_UPLOAD = 1 << 30
UPLOADS = frozenset({"/api/v1/imports"})
"""Where files are taken."""
MAX_NUMBER = 2**63 - 1
"""The largest whole number a database column holds."""


def install(app: Flask) -> None:
    """Refuse what cannot be read (400), and what is too large before it is read (413)."""

    @app.before_request
    def limit() -> None:
        if not request.query_string.isascii():
            raise BadRequest("an address is ASCII: other characters are written as %C3%A9")
        if request.path.startswith("/api/"):
            request.max_content_length = MAX_UPLOAD if request.path in UPLOADS else MAX_JSON


def without_query(view: Callable[..., Any]) -> Any:
    """Return a view that refuses every parameter in its address: it reads none."""

    @wraps(view)
    def checked(*args: Any, **given: Any) -> Any:
        for name in request.args:
            raise InvalidError(
                f"there is no parameter {name[:80]} here",
                field=f"query:/{name[:80]}",
                remedy="leave it out",
            )
        return view(*args, **given)

    return checked


def parsed(raw: bytes | str) -> Any:
    """Return JSON as values. Raises BadRequest (400), or InvalidError with the pointer."""
    try:
        value = json.loads(raw, parse_constant=_not_a_number)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"the body is not JSON: look at {place}") from None
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    check(value)
    return value


def check(value: Any) -> None:
    """Raise InvalidError for a value that no database holds, however deep it lies."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, one = waiting.pop()
        if isinstance(one, dict):
            check_text(path, one.keys())
            waiting += [(f"{path}/{name}", inner) for name, inner in one.items()]
        elif isinstance(one, list):
            waiting += [(f"{path}/{number}", inner) for number, inner in enumerate(one)]
        elif isinstance(one, str):
            check_text(path, (one,))
        elif isinstance(one, int | float) and not -MAX_NUMBER <= one <= MAX_NUMBER:
            raise InvalidError("this number is too large", field=path, remedy="send it as text")


def check_text(path: str, texts: Iterable[str]) -> None:
    """Raise InvalidError for text with a NUL or half a surrogate pair."""
    for text in texts:
        if "\x00" in text or not (text.isascii() or _is_unicode(text)):
            raise InvalidError(
                "this text holds a character that is none",
                field=path,
                remedy="remove NUL characters and unpaired surrogates",
            )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _not_a_number(word: str) -> NoReturn:
    raise ValueError(word)
