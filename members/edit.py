"""Edits of one member: create, update, delete."""

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from accounts.client import Client
from core.address import AddressHasher
from core.clock import Clock
from members.errors import MemberChangedError, MemberKeyTakenError
from members.member import Member
from members.person import Person, read_person
from members.queries import member
from members.upsert import Existing, upsert


def create_member(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    country: str | None = None,
    **fields: Any,
) -> Member:
    """Create a member from what is known of it (members.person.FIELDS).

    Without a member_id, somebody with the same email or phone is that member, and is completed.
    Raises AddressError or MemberInvalidError with the field, MemberKeyTakenError.
    """
    person = read_person(fields, country=country or _country(session, client_id))
    key = person.fields.get("member_id")
    if key is not None:
        taken = select(Member.id).where(Member.client_id == client_id, Member.member_id == key)
        if session.scalar(taken) is not None:
            raise MemberKeyTakenError(
                f"member_id “{key[:40]}” is taken", field="member_id", remedy="update that member"
            )
    return _written(session, clock, hasher, client_id, person, None)


def update_member(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    id: int,
    version: int | None = None,
    country: str | None = None,
    **changes: Any,
) -> Member:
    """Change what is given; `version` is the one the caller saw (MemberChangedError if it moved).

    Tags and attributes are added to; to blank a field give None.
    """
    found = member(session, client_id, id)
    if version is not None and found.version != version:
        raise MemberChangedError("the member changed in between", remedy="read it again")
    blank = {name: None for name, value in changes.items() if value is None and name in BLANKABLE}
    if blank:
        session.execute(update(Member).where(Member.id == id).values(**blank))
        session.expire(found)
    person = read_person(changes, country=country or _country(session, client_id))
    if person.fields.get("member_id") not in (None, found.member_id):
        raise MemberKeyTakenError(
            "member_id cannot change", field="member_id", remedy="create another member"
        )
    return _written(session, clock, hasher, client_id, person, found)


BLANKABLE = frozenset(
    {"first_name", "last_name", "full_name", "date_of_birth", "gender", "location", "timezone",
     "language", "notes", "engagement_score", "acquisition_channel", "acquisition_cost"}
)  # fmt: skip


def delete_member(session: Session, clock: Clock, *, client_id: int, id: int) -> None:
    """Delete softly: nothing more is sent from now on, the log and suppressions stay."""
    found = member(session, client_id, id)
    found.deleted_at = clock.now()
    # The key is free again for whoever gets it next.
    found.member_id = f"{found.member_id[:100]}#deleted-{found.id}"
    session.flush()


def _country(session: Session, client_id: int) -> str | None:
    return session.scalar(select(Client.country).where(Client.id == client_id))


def _written(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    client_id: int,
    person: Person,
    only: Member | None,
) -> Member:
    ((_, written),) = upsert(
        session,
        clock,
        hasher,
        client_id=client_id,
        people=[person],
        existing=Existing.OVERWRITE,
        only=only,
    )
    session.expire_all()
    return member(session, client_id, written)
