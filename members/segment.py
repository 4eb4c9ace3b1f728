"""Segment: a named rule over members, or a list of them."""

import enum
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    false,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.client import hold
from core.clock import Clock
from core.condition.ast import Condition, InSegment
from core.condition.check import ConditionError
from core.condition.json import from_json, to_json
from core.condition.leaf import Known
from core.condition.text import parse
from core.db import Base, BigId, Id
from core.rows import among
from members.dependence import names_in, renamed_rule
from members.errors import SegmentInUseError, SegmentKindError, SegmentNameTakenError


class SegmentKind(enum.StrEnum):
    """When the rule is evaluated."""

    DYNAMIC = "dynamic"  # whenever it is used
    STATIC = "static"  # never: it is a list of members, made once and changed by hand


class Pin(enum.StrEnum):
    """What was said of a member by hand; it goes before the rule."""

    INCLUDE = "include"
    EXCLUDE = "exclude"


TRACKED = text("tracked")
REFERENCE = "#"
PIN_SIGNS = {Pin.INCLUDE: "+", Pin.EXCLUDE: "-", None: ""}
SPOKEN = {
    Pin.INCLUDE: "put into the segment “{}” by hand",
    Pin.EXCLUDE: "kept out of the segment “{}” by hand",
    None: "in the segment “{}”",
}
SAID = re.compile(r"in the segment “(?P<name>#[0-9]+[+-]?)”")
REFERRED = re.compile(r"#(?P<id>[1-9][0-9]{0,17})(?P<sign>[+-]?)")


class Segment(Base):
    """One named rule of one client."""

    __tablename__ = "segments"
    __table_args__ = (
        UniqueConstraint("client_id", "name"),
        Index(None, "client_id", "id"),
        # Few segments are tracked; every edit of a member asks whether there is one.
        Index("ix_segments_tracked", "client_id", sqlite_where=TRACKED, postgresql_where=TRACKED),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    name: Mapped[str] = mapped_column(String(200))
    description: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[SegmentKind] = mapped_column(default=SegmentKind.DYNAMIC)
    rule: Mapped[dict[str, Any]]
    """The condition as JSON (core.condition); the text face is made from it."""
    version: Mapped[int] = mapped_column(default=1)
    tracked: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether it is written down who joins and who leaves (members/membership.py)."""
    refreshed_at: Mapped[datetime | None]
    """When everybody was last looked at; while tracked, changed members are looked at at once."""
    refresh_at: Mapped[datetime | None]
    """When everybody is to be looked at again; only while tracked."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class SegmentMember(Base):
    """One member of a static segment, or pinned into or out of a dynamic one."""

    __tablename__ = "segment_members"

    segment_id: Mapped[int] = mapped_column(ForeignKey("segments.id"), primary_key=True)
    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"), primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    pin: Mapped[Pin] = mapped_column(default=Pin.INCLUDE, server_default=Pin.INCLUDE.value)
    """A static segment only has members put in."""
    actor: Mapped[str | None] = mapped_column(String(100))
    """Who said so, such as `user:3`."""
    pinned_at: Mapped[datetime | None]


def create_segment(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    name: str,
    rule: Mapping[str, Any] | str,
    description: str | None = None,
    kind: SegmentKind = SegmentKind.DYNAMIC,
) -> Segment:
    """Create a segment; `rule` is a condition as JSON or as text.

    A static one begins empty (members.pin.freeze fills it); its rule says where it came from.
    Raises ConditionError for a rule that cannot be understood, SegmentNameTakenError.
    """
    hold(session, client_id)  # those that the rule names keep their names until it is written
    segment = Segment(
        client_id=client_id,
        name=_free_name(session, client_id, name, None),
        description=description,
        kind=kind,
        rule=to_json(condition_of(rule)),
        created_at=clock.now(),
        updated_at=clock.now(),
    )
    session.add(segment)
    session.flush()
    return segment


def update_segment(
    session: Session,
    clock: Clock,
    segment: Segment,
    *,
    name: str | None = None,
    rule: Mapping[str, Any] | str | None = None,
    description: str | None = None,
) -> Segment:
    """Change what is given. Runs that are under way keep the rule they froze.

    With a new name, the rules of segments that name it are rewritten; what names it in campaigns is
    above this layer, so people rename through campaigns.usage.change. Raises ConditionError,
    SegmentNameTakenError, or SegmentKindError for a rule of a static segment.
    """
    hold(session, segment.client_id)
    if name is not None:
        name = _free_name(session, segment.client_id, name, segment.id)
        _rename_within(session, segment, name)
        segment.name = name
    if rule is not None:
        if segment.kind is SegmentKind.STATIC:
            raise SegmentKindError(
                "a static segment is a list, not a rule",
                field="rule",
                remedy="add or remove members, or make a dynamic segment",
            )
        segment.rule = to_json(condition_of(rule))
        look_again(session, clock, segment)
    if description is not None:
        segment.description = description
    segment.version += 1
    segment.updated_at = clock.now()
    session.flush()
    return segment


def delete_segment(session: Session, clock: Clock, segment: Segment) -> None:
    """Delete softly; its name is free again. Runs that are under way keep the rule they froze.

    Raises SegmentInUseError when the rule of another segment names it.
    """
    using = [one.name for one in users_of(session, segment)]
    if using:
        raise SegmentInUseError(
            f"{segment.name} is used by {', '.join(using[:5])}", remedy="take it out of these first"
        )
    segment.deleted_at = clock.now()
    segment.tracked, segment.refresh_at = False, None
    segment.name = f"{segment.name[:150]}#deleted-{segment.id}"
    session.flush()


def condition_of(rule: Mapping[str, Any] | str) -> Condition:
    """Read a rule given as text or as JSON. Raises ConditionError."""
    condition = parse(rule) if isinstance(rule, str) else from_json(rule, Known())
    refuse_references(condition)
    return condition


def refuse_references(condition: Condition) -> None:
    """Raise ConditionError where somebody refers to a segment as only the engine does: `#7`.

    No new name follows a reference, no look at what uses a segment finds it, and it would outlive
    the segment. What the engine stores of its own is read without asking.
    """
    for name in sorted(filter(referred, names_in(condition))):
        raise ConditionError(
            f"{name} is no segment's name", remedy="name the segment: GET /segments lists them"
        )


def belonging(segment: Segment, pin: Pin | None = None) -> InSegment:
    """Return the condition of belonging to a segment, pins included; it outlives a new name.

    With `pin`, only of having been put in, or kept out, by hand.
    """
    return InSegment(f"{REFERENCE}{segment.id}{PIN_SIGNS[pin]}")


def referred(name: str) -> tuple[int, Pin | None] | None:
    """Return what `belonging` made a reference from, or None for a name: `#7`, `#7+`, `#7-`."""
    found = REFERRED.fullmatch(name)
    if found is None:
        return None
    pins = {sign: pin for pin, sign in PIN_SIGNS.items()}
    return int(found["id"]), pins[found["sign"]]


def spoken(session: Session, client_id: int, english: str) -> str:
    """Return a sentence of the language's with references to segments said by their names."""

    def said(found: re.Match[str]) -> str:
        segment_id, pin = referred(found["name"]) or (0, None)
        which = (Segment.client_id == client_id, Segment.id == segment_id)
        name = session.scalar(select(Segment.name).where(*which))
        return found[0] if name is None else SPOKEN[pin].format(name)

    return SAID.sub(said, english)


def living(session: Session, client_id: int) -> list[Segment]:
    """Return the client's segments, oldest first."""
    query = select(Segment).where(Segment.client_id == client_id, Segment.deleted_at.is_(None))
    return list(session.scalars(query.order_by(Segment.id)))


def users_of(session: Session, segment: Segment) -> list[Segment]:
    """Return the segments whose rules name this one."""
    return [
        one
        for one in living(session, segment.client_id)
        if one.kind is SegmentKind.DYNAMIC
        and one.id != segment.id
        and segment.name in names_in(from_json(one.rule))
    ]


def look_again(session: Session, clock: Clock, segment: Segment) -> None:
    """Have everybody looked at again in this segment and in those that depend on it, if tracked."""
    found, wanted = {segment.id}, [segment]
    while wanted:
        using = [one for one in users_of(session, wanted.pop()) if one.id not in found]
        found |= {one.id for one in using}
        wanted += using
    session.execute(
        update(Segment)
        .where(
            Segment.client_id == segment.client_id,
            Segment.tracked,
            among(session, Segment.id, sorted(found)),
        )
        .values(refresh_at=clock.now())
    )


def _rename_within(session: Session, segment: Segment, name: str) -> None:
    """Rewrite the rules that name a segment; they mean the same as before."""
    for one in living(session, segment.client_id):
        rule = renamed_rule(one.rule, segment.name, name)
        if rule is not None:
            one.rule = rule
            one.version += 1


def _free_name(session: Session, client_id: int, name: str, own_id: int | None) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 200:
        raise ConditionError(
            "a segment's name has 1 to 200 characters",
            field="name",
            remedy="give one that is neither empty nor longer",
        )
    if referred(name):
        raise ConditionError(
            "a segment is not called # and a number", field="name", remedy="choose another name"
        )
    query = select(Segment.id).where(Segment.client_id == client_id, Segment.name == name)
    found = session.scalar(query)
    if found is not None and found != own_id:
        raise SegmentNameTakenError(
            f"a segment named “{name}” exists", field="name", remedy="choose another name"
        )
    return name
