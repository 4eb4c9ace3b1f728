"""UserSearch: which users' names or email hold some words.

PostgreSQL finds what few hold by the parts of three letters that an index keeps of each user; what
many hold it meets soon enough in the order of the list. SQLite, which serves few users, reads all.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    DDL,
    ColumnElement,
    Index,
    Select,
    Text,
    case,
    cast,
    event,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
    union_all,
)
from sqlalchemy.orm import Session, aliased
from sqlalchemy.schema import ExecutableDDLElement

from accounts.user import ClientRole, User
from core.db import is_sqlite

MAX_WORDS = 4
LOOKED_AT = 1_000
"""Users that tell whether many hold a word."""
PART = 3
FUNCTION = """
CREATE OR REPLACE FUNCTION user_parts(words text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(DISTINCT substr(words, place, size))
    FROM generate_series(1, length(words)) place, generate_series(2, 3) size
$$
"""
PARTS = "user_parts((lower(coalesce(full_name, '')) || ' ') || email)"
for made in (
    Index("ix_users_parts", text(PARTS), postgresql_using="gin"),
    Index(
        "ix_users_name_begins",
        func.lower(User.full_name).label("name"),
        postgresql_ops={"name": "text_pattern_ops"},
    ),
):
    made.ddl_if(dialect="postgresql")
    User.__table__.append_constraint(made)  # type: ignore[attr-defined]


def met(words: str, of: Any = User) -> list[ColumnElement[bool]]:
    """Return, for each of some words, whether a name or the email holds it."""
    return [
        or_(
            func.lower(of.full_name).contains(word, autoescape=True),
            of.email.contains(word, autoescape=True),
        )
        for word in split(words)
    ]


def split(words: str) -> list[str]:
    """Return the words that are looked for."""
    return words.lower().split()[:MAX_WORDS]


def holding(
    session: Session, client_id: int | None, words: str, *, enough: int
) -> list[ColumnElement[bool]]:
    """Return what users hold all the words, so that an index answers it where few do."""
    found = met(words)
    if not found or is_sqlite(session) or _many(session, client_id, words, enough):
        return found
    parts = sorted({part for word in split(words) for part in _parts(word)})
    if not parts:
        return found
    held = literal_column(PARTS, ARRAY(Text)).bool_op("@>")(cast(parts, ARRAY(Text)))
    # Read first, whatever the order of the list: PostgreSQL would rather walk all users.
    few = select(User.id).where(held).cte("few").prefix_with("MATERIALIZED", dialect="postgresql")
    return [*found, User.id.in_(select(few.c.id))]


def best(
    session: Session, client_id: int | None, alive: Select[Any], plain: str, *, limit: int
) -> Sequence[User]:
    """Return up to `limit` of the users who hold the words of a search, the best first."""
    tests = (
        User.email == plain,
        User.email.startswith(plain, autoescape=True),
        func.lower(User.full_name).startswith(plain, autoescape=True),
    )
    order = case(*[(test, place) for place, test in enumerate(tests)], else_=len(tests))
    found = met(plain)
    query = alive.order_by(order, User.id).limit(limit)
    if is_sqlite(session) or not _many(session, client_id, plain, limit):
        given = holding(session, client_id, plain, enough=limit)
        return session.scalars(query.where(*given)).all()
    # Many hold it: the first of each kind, each by its own index, are enough to choose from.
    kinds = [alive.where(*found, test) for test in (*tests, true())]
    first = [kind.with_only_columns(User.id).order_by(User.id).limit(limit) for kind in kinds]
    ids = union_all(*(select(one.subquery().c.id) for one in first))
    return session.scalars(query.where(User.id.in_(ids))).all()


def _parts(word: str) -> list[str]:
    """Return the parts of a word that the index knows; none of a single letter."""
    size = min(len(word), PART)
    return [word[at : at + size] for at in range(len(word) - size + 1)] if size > 1 else []


def _many(session: Session, client_id: int | None, words: str, enough: int) -> bool:
    """Return whether enough of the first users hold the words; those alone are read."""
    first, key = select(User), User.id
    if client_id is not None:
        key = ClientRole.user_id
        first = first.join(ClientRole, key == User.id).where(ClientRole.client_id == client_id)
    one = aliased(User, first.order_by(key).limit(LOOKED_AT).subquery())
    query = select(one.id).where(*met(words, one)).limit(enough)
    return len(session.scalars(query).all()) >= enough


function: ExecutableDDLElement = DDL(FUNCTION)  # type: ignore[no-untyped-call]
event.listen(User.__table__, "before_create", function.execute_if(dialect="postgresql"))
