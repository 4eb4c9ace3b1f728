"""Everything stored about a client, by table: to count it, and to hand it over.

What is a client's is found by the column `client_id`, so a table that is added tomorrow is in it.
Secrets are left out by what they are: encrypted bytes, and columns named like a secret.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Column, Date, Enum, LargeBinary, String, Table, func, select
from sqlalchemy.orm import Session

from core.db import Base

SECRET = re.compile(r"(^|_)(hash|digest|token|secret|password)($|_)").search
"""Columns that are never handed over: what proves something, and what is kept hashed."""
PEOPLE = frozenset(
    {"audit_log", "bulk_edits", "clients", "communication_events", "duplicates", "dropped_events",
     "import_rejects", "members", "merges", "suppressions"}
)  # fmt: skip
"""Tables about people beside those whose rows name a member or a user."""
WHO = frozenset({"member_id", "user_id"})
BLOCK = 1_000
"""Rows fetched at once."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One table's part that is a client's."""

    table: str
    columns: tuple[str, ...]
    personal: tuple[str, ...]
    """Those of the columns that may hold personal data: in a table about people, whatever is no
    number, instant or word of ours."""
    rows: Iterator[Mapping[str, Any]]
    """Read while it is walked, in the order of the primary key."""


def stored(session: Session, client_id: int) -> Iterator[Stored]:
    """Give every table with rows of the client's, one after the other; walk each before the next.

    Memory holds a block of rows at a time, however many there are.
    """
    for table in Base.metadata.sorted_tables:
        owner = _owner(table)
        if owner is None:
            continue
        columns = [column for column in table.columns if not _secret(column)]
        query = select(*columns).where(owner == client_id).order_by(*table.primary_key)
        result = session.execute(query, execution_options={"yield_per": BLOCK})
        names = tuple(column.name for column in columns)
        personal = tuple(column.name for column in columns if _personal(table, column))
        with closing(result):
            yield Stored(table.name, names, personal, (dict(row) for row in result.mappings()))


def stored_rows(session: Session, client_id: int) -> dict[str, int]:
    """Count a client's rows in every table that has some: one statement."""
    owners = {
        table.name: owner
        for table in Base.metadata.sorted_tables
        if (owner := _owner(table)) is not None
    }
    counts = [
        select(func.count()).where(owner == client_id).scalar_subquery().label(name)
        for name, owner in owners.items()
    ]
    row = session.execute(select(*counts)).one()
    return {name: many for name, many in zip(owners, row, strict=True) if many}


def _owner(table: Table) -> Column[Any] | None:
    """Return the column that says whose a table's rows are; None for tables of nobody's."""
    return table.columns.get("client_id", table.c.id if table.name == "clients" else None)


def _personal(table: Table, column: Column[Any]) -> bool:
    about_people = table.name in PEOPLE or any(column.name in WHO for column in table.columns)
    told = isinstance(column.type, String | JSON | Date) and not isinstance(column.type, Enum)
    return about_people and told


def _secret(column: Column[Any]) -> bool:
    return isinstance(column.type, LargeBinary) or SECRET(column.name) is not None
