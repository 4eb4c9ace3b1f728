"""Edits of one member: create, update, delete. Each is noted in its history, with what differed.

Each takes the client's turn (members.upsert.take_turn) before it locks the member: an edit of many
does the same, so that the two wait for each other and never in a ring.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from accounts.client import Client
from core.address import AddressHasher
from core.clock import Clock
from core.rows import among
from core.sql import insert_into
from members.change import Change, record_changes
from members.errors import MemberChangedError, MemberInvalidError, MemberKeyTakenError
from members.identity import FORMER_KEY, resolve
from members.member import Member, MemberTag
from members.person import MAX_TAGS, Person, read_person
from members.queries import member
from members.touch import touch
from members.upsert import Existing, take_turn, upsert

API = "api"
"""The source of an edit, unless the caller names another."""


def create_member(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    country: str | None = None,
    source: str = API,
    actor: str | None = None,
    **fields: Any,
) -> Member:
    """Create a member from what is known of it (members.person.FIELDS).

    Without a member_id, somebody with the same email or phone is that member, and is completed.
    Raises AddressError or MemberInvalidError with the field, MemberKeyTakenError.
    """
    person = read_person(fields, country=country or country_of(session, client_id))
    key = person.fields.get("member_id")
    if key is not None:
        taken = select(Member.id).where(Member.client_id == client_id, Member.member_id == key)
        merged = resolve(session, client_id=client_id, names=[(FORMER_KEY, key)])
        if merged or session.scalar(taken) is not None:
            raise MemberKeyTakenError(
                f"member_id “{key[:40]}” is taken", field="member_id", remedy="update that member"
            )
    return _written(session, clock, hasher, client_id, person, None, source, actor)


def update_member(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    id: int,
    version: int | None = None,
    country: str | None = None,
    source: str = API,
    actor: str | None = None,
    **changes: Any,
) -> Member:
    """Change what is given; `version` is the one the caller saw (MemberChangedError if it moved).

    Tags and attributes are added to; to blank a field give None. The full name follows the first
    and last name unless it is given too. Raises AddressError or MemberInvalidError with the field.
    """
    found = _seen(session, client_id, id, version)
    person = read_person(changes, country=country or country_of(session, client_id))
    if person.fields.get("member_id") not in (None, found.member_id):
        raise MemberKeyTakenError(
            "member_id cannot change", field="member_id", remedy="create another member"
        )
    blank = {name for name, value in changes.items() if value is None and name in BLANKABLE}
    _name_in_full(found, changes, person, blank)
    before = found.version
    found = _written(session, clock, hasher, client_id, person, found, source, actor)
    _blank(session, clock, found, blank, before, source=source, actor=actor)
    return found


BLANKABLE = frozenset(
    {"first_name", "last_name", "full_name", "date_of_birth", "gender", "location", "timezone",
     "language", "notes", "engagement_score", "acquisition_channel", "acquisition_cost"}
)  # fmt: skip


def set_tags(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    id: int,
    add: Sequence[str] = (),
    remove: Sequence[str] = (),
    source: str = API,
    actor: str | None = None,
) -> None:
    """Give a member tags and take others; those it has, or has not, already are left alone.

    Raises MemberNotFoundError, MemberInvalidError for a tag that is no tag or one too many.
    """
    take_turn(session, client_id)
    found = member(session, client_id, id)
    wanted = set(read_person({"tags": list(add)}, country=None).tags)
    unwanted = set(read_person({"tags": list(remove)}, country=None).tags) - wanted
    held = set(session.scalars(select(MemberTag.tag).where(MemberTag.member_id == found.id)))
    if len((held | wanted) - unwanted) > MAX_TAGS:
        raise MemberInvalidError(
            "a member has at most 100 tags",
            field="tags",
            remedy="remove some with the same request",
        )
    new, gone = sorted(wanted - held), sorted(unwanted & held)
    if new:
        rows = [{"client_id": client_id, "member_id": found.id, "tag": tag} for tag in new]
        session.execute(insert_into(session, MemberTag).on_conflict_do_nothing(), rows)
    if gone:
        session.execute(
            delete(MemberTag)
            .where(MemberTag.member_id == found.id, among(session, MemberTag.tag, gone))
            .execution_options(synchronize_session=False)
        )
    if new or gone:
        noted(session, clock, found, {"tags": (gone, new)}, source=source, actor=actor)


def delete_member(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    id: int,
    source: str = API,
    actor: str | None = None,
) -> None:
    """Delete softly: nothing more is sent from now on, the log and suppressions stay.

    members.erasure forgets the person as well. Raises MemberNotFoundError.
    """
    take_turn(session, client_id)
    found = member(session, client_id, id)
    found.deleted_at = clock.now()
    # The key is free again for whoever gets it next.
    found.member_id = f"{found.member_id[:100]}#deleted-{found.id}"
    noted(session, clock, found, {"deleted": (None, True)}, source=source, actor=actor)


def noted(
    session: Session,
    clock: Clock,
    found: Member,
    changed: Mapping[str, tuple[Any, Any]],
    *,
    source: str,
    actor: str | None,
) -> None:
    """Write an edit into a member's history, raise its version, and tell the segments."""
    found.version += 1
    found.updated_at = clock.now()
    session.flush()
    change = Change(found.id, changed)
    record_changes(
        session, clock, client_id=found.client_id, source=source, changes=[change], actor=actor
    )
    touch(session, client_id=found.client_id, member_ids=[found.id])


def country_of(session: Session, client_id: int) -> str | None:
    """Return the country (ISO 3166) of numbers without a country code, where the client has one."""
    return session.scalar(select(Client.country).where(Client.id == client_id))


def _seen(session: Session, client_id: int, id: int, version: int | None) -> Member:
    """Return the member, locked where a version is asked for: no edit may come in between."""
    take_turn(session, client_id)
    if version is not None:
        session.execute(
            select(Member.id)
            .where(Member.client_id == client_id, Member.id == id)
            .with_for_update()
        )
    found = member(session, client_id, id)
    if version is not None and found.version != version:
        raise MemberChangedError(
            f"the member is at version {found.version} now, not {version}",
            remedy="read it again, and change what you see then",
        )
    return found


def _name_in_full(
    found: Member, changes: Mapping[str, Any], person: Person, blank: set[str]
) -> None:
    """Derive the full name from the names as they will be."""
    if "full_name" in changes or not {"first_name", "last_name"} & set(changes):
        return
    names = [
        None if name in blank else person.fields.get(name, getattr(found, name))
        for name in ("first_name", "last_name")
    ]
    full = " ".join(name for name in names if name)
    if full:
        person.fields["full_name"] = full
    else:
        person.fields.pop("full_name", None)
        blank.add("full_name")


def _blank(
    session: Session,
    clock: Clock,
    found: Member,
    names: set[str],
    before: int,
    *,
    source: str,
    actor: str | None,
) -> None:
    """Blank fields; one edit raises the version, which was `before`, once."""
    held = {name: getattr(found, name) for name in sorted(names)}
    changed = {name: (value, None) for name, value in held.items() if value is not None}
    if changed:
        session.execute(
            update(Member)
            .where(Member.client_id == found.client_id, Member.id == found.id)
            .values(dict.fromkeys(changed))
            .execution_options(synchronize_session=False)
        )
        session.expire(found)
        found.version = before
        noted(session, clock, found, changed, source=source, actor=actor)


def _written(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    client_id: int,
    person: Person,
    only: Member | None,
    source: str,
    actor: str | None,
) -> Member:
    ((_, written),) = upsert(
        session,
        clock,
        hasher,
        client_id=client_id,
        people=[person],
        existing=Existing.OVERWRITE,
        only=only,
        source=source,
        actor=actor,
    )
    session.expire_all()
    return member(session, client_id, written)
