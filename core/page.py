"""Page and cursors: one way to walk a long list, by key and never by offset.

A cursor is base64url of the last row's sort values as JSON. It is not signed, because it only says
where to go on; what may be seen is decided by the query.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, literal, tuple_

from core.errors import InvalidError

T = TypeVar("T")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
MAX_CURSOR = 1024


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and where the next ones start; `next_cursor` is None on the last page."""

    items: Sequence[T]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Span:
    """A time that rows of a list must lie in: from `since`, and before `until`."""

    column: str
    since: datetime | None = None
    until: datetime | None = None

    def over(self, query: Select[Any], model: Any) -> Select[Any]:
        """Return the rows of a query over `model` that lie in it."""
        column = getattr(model, self.column)
        if self.since is not None:
            query = query.where(column >= self.since)
        if self.until is not None:
            query = query.where(column < self.until)
        return query


@dataclass(frozen=True, slots=True)
class Walk:
    """The way through a list: by a column that is never NULL, then by id, up or down."""

    column: str = "id"
    descending: bool = False
    edge: tuple[Any, ...] | None = None
    """Where to go on: the keys of the last row that was seen."""
    spans: tuple[Span, ...] = ()
    """Only rows of these times."""

    def keys(self, row: Any) -> tuple[Any, ...]:
        """Return what a row is sorted by."""
        return (row.id,) if self.column == "id" else (getattr(row, self.column), row.id)

    def over(self, query: Select[Any], model: Any, limit: int) -> Select[Any]:
        """Return the next `limit` rows of a query over `model`."""
        keys = self.keys(model)
        for span in self.spans:
            query = span.over(query, model)
        if self.edge is not None:
            query = query.where(_beyond(keys, self.edge, self.descending))
        order = [key.desc() if self.descending else key for key in keys]
        return query.order_by(*order).limit(limit)


OLDEST, NEWEST = Walk(), Walk(descending=True)


def _beyond(keys: tuple[Any, ...], edge: tuple[Any, ...], descending: bool) -> ColumnElement[bool]:
    """Return what comes after the edge, as one comparison of rows: an index then starts there."""
    pairs = zip(keys, edge, strict=True)
    row, last = tuple_(*keys), tuple_(*[literal(value, key.type) for key, value in pairs])
    further: ColumnElement[bool] = row < last if descending else row > last
    return further


def encode_cursor(*values: str | float | bool | datetime | None) -> str:
    """Return the cursor of the row with these sort values; instants travel as ISO 8601."""
    plain = [value.isoformat() if isinstance(value, datetime) else value for value in values]
    text = json.dumps(plain, separators=(",", ":"), ensure_ascii=False)
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode("ascii")


def decode_cursor(text: str) -> list[Any]:
    """Return the sort values of a cursor. Raises InvalidError with field `cursor`."""
    values: object = None
    if len(text) <= MAX_CURSOR and text.isascii():
        try:
            values = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (Base64Error, ValueError, RecursionError):
            values = None
    if not isinstance(values, list) or not all(_scalar(value) for value in values):
        raise InvalidError(
            "this is not a cursor we gave",
            field="cursor",
            remedy="take next_cursor from the page before, unchanged, or leave it out",
        )
    return values


def limited(limit: int) -> int:
    """Return `limit` when it is from 1 to 200. Raises InvalidError with field `limit`."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidError(
            f"limit must be from 1 to {MAX_LIMIT}", field="limit", remedy="ask for smaller pages"
        )
    return limit


def page_of(rows: Sequence[T], limit: int, cursor: Callable[[T], str]) -> Page[T]:
    """Make a page from up to `limit` + 1 rows: the extra row only says that there is more."""
    if len(rows) <= limit:
        return Page(rows, None)
    items = rows[:limit]
    return Page(items, cursor(items[-1]))


def _scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)
