"""Merge: two members become one, and can become two again.

The survivor keeps what it has and is completed by what the absorbed member knew better. Everything
that belongs to the absorbed member moves, in about thirty statements whatever its amount; its keys
lead to the survivor from then on. Merges and undos take the client's turn before any member's row,
as every edit does (edit.py): none waits for another in a ring.

Invariants
    1. A withdrawal of either is the last word of the survivor.
    2. `undo_merge` after `merge` leaves every row as it was, but for versions and what came since.
    3. A member id that was given out once always leads to a member, or to its erasure.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ForeignKey, Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.news import News
from accounts.outbox import Fact, publish
from core.clock import Clock
from core.db import Base, BigId, Id
from members import moving
from members.change import Change, plain, record_changes, typed
from members.errors import MergeError, MergeNotFoundError
from members.history import give_events_back, take_events
from members.identity import FORMER_KEY, attach
from members.member import Member
from members.queries import member
from members.touch import touch
from members.upsert import take_turn


class Merge(Base):
    """One merge: who was absorbed by whom, and everything it takes to undo it."""

    __tablename__ = "merges"
    __table_args__ = (
        Index(None, "client_id", "survivor_id", "id"),
        Index(None, "client_id", "absorbed_id"),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    survivor_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))
    absorbed_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))
    actor: Mapped[str | None] = mapped_column(String(100))
    moved: Mapped[dict[str, Any]] = mapped_column(deferred=True)
    """Per table what was moved (ids) and how rows stood before that the merge changed."""
    merged_at: Mapped[datetime]
    undone_at: Mapped[datetime | None]


COMPLETED = (
    "user_id", "first_name", "last_name", "full_name", "email", "phone", "date_of_birth", "gender",
    "engagement_score", "lifetime_value", "acquisition_channel", "acquisition_cost", "location",
    "timezone", "language", "preferences", "notes", "social_profiles",
    "communication_preferences", "permissions", "referral_code",
)  # fmt: skip
"""What the survivor takes over where it is blank."""


def merge(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    survivor_id: int,
    absorbed_id: int,
    actor: str | None = None,
) -> Merge:
    """Make one member of two; return the merge, by which it can be undone.

    Raises MemberNotFoundError, or MergeError for a member with itself.
    """
    if survivor_id == absorbed_id:
        raise MergeError(
            "a member cannot be merged with itself",
            field="absorbed_id",
            remedy="give the ids of two members",
        )
    survivor, absorbed = _locked(session, client_id, survivor_id, absorbed_id)
    pair = moving.Pair(client_id, survivor_id, absorbed_id)
    done = Merge(
        client_id=client_id,
        survivor_id=survivor_id,
        absorbed_id=absorbed_id,
        actor=actor,
        moved={},
        merged_at=clock.now(),
    )
    session.add(done)
    session.flush()
    values = _completed(session, survivor, absorbed)
    before = {name: getattr(survivor, name) for name in values}
    key, code = absorbed.member_id, absorbed.referral_code
    _retire(clock, absorbed, survivor_id, values)
    session.flush()
    for name, value in values.items():
        setattr(survivor, name, value)
    survivor.version += 1
    survivor.updated_at = clock.now()
    session.flush()
    moved = moving.take(session, pair) | take_events(session, pair)
    attach(session, client_id=client_id, names=[(FORMER_KEY, key, survivor_id)])
    done.moved = moved | {
        "followers": moving.followers(session, pair),
        "key": key,
        "code": code,
        "before": {name: plain(value) for name, value in before.items()},
        "after": {name: plain(value) for name, value in values.items()},
    }
    _note(session, clock, done, before, values)
    return done


def undo_merge(
    session: Session, clock: Clock, *, client_id: int, merge_id: int, actor: str | None = None
) -> Merge:
    """Make two members of one again; what came since the merge stays with the survivor.

    Raises MergeNotFoundError, or MergeError when it was undone already or the survivor is gone.
    """
    take_turn(session, client_id)
    session.expire_all()
    done = merge_of(session, client_id, merge_id)
    survivor = session.get_one(Member, done.survivor_id)
    absorbed = session.get_one(Member, done.absorbed_id)
    if done.undone_at is not None or absorbed.merged_into != survivor.id:
        raise MergeError("this merge was undone already")
    if survivor.deleted_at is not None:
        raise MergeError(
            f"member {survivor.id} is no longer there",
            remedy="undo its own merge first, where it was merged",
        )
    pair = moving.Pair(client_id, survivor.id, absorbed.id)
    moved = done.moved
    moving.give_back(session, pair, moved)
    give_events_back(session, pair, moved, since=done.merged_at)
    moving.unfollow(session, pair, moved["followers"])
    _restore(clock, survivor, moved)
    session.flush()
    moving.forget_key(session, pair, moved["key"])
    _revive(clock, absorbed, moved)
    done.undone_at = clock.now()
    session.flush()
    _note(session, clock, done, {"merged": absorbed.id}, {"merged": None}, actor=actor)
    return done


def merge_of(session: Session, client_id: int, merge_id: int) -> Merge:
    """Return the client's merge. Raises MergeNotFoundError."""
    found = session.scalar(select(Merge).where(Merge.client_id == client_id, Merge.id == merge_id))
    if found is None:
        raise MergeNotFoundError(f"no merge {merge_id}")
    return found


def merges_page(
    session: Session,
    client_id: int,
    *,
    member_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Merge]:
    """Return up to `limit` merges, newest first, older than id `before`; all or of a survivor."""
    query = select(Merge).where(Merge.client_id == client_id)
    if member_id is not None:
        query = query.where(Merge.survivor_id == member_id)
    if before is not None:
        query = query.where(Merge.id < before)
    return list(session.scalars(query.order_by(Merge.id.desc()).limit(limit)))


def _locked(
    session: Session, client_id: int, survivor_id: int, absorbed_id: int
) -> tuple[Member, Member]:
    """Read both as nobody changes them until the end; scores are written without the turn."""
    take_turn(session, client_id)
    both = Member.id.in_((survivor_id, absorbed_id)), Member.client_id == client_id
    session.execute(select(Member.id).where(*both).order_by(Member.id).with_for_update()).all()
    session.expire_all()
    return member(session, client_id, survivor_id), member(session, client_id, absorbed_id)


def _completed(session: Session, survivor: Member, absorbed: Member) -> dict[str, Any]:
    """Return the survivor's new values, by column; only what differs."""
    values = {
        name: getattr(absorbed, name)
        for name in COMPLETED
        if getattr(survivor, name) in (None, "") and getattr(absorbed, name) not in (None, "")
    }
    values["attributes"] = {**(absorbed.attributes or {}), **(survivor.attributes or {})}
    spent = [m.total_spend for m in (survivor, absorbed) if m.total_spend is not None]
    values["total_spend"] = sum(spent, Decimal(0)) if spent else None
    seen = [m.last_active for m in (survivor, absorbed) if m.last_active is not None]
    values["last_active"] = max(seen) if seen else None
    values["referred_by"] = _referrer(session, survivor, absorbed)
    return {name: value for name, value in values.items() if value != getattr(survivor, name)}


def _referrer(session: Session, survivor: Member, absorbed: Member) -> int | None:
    """Return who referred the two as one; never themselves, and never somebody they referred."""
    if absorbed.id in ancestors(session, survivor):
        return absorbed.referred_by
    if survivor.referred_by is not None or survivor.id in ancestors(session, absorbed):
        return survivor.referred_by
    return absorbed.referred_by


def ancestors(session: Session, member: Member) -> set[int]:
    """Return who referred a member, who referred them, and so on: one query a step."""
    found: set[int] = set()
    above = member.referred_by
    while above is not None and above not in found:
        found.add(above)
        above = session.scalar(
            select(Member.referred_by).where(
                Member.client_id == member.client_id, Member.id == above
            )
        )
    return found


def _retire(clock: Clock, absorbed: Member, survivor_id: int, values: Mapping[str, Any]) -> None:
    absorbed.merged_into = survivor_id
    absorbed.deleted_at = clock.now()
    # Its key leads to the survivor by the identities now; its code belongs to one member only.
    absorbed.member_id = f"{absorbed.member_id[:100]}#merged-{absorbed.id}"
    if "referral_code" in values:
        absorbed.referral_code = None
    absorbed.version += 1
    absorbed.updated_at = clock.now()


def _revive(clock: Clock, absorbed: Member, moved: Mapping[str, Any]) -> None:
    absorbed.merged_into = absorbed.deleted_at = None
    absorbed.member_id, absorbed.referral_code = moved["key"], moved["code"]
    absorbed.version += 1
    absorbed.updated_at = clock.now()


def _restore(clock: Clock, survivor: Member, moved: Mapping[str, Any]) -> None:
    """Put the survivor's columns back that still are as the merge left them."""
    for name, before in moved["before"].items():
        after = moved["after"][name]
        if name == "total_spend":
            survivor.total_spend = _without(survivor.total_spend, before, after)
        elif plain(getattr(survivor, name)) == after:
            setattr(survivor, name, typed(name, before))
    survivor.version += 1
    survivor.updated_at = clock.now()


def _without(now: Decimal | None, before: str | None, after: str | None) -> Decimal | None:
    """Take what the absorbed member had spent from a sum that may have risen since."""
    if now is None or (before is None and plain(now) == after):
        return None
    return now - (Decimal(after or 0) - Decimal(before or 0))


def _note(
    session: Session,
    clock: Clock,
    done: Merge,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    actor: str | None = None,
) -> None:
    """Write the merge into the survivor's history, and tell the segments about both."""
    changed = {name: (before[name], after[name]) for name in after}
    if "merged" not in changed:
        changed["merged"] = (None, done.absorbed_id)
        data = {"id": done.absorbed_id, "merged_into": done.survivor_id}
        gone = Fact(News.MEMBER_DELETED, f"member:{done.absorbed_id}", clock.now(), data)
        publish(session, clock.now(), client_id=done.client_id, facts=[gone])
    record_changes(
        session,
        clock,
        client_id=done.client_id,
        source=f"merge:{done.id}",
        actor=actor or done.actor,
        changes=[Change(done.survivor_id, changed)],
    )
    touch(session, client_id=done.client_id, member_ids=(done.survivor_id, done.absorbed_id))
