"""Errors that may reach a caller: each class carries its HTTP status and a stable code.

An error says what is wrong (its message), where (`field`, a JSON pointer or a column name), and
what to do about it (`remedy`). Whatever is not an EngineError is a bug: it is logged with its
traceback and becomes a 500.

    EngineError
      InvalidError 422 · NotFoundError 404 · GoneError 410 · ConflictError 409
      ForbiddenError 403 · UnauthenticatedError 401 · RateLimitedError 429 · UnavailableError 503
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class EngineError(Exception):
    """Base of every expected error. The first line of a subclass's docstring is its title."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    usual: ClassVar[str] = "try again; if it stays so, tell an operator"
    """What to do about it where nothing nearer is told."""
    retry_after: int | None = None
    """Seconds after which the same may work."""

    def __init__(
        self, message: str, *, field: str | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(message)
        self.field = field
        self.remedy = remedy

    @property
    def title(self) -> str:
        """One fixed sentence about this kind of error."""
        return (type(self).__doc__ or type(self).__name__).partition("\n")[0]


class InvalidError(EngineError):
    """What was sent cannot be accepted as it is."""

    status = 422
    code = "invalid"
    usual = "change what is named here, and send it again"


class NotFoundError(EngineError):
    """The thing asked for does not exist, or not for this client."""

    status = 404
    code = "not_found"
    usual = "list what there is, and use an id of that list: what is another client's is not in it"


class GoneError(EngineError):
    """The thing asked for was here, and is no longer kept."""

    status = 410
    code = "gone"
    usual = "ask for another one"


class ConflictError(EngineError):
    """The request is well formed, but the present state forbids it."""

    status = 409
    code = "conflict"
    usual = "read it again, and decide by what is there now"


class UnauthenticatedError(EngineError):
    """The caller did not prove who they are."""

    status = 401
    code = "unauthenticated"
    usual = "sign in, or send an API key"


class ForbiddenError(EngineError):
    """The caller is known and may not do this."""

    status = 403
    code = "forbidden"
    usual = "ask another admin to do it, or to let you"


class RateLimitedError(EngineError):
    """Too many requests in too short a time."""

    status = 429
    code = "rate_limited"
    usual = "wait for as long as Retry-After says"


class UnavailableError(EngineError):
    """Something this request needs is not there right now."""

    status = 503
    code = "unavailable"
    usual = "try again after as long as Retry-After says"
    retry_after = 30


@contextmanager
def within(place: str) -> Iterator[None]:
    """Name `place`, where what is looked at was given, in the field of errors raised inside."""
    try:
        yield
    except EngineError as error:
        error.field = f"{place}/{error.field.lstrip('/')}" if error.field else place
        raise
