"""Duplicate: two members that may be one person, and why we think so.

Pairs are looked for by what two records of one person share: an address, or a name together with
the day of birth, the end of a phone number or a mailbox name. Each look is one join of an index
with itself; what is found is kept until somebody merges or dismisses it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, SmallInteger, UniqueConstraint, and_, or_, select
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from core.clock import Clock
from core.db import Base, BigId, Id
from core.rows import among
from core.sql import insert_into
from members.address import MemberAddress
from members.errors import DuplicateNotFoundError
from members.member import Member

LOOK = 1000
"""Members of one look; those newest made are compared with all others."""
MAX_SHARING = 20
"""Twins of a member that a look reads, on average; an office phone has more and says less."""
TAIL = 7
"""Digits at the end of a phone number that two spellings of it share."""
WORTH = {
    # reason → how much it says, of 100
    "same_email": 90,
    "same_phone": 80,
    "same_device": 70,
    "same_name": 30,
    "similar_name": 20,
    "same_birthday": 40,
    "same_phone_tail": 35,
    "same_mailbox_name": 25,
}
ADDRESSES = {"email": "same_email", "sms": "same_phone", "push": "same_device"}
ENOUGH = 50
"""Pairs below are not worth a person's look."""


class Duplicate(Base):
    """One pair; `first_id` is the older member."""

    __tablename__ = "duplicates"
    __table_args__ = (
        UniqueConstraint("client_id", "first_id", "second_id"),
        Index(None, "client_id", "score", "id"),
        Index(None, "second_id"),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    first_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))
    second_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))
    score: Mapped[int] = mapped_column(SmallInteger)
    """How likely they are one, from 1 to 100."""
    reasons: Mapped[list[str]]
    """Of WORTH, what says most first."""
    found_at: Mapped[datetime]
    dismissed_at: Mapped[datetime | None]


@dataclass(frozen=True, slots=True)
class Sketch:
    """What of a member is compared."""

    id: int
    name: str
    born: date | None
    phone: str | None
    mailbox: str | None


@dataclass(slots=True)
class _Pairs:
    """(older id, newer id) → why they may be one."""

    found: dict[tuple[int, int], set[str]] = field(default_factory=dict)

    def add(self, one: int, other: int, reason: str) -> None:
        if one != other:
            self.found.setdefault((min(one, other), max(one, other)), set()).add(reason)


def find_duplicates(
    session: Session, clock: Clock, *, client_id: int, after: int = 0
) -> int | None:
    """Look for twins of the next thousand members after id `after`; return where to go on.

    None when that was the last of them. Pairs that are known keep their id and their dismissal, and
    get the score of today. A look costs a dozen indexed queries, whatever the number of members.
    """
    query = (
        select(Member.id)
        .where(Member.client_id == client_id, Member.deleted_at.is_(None), Member.id > after)
        .order_by(Member.id)
        .limit(LOOK)
    )
    ids = session.scalars(query).all()
    if not ids:
        return None
    pairs = _Pairs()
    _by_address(session, client_id, ids, pairs)
    _by_name(session, client_id, ids, pairs)
    _keep(session, clock, client_id, pairs)
    return ids[-1] if len(ids) == LOOK else None


def duplicates_page(
    session: Session,
    client_id: int,
    *,
    before: tuple[int, int] | None = None,
    dismissed: bool = False,
    limit: int = 50,
) -> list[Duplicate]:
    """Return up to `limit` pairs, the likeliest first, after the (score, id) `before`.

    Pairs of which a member is gone are left out.
    """
    D, first, second = Duplicate, aliased(Member), aliased(Member)  # noqa: N806  (a table alias)
    query = (
        select(D)
        .join(first, and_(first.id == D.first_id, first.deleted_at.is_(None)))
        .join(second, and_(second.id == D.second_id, second.deleted_at.is_(None)))
        .where(
            D.client_id == client_id,
            D.dismissed_at.is_not(None) if dismissed else D.dismissed_at.is_(None),
        )
    )
    if before is not None:
        score, id_ = before
        query = query.where(or_(D.score < score, and_(D.score == score, D.id < id_)))
    return list(session.scalars(query.order_by(D.score.desc(), D.id.desc()).limit(limit)))


def duplicate(session: Session, client_id: int, duplicate_id: int) -> Duplicate:
    """Return the client's pair. Raises DuplicateNotFoundError."""
    found = session.scalar(
        select(Duplicate).where(Duplicate.client_id == client_id, Duplicate.id == duplicate_id)
    )
    if found is None:
        raise DuplicateNotFoundError(f"no pair {duplicate_id}")
    return found


def dismiss_duplicate(
    session: Session, clock: Clock, *, client_id: int, duplicate_id: int
) -> Duplicate:
    """Say that the two are two; they are not shown again. Raises DuplicateNotFoundError."""
    found = duplicate(session, client_id, duplicate_id)
    found.dismissed_at = found.dismissed_at or clock.now()
    session.flush()
    return found


def _by_address(session: Session, client_id: int, ids: Sequence[int], pairs: _Pairs) -> None:
    """Two members with one address share its keyed hash, whatever it was spelt like."""
    own, other = aliased(MemberAddress), aliased(MemberAddress)
    rows = session.execute(
        select(own.channel, own.member_id, other.member_id.label("twin_id"))
        .join(
            other,
            and_(
                other.client_id == own.client_id,
                other.channel == own.channel,
                other.hash == own.hash,
                other.member_id != own.member_id,
            ),
        )
        .join(Member, and_(Member.id == other.member_id, Member.deleted_at.is_(None)))
        .where(own.client_id == client_id, among(session, own.member_id, ids))
        .order_by(own.member_id)
        .limit(LOOK * MAX_SHARING)
    ).all()
    for row in rows:
        pairs.add(row.member_id, row.twin_id, ADDRESSES[row.channel])


def _by_name(session: Session, client_id: int, ids: Sequence[int], pairs: _Pairs) -> None:
    """Compare members of one family name, in either order of the names, by what else they share."""
    M = Member  # noqa: N806  (a table alias)
    columns = (M.id, M.first_key, M.last_key, M.date_of_birth, M.phone, M.email)
    alive = (M.client_id == client_id, M.deleted_at.is_(None))
    mine = session.execute(select(*columns).where(*alive, among(session, M.id, ids))).all()
    names = sorted({row.last_key for row in mine if row.last_key})
    if not names:
        return
    near = session.execute(
        select(*columns)
        .where(*alive, or_(among(session, M.last_key, names), among(session, M.first_key, names)))
        .order_by(M.id)
        .limit(LOOK * MAX_SHARING)
    ).all()
    groups: dict[str, list[Sketch]] = {}
    for row in {one.id: one for one in (*near, *mine)}.values():
        for name in {row.first_key, row.last_key} & set(names):
            groups.setdefault(name, []).append(_sketch(row))
    looked = set(ids)
    for group in groups.values():
        for one in group if len(group) <= LOOK else ():
            for other in group:
                if one.id in looked and one.id != other.id:
                    _compare(one, other, pairs)


def _sketch(row: Any) -> Sketch:
    words = sorted(word for key in (row.first_key, row.last_key) if key for word in key.split())
    return Sketch(
        id=row.id,
        name=" ".join(words),
        born=row.date_of_birth,
        phone=row.phone[-TAIL:] if row.phone else None,
        mailbox=row.email.partition("@")[0] if row.email else None,
    )


def _compare(one: Sketch, other: Sketch, pairs: _Pairs) -> None:
    """Note what two members of one name share; a name alone is no reason."""
    shared = {
        "same_birthday": one.born is not None and one.born == other.born,
        "same_phone_tail": one.phone is not None and one.phone == other.phone,
        "same_mailbox_name": one.mailbox is not None and one.mailbox == other.mailbox,
    }
    reasons = [name for name, same in shared.items() if same]
    if not reasons:
        return
    if one.name == other.name:
        reasons.append("same_name")
    elif near(one.name, other.name):
        reasons.append("similar_name")
    else:
        return
    for reason in reasons:
        pairs.add(one.id, other.id, reason)


def near(one: str, other: str, *, edits: int = 2) -> bool:
    """Say whether at most so many letters have to change, come or go to make one of the other."""
    if abs(len(one) - len(other)) > edits:
        return False
    row = list(range(len(other) + 1))
    for place, letter in enumerate(one, 1):
        last, row[0] = row[0], place
        for number, wanted in enumerate(other, 1):
            last, row[number] = (
                row[number],
                min(row[number] + 1, row[number - 1] + 1, last + (letter != wanted)),
            )
        if min(row) > edits:
            return False
    return row[-1] <= edits


def score(reasons: Iterable[str]) -> int:
    """Return how likely members with so much in common are one, from 1 to 100."""
    return min(100, sum(WORTH[reason] for reason in reasons))


def _keep(session: Session, clock: Clock, client_id: int, pairs: _Pairs) -> None:
    rows = [
        {
            "client_id": client_id,
            "first_id": first,
            "second_id": second,
            "score": score(reasons),
            "reasons": sorted(reasons, key=lambda reason: (-WORTH[reason], reason)),
            "found_at": clock.now(),
        }
        for (first, second), reasons in sorted(pairs.found.items())
        if score(reasons) >= ENOUGH
    ]
    if not rows:
        return
    statement = insert_into(session, Duplicate)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["client_id", "first_id", "second_id"],
            set_={"score": statement.excluded.score, "reasons": statement.excluded.reasons},
        ),
        rows,
    )
    session.expire_all()
