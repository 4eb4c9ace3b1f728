"""Paging: a query's rows as an envelope with a cursor (keyset, never an offset)."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from flask import g

from core.errors import InvalidError
from core.page import decode_cursor, encode_cursor, page_of

T = TypeVar("T")


def paged(
    query: dict[str, Any], rows: Callable[[int | None, int], Sequence[T]], key: Callable[[T], int]
) -> dict[str, Any]:
    """Return the page that `query` (`limit`, `cursor`) asks for.

    `rows(edge, limit)` gives rows beyond id `edge`; one more than the page shows whether it ends.
    """
    limit = query["limit"]
    found = rows(_edge(query["cursor"]), limit + 1)
    page = page_of(found, limit, lambda row: encode_cursor(key(row)))
    g.rows = len(page.items)
    return {"data": page.items, "next_cursor": page.next_cursor}


def _edge(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    values = decode_cursor(cursor)
    if len(values) != 1 or type(values[0]) is not int or not 0 <= values[0] < 2**63:
        raise InvalidError(
            "this is not a cursor of this list", field="cursor", remedy="start without a cursor"
        )
    return int(values[0])


def all_of(rows: Sequence[Any]) -> dict[str, Any]:
    """Return a list that is always short as the one page it fits on."""
    g.rows = len(rows)
    return {"data": rows, "next_cursor": None}


def by_id(row: Any) -> int:
    """Return a row's id: what lists are sorted by."""
    return int(row.id)
