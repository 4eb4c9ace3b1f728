"""Search: members by the beginning of a name, an email address, a number, an id or a tag.

Every step reads a few hundred entries of one index, so a search costs the same among a thousand and
among a million members. A word that nobody's name begins with is tried again with one letter
changed, left out, added or swapped: a few hundred exact look-ups, which need no further index and
no extension, and find the same on both databases.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, exists, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.address import AddressError, normalise_phone
from core.db import is_sqlite
from core.rows import among, table
from members.address import MemberAddress
from members.member import Member, MemberTag

M = Member
MAX_WORDS = 4
MAX_LENGTH = 100
"""Characters of a query; what is beyond is not looked at."""
CANDIDATES = 200
"""Members that one step looks at; a beginning that more share is too short to rank by."""
LAST = "\U0010ffff"
ALPHABET = "abcdefghijklmnopqrstuvwxyz"
LONG_ENOUGH = 4
"""Letters from which on a word may be misspelt; shorter ones are near to everything."""


@dataclass(frozen=True, slots=True)
class Found:
    """One member that a search means, and how well it fits, from 1 to 100."""

    member: Member
    score: int
    by: str
    """`member_id`, `email`, `phone`, `name`, `tag` or `similar`."""


def search(
    session: Session,
    client_id: int,
    words: str,
    *,
    country: str | None = None,
    limit: int = 20,
) -> list[Found]:
    """Return up to `limit` members, the best first; `country` is where bare numbers are.

    Several words must all be met by one member's names. Nothing at all is found for no words.
    """
    words = " ".join(words.replace("\x00", " ").split())[:MAX_LENGTH]
    if not words:
        return []
    found: dict[int, tuple[int, str]] = {}
    for score, by, ids in _steps(session, client_id, words, country):
        for one in ids:
            if found.get(one, (0, ""))[0] < score:
                found[one] = (score, by)
    best = sorted(found, key=lambda one: (-found[one][0], one))[:limit]
    members = {
        one.id: one for one in session.scalars(_alive(client_id).where(among(session, M.id, best)))
    }
    return [Found(members[one], *found[one]) for one in best if one in members]


def _steps(
    session: Session, client_id: int, words: str, country: str | None
) -> Iterator[tuple[int, str, Sequence[int]]]:
    """Give the ids each step finds, with their score; a dear step only where the cheap found none.

    Invariant: a step yields members that are there, for they count against the candidates.
    """
    plain = words.casefold()
    ids = _alive(client_id).with_only_columns(M.id).limit(CANDIDATES)

    def run(*clauses: ColumnElement[bool]) -> Sequence[int]:
        return session.scalars(ids.where(*clauses)).all()

    any_found = False
    for score, by, found in _cheap(session, client_id, plain, country, run):
        any_found = any_found or bool(found)
        yield score, by, found
    if not any_found:
        yield 30, "similar", _similar(session, client_id, plain.split()[:MAX_WORDS], run)


Run = Callable[..., Sequence[int]]


def _cheap(
    session: Session, client_id: int, plain: str, country: str | None, run: Run
) -> Iterator[tuple[int, str, Sequence[int]]]:
    yield 100, "member_id", run(M.member_id == plain)
    if "@" in plain or " " not in plain:
        yield 95, "email", run(M.email == plain)
        yield 70, "email", run(begins(session, M.email, plain))
        yield 60, "email", run(M.id.in_(_further(session, client_id, "email", plain)))
    number = _number(plain, country)
    if number is not None:
        yield 90, "phone", run(M.phone == number)
        yield 65, "phone", run(begins(session, M.phone, number))
        yield 60, "phone", run(M.id.in_(_further(session, client_id, "sms", number)))
    if "@" not in plain:
        words = plain.split()[:MAX_WORDS]
        yield 85, "name", run(*[or_(*_is(word)) for word in words])
        yield 75, "name", run(begins(session, M.first_key, plain))
        yield 72, "name", run(*[_starts(session, word) for word in words])
        yield 50, "tag", run(M.id.in_(_tagged(client_id, plain)))


def begins(
    session: Session, wanted: InstrumentedAttribute[str | None], text: str
) -> ColumnElement[bool]:
    """Return that a column begins with `text`, in the words each database's index answers."""
    if is_sqlite(session):
        return and_(wanted >= text, wanted < text + LAST)
    return wanted.startswith(text, autoescape=True)


def _alive(client_id: int) -> Select[Any]:
    return select(M).where(M.client_id == client_id, M.deleted_at.is_(None))


def _is(word: str) -> list[ColumnElement[bool]]:
    return [M.first_key.in_(_spelt(word)), M.last_key.in_(_spelt(word))]


def _starts(session: Session, word: str) -> ColumnElement[bool]:
    keys = (M.first_key, M.last_key)
    return or_(*[begins(session, key, spelt) for key in keys for spelt in _spelt(word)])


def _spelt(word: str) -> tuple[str, ...]:
    """Return how lower() may have left a word: SQLite leaves what is not ASCII as it was."""
    return (
        tuple(dict.fromkeys((word, word[0].upper() + word[1:]))) if not word.isascii() else (word,)
    )


def _number(text: str, country: str | None) -> str | None:
    """Return the beginning of an E.164 number that a text may be; None for no number."""
    digits = "".join(character for character in text if character.isdigit())
    if len(digits) < LONG_ENOUGH or any(character.isalpha() for character in text):
        return None
    if text.startswith("+"):
        return f"+{digits}"
    try:
        return normalise_phone(text, country)
    except AddressError:
        return f"+{digits}"


def _further(session: Session, client_id: int, channel: str, text: str) -> Select[Any]:
    """Return the holders of an address that is not their primary one."""
    return select(MemberAddress.member_id).where(
        MemberAddress.client_id == client_id,
        MemberAddress.channel == channel,
        MemberAddress.value == text,
    )


def _tagged(client_id: int, tag: str) -> Select[Any]:
    return (
        select(MemberTag.member_id)
        .where(MemberTag.client_id == client_id, MemberTag.tag == tag)
        .order_by(MemberTag.member_id)
        .limit(CANDIDATES)
    )


def _similar(session: Session, client_id: int, words: Sequence[str], run: Run) -> Sequence[int]:
    """Return members each word is a letter away from a name of; short words must be exact."""
    if not any(len(word) >= LONG_ENOUGH for word in words):
        return []
    clauses = []
    for word in words:
        near = sorted(neighbours(word))
        held = [(key, _held(session, client_id, key, near)) for key in (M.first_key, M.last_key)]
        meant = [among(session, key, names) for key, names in held if names]
        if not meant:
            return []
        clauses.append(or_(*meant))
    return run(*clauses)


def _held(
    session: Session,
    client_id: int,
    key: InstrumentedAttribute[str | None],
    near: Sequence[str],
) -> list[str]:
    """Return which of these spellings anybody has: one look into the index for each.

    Asked for all of them at once, PostgreSQL would rather read a million members.
    """
    spelt = table(session, {"word": Text()}, [(word,) for word in near])
    query = select(spelt.c.word).where(
        exists().where(M.client_id == client_id, key == spelt.c.word)
    )
    return list(session.scalars(query))


def neighbours(word: str) -> set[str]:
    """Return a word and all that are one letter away: left out, swapped, changed or added.

    Letters that are put in are those of the alphabet and of the word; about 54 a letter.
    """
    if len(word) < LONG_ENOUGH:
        return {word}
    letters = sorted(set(ALPHABET) | set(word))
    halves = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    found = {left + right[1:] for left, right in halves if right}
    found |= {left + right[1] + right[0] + right[2:] for left, right in halves if len(right) > 1}
    found |= {left + new + right[1:] for left, right in halves if right for new in letters}
    found |= {left + new + right for left, right in halves for new in letters}
    return found | {word}
