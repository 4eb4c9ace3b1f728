"""Identity: another name one member is known by: an anonymous id, a former key, an id elsewhere.

A name belongs to one member of a client. When two members become one, the names of the absorbed
follow to the survivor, so that a name always leads to a member that is there.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import ForeignKey, Index, String, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.condition.ast import SYSTEM
from core.db import Base, BigId
from core.rows import among
from core.sql import insert_into
from members.errors import MemberInvalidError, MemberKeyTakenError
from members.touch import touch

ANONYMOUS = "anonymous"
"""A visitor nobody has named yet; the value is the collector's anonymous id."""
FORMER_KEY = "member_id"
"""A client's own id whose member was merged into another."""
EXTERNAL = "external:"
"""`external:<system>`: the id a shop or another system has for a member."""

Name = tuple[str, str]
"""(kind, value)."""


class Identity(Base):
    """One name of one member."""

    __tablename__ = "identities"
    __table_args__ = (Index(None, "member_id"),)

    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[str] = mapped_column(String(128), primary_key=True)
    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))


def resolve(session: Session, *, client_id: int, names: Iterable[Name]) -> dict[Name, int]:
    """Return the member's id of each name that is known: one query for each kind of name."""
    wanted: dict[str, set[str]] = {}
    for kind, value in names:
        wanted.setdefault(kind, set()).add(value)
    found: dict[Name, int] = {}
    for kind, values in wanted.items():
        query = select(Identity.value, Identity.member_id).where(
            Identity.client_id == client_id,
            Identity.kind == kind,
            among(session, Identity.value, sorted(values)),
        )
        found |= {(kind, row.value): row.member_id for row in session.execute(query)}
    return found


def attach(
    session: Session, *, client_id: int, names: Sequence[tuple[str, str, int]]
) -> dict[Name, int]:
    """Give members names (kind, value, member id); return who has each name now.

    A name that is taken keeps its holder: whoever wants it otherwise merges the two members.
    """
    if not names:
        return {}
    rows = [
        {"client_id": client_id, "kind": kind, "value": value, "member_id": member_id}
        for kind, value, member_id in sorted(set(names))
    ]
    session.execute(insert_into(session, Identity).on_conflict_do_nothing(), rows)
    return resolve(session, client_id=client_id, names=[(kind, value) for kind, value, _ in names])


def name_outside(
    session: Session, *, client_id: int, member_id: int, system: str, value: str
) -> None:
    """Note that another system knows this member as `value`; a second id there replaces the first.

    Raises MemberInvalidError for a system or id that cannot be kept, MemberKeyTakenError when
    another member has that id there.
    """
    kind = external_kind(system)
    value = value.strip()
    if not 1 <= len(value) <= 128 or "\x00" in value:
        raise MemberInvalidError(
            "an id has 1 to 128 characters",
            field="value",
            remedy="send the other system's id as it is there",
        )
    holder = resolve(session, client_id=client_id, names=[(kind, value)]).get((kind, value))
    if holder not in (None, member_id):
        raise MemberKeyTakenError(
            f"member {holder} has that id in {system}",
            field="value",
            remedy="merge the two members, or take the id from the other first",
        )
    forget_outside(session, client_id=client_id, member_id=member_id, system=system)
    # forget_outside has noted that the member changed.
    attach(session, client_id=client_id, names=[(kind, value, member_id)])


def forget_outside(session: Session, *, client_id: int, member_id: int, system: str) -> None:
    """Forget how another system knows this member."""
    session.execute(
        delete(Identity)
        .where(
            Identity.client_id == client_id,
            Identity.member_id == member_id,
            Identity.kind == external_kind(system),
        )
        .execution_options(synchronize_session=False)
    )
    touch(session, client_id=client_id, member_ids=[member_id])


def external_kind(system: str) -> str:
    """Return the kind of the ids of another system, such as `external:shopify`.

    Raises MemberInvalidError for a name that is not short and plain.
    """
    plain = system.strip().casefold()
    if SYSTEM.fullmatch(plain) is None:
        raise MemberInvalidError(
            f"“{system[:40]}” cannot name a system",
            field="system",
            remedy="use up to 22 letters, digits, dots, dashes and underscores, such as shopify",
        )
    return EXTERNAL + plain


def identities(session: Session, *, client_id: int, member_id: int) -> list[Identity]:
    """Return every further name of a member, by kind and value."""
    query = select(Identity).where(Identity.client_id == client_id, Identity.member_id == member_id)
    return list(session.scalars(query.order_by(Identity.kind, Identity.value)))


def hand_over(session: Session, *, client_id: int, from_id: int, to_id: int) -> list[Name]:
    """Let every name of one member lead to another; return the names."""
    moved = session.execute(
        update(Identity)
        .where(Identity.client_id == client_id, Identity.member_id == from_id)
        .values(member_id=to_id)
        .returning(Identity.kind, Identity.value)
        .execution_options(synchronize_session=False)
    )
    return [(row.kind, row.value) for row in moved]
