"""Paging: a query's rows as an envelope with a cursor (keyset, never an offset)."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from flask import g

from api import body
from core.db import UtcDateTime
from core.errors import InvalidError
from core.page import Page, Span, Walk, decode_cursor, encode_cursor, page_of

T = TypeVar("T")


def itself(row: Any) -> Any:
    """Return a row that is its own model."""
    return row


def paged(
    query: dict[str, Any], rows: Callable[[int | None, int], Sequence[T]], key: Callable[[T], int]
) -> dict[str, Any]:
    """Return the page that `query` (`limit`, `cursor`) asks for.

    `rows(edge, limit)` gives rows beyond id `edge`; one more than the page shows whether it ends.
    """
    limit = query["limit"]
    found = rows(_edge(query["cursor"]), limit + 1)
    page = page_of(found, limit, lambda row: encode_cursor(key(row)))
    return _told(page)


def merged_page(
    query: dict[str, Any],
    ways: Sequence[str],
    rows: Callable[[dict[str, int], int], Sequence[T]],
    key: Callable[[T], tuple[str, int]],
) -> dict[str, Any]:
    """Return the page that `query` asks for of a list merged from several, each by its own ids.

    `key` says from which of `ways` a row is, and its id there. `rows(edges, limit)` gives rows
    beyond the ids that a cursor holds, one for each way from which there was a row.
    """
    limit = query["limit"]
    edges = _edges(query["cursor"], ways)
    found = rows(dict(edges), limit + 1)
    edges |= dict(map(key, found[:limit]))
    return _told(page_of(found, limit, lambda _: encode_cursor(*map(edges.get, ways))))


def _edges(cursor: str | None, ways: Sequence[str]) -> dict[str, int]:
    if cursor is None:
        return {}
    values = decode_cursor(cursor)
    if len(values) != len(ways) or not all(one is None or _is_id(one) for one in values):
        raise _foreign()
    return {way: one for way, one in zip(ways, values, strict=True) if one is not None}


def sorted_page(
    query: dict[str, Any],
    model: Any,
    rows: Callable[[Walk, int], Sequence[T]],
    of: Callable[[T], Any] = itself,
) -> dict[str, Any]:
    """Return the page that `query` (`limit`, `cursor`, `sort`, spans) asks for of `model`s.

    A cursor holds the sort, the column's value and the id, so that it only goes on in its order.
    `of` takes the model out of a row.
    """
    sort, limit = query["sort"], query["limit"]
    column = sort.removeprefix("-")
    dated = isinstance(model.__table__.c[column].type, UtcDateTime)
    place = _place(query["cursor"], sort, dated=dated)
    walk = Walk(column, sort.startswith("-"), place, tuple(_spans(query)))
    mark = () if column == "id" else (sort,)
    found = rows(walk, limit + 1)
    page = page_of(found, limit, lambda row: encode_cursor(*mark, *walk.keys(of(row))))
    return _told(page)


def _spans(query: dict[str, Any]) -> Iterator[Span]:
    for name in ("created", "updated"):
        since, until = query.get(f"{name}_since"), query.get(f"{name}_until")
        if since is not None or until is not None:
            yield Span(f"{name}_at", since, until)


def _told(page: Page[Any]) -> dict[str, Any]:
    """Return a page as its envelope; the audit log is told how many rows were shown."""
    g.rows = len(page.items)
    return {"data": page.items, "next_cursor": page.next_cursor}


def _place(cursor: str | None, sort: str, *, dated: bool) -> tuple[Any, ...] | None:
    if cursor is None:
        return None
    if sort in ("id", "-id"):
        return (_edge(cursor),)
    values = decode_cursor(cursor)
    if len(values) == 3 and values[0] == sort and isinstance(values[1], str):
        body.check_text("cursor", values[1:2])
        value = _instant(values[1]) if dated else values[1]
        if value is not None and _is_id(values[2]):
            return value, values[2]
    raise _foreign()


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.utcoffset() is not None else None
    except (ValueError, OverflowError):
        return None


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _foreign() -> InvalidError:
    return InvalidError(
        "this is not a cursor of this list in this order",
        field="cursor",
        remedy="start without a cursor",
    )


def _edge(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    values = decode_cursor(cursor)
    if len(values) != 1 or not _is_id(values[0]):
        raise _foreign()
    return int(values[0])


def all_of(rows: Sequence[Any]) -> dict[str, Any]:
    """Return a list that is always short as the one page it fits on."""
    g.rows = len(rows)
    return {"data": rows, "next_cursor": None}


def by_id(row: Any) -> int:
    """Return a row's id: what lists are sorted by."""
    return int(row.id)
