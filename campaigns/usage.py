"""Usage: what uses a segment, what an edit of it would do, and edits that keep its users whole.

A campaign uses a segment by its id or in its rule. Runs under way use none: they froze theirs.

Whoever names a segment anew, deletes it, or writes down what names one holds the client first: a
name that is written down while it changes is either the new one, or refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, not_, select
from sqlalchemy.orm import Session

from accounts.client import hold
from campaigns.audience import frozen
from campaigns.campaign import Campaign, CampaignStatus, ScheduleType
from campaigns.journeys.naming import journeys_naming
from core.clock import Clock
from core.condition.ast import Condition
from core.condition.json import from_json
from core.sql import ample_memory
from members.dependence import names_in, renamed_rule
from members.errors import SegmentInUseError, SegmentKindError
from members.member import Member
from members.membership import untrack
from members.queries import segment as find_segment
from members.rule import compile_rule
from members.segment import (
    Segment,
    SegmentKind,
    belonging,
    condition_of,
    delete_segment,
    update_segment,
    users_of,
)

ENDED = (CampaignStatus.COMPLETED, CampaignStatus.ARCHIVED)
LATER = (ScheduleType.SCHEDULED, ScheduleType.RECURRING, ScheduleType.TRIGGERED)
"""What starts by itself, so that an edit today changes who gets it tomorrow."""


@dataclass(frozen=True, slots=True)
class Use:
    """One campaign or segment that uses a segment, itself or through another segment."""

    kind: str
    """`campaign`, `segment` or `journey`."""
    id: int
    name: str
    status: str | None
    """A campaign's or journey's status; None for a segment."""
    live: bool
    """Whether it will read the segment again by itself: a launched campaign that is to start."""
    direct: bool
    """Whether it names the segment itself."""


@dataclass(frozen=True, slots=True)
class Delta:
    """How many a change adds and takes away, and how many there are then."""

    added: int
    removed: int
    members: int


@dataclass(frozen=True, slots=True)
class Effect:
    """What an edit would do: to the segment, and to each live use."""

    segment: Delta
    uses: tuple[tuple[Use, Delta], ...]


def usage(session: Session, *, client_id: int, segment_id: int) -> list[Use]:
    """Return what uses a segment: segments, campaigns that have not ended, drafts too, journeys.

    Raises SegmentNotFoundError.
    """
    segment = find_segment(session, client_id, segment_id)
    using = _using(session, segment)
    uses = [Use("segment", one.id, one.name, None, False, direct) for one, direct in using]
    through = [segment, *(one for one, _ in using)]
    for campaign in _campaigns(session, client_id):
        audience = campaign.target_audience
        if any(_names(audience, one) for one in through):
            live = campaign.status is not CampaignStatus.DRAFT and campaign.schedule_type in LATER
            direct = _names(audience, segment)
            status = campaign.status.value
            uses.append(Use("campaign", campaign.id, campaign.name, status, live, direct))
    for one in journeys_naming(session, client_id, {each.name for each in through}):
        direct = one in journeys_naming(session, client_id, {segment.name})
        uses.append(Use("journey", one.id, one.name, one.status.value, False, direct))
    return uses


def effect(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    segment_id: int,
    rule: Mapping[str, Any] | str,
) -> Effect:
    """Return what a new rule of a segment would do; nothing is saved.

    One scan for the segment and one for each live use, as `segment count` makes. Raises
    SegmentNotFoundError, ConditionError, or SegmentKindError for a static segment.
    """
    segment = find_segment(session, client_id, segment_id)
    if segment.kind is SegmentKind.STATIC:
        raise SegmentKindError("a static segment has no rule", remedy="add or remove members")
    instead = {segment.id: condition_of(rule)}
    live = [use for use in usage(session, client_id=client_id, segment_id=segment_id) if use.live]
    audiences = [{"segment_id": segment.id}, *(_audience(session, use) for use in live)]
    deltas = [
        _delta(
            session,
            client_id,
            frozen(session, client_id, audience),
            frozen(session, client_id, audience, instead),
            clock.now(),
        )
        for audience in audiences
    ]
    return Effect(deltas[0], tuple(zip(live, deltas[1:], strict=True)))


def change(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    segment_id: int,
    name: str | None = None,
    rule: Mapping[str, Any] | str | None = None,
    description: str | None = None,
) -> Segment:
    """Change a segment; with a new name, whatever names it names it anew, and means the same.

    Raises SegmentNotFoundError, SegmentInUseError for a name that a published journey uses, and
    what members.segment.update_segment raises.
    """
    hold(session, client_id)
    segment = find_segment(session, client_id, segment_id)
    old = segment.name
    if name is not None and name.strip() != old:
        _refuse_in_journeys(session, segment)
    update_segment(session, clock, segment, name=name, rule=rule, description=description)
    if segment.name != old:
        for campaign in _campaigns(session, client_id, ended=True):
            _rename_in(campaign, old, segment.name)
        session.flush()
    return segment


def delete(session: Session, clock: Clock, *, client_id: int, segment_id: int) -> None:
    """Delete a segment nobody uses. Raises SegmentNotFoundError, or SegmentInUseError with where.

    Runs under way keep the rule they froze; stays of a tracked one end.
    """
    hold(session, client_id)
    segment = find_segment(session, client_id, segment_id)
    uses = usage(session, client_id=client_id, segment_id=segment_id)
    if uses:
        listed = ", ".join(f"{use.kind} {use.id} “{use.name}”" for use in uses[:5])
        more = f" and {len(uses) - 5} more" if len(uses) > 5 else ""
        raise SegmentInUseError(
            f"{segment.name} is used by {listed}{more}",
            remedy="choose another audience there first, or delete them",
        )
    untrack(session, clock, segment)
    delete_segment(session, clock, segment)


def _refuse_in_journeys(session: Session, segment: Segment) -> None:
    """Versions never change, so what they name keeps its name. Raises SegmentInUseError."""
    using = journeys_naming(session, segment.client_id, {segment.name})
    if using:
        listed = ", ".join(f"“{one.name}”" for one in using[:5])
        raise SegmentInUseError(
            f"{segment.name} is named by {listed}",
            field="name",
            remedy="make another segment, and publish the journeys with that",
        )


def _using(session: Session, segment: Segment) -> list[tuple[Segment, bool]]:
    """Return the segments that name this one, and those that name these; True for direct ones."""
    direct = users_of(session, segment)
    found = {one.id: (one, True) for one in direct}
    wanted = list(direct)
    while wanted:
        for one in users_of(session, wanted.pop()):
            if one.id != segment.id and one.id not in found:
                found[one.id] = (one, False)
                wanted.append(one)
    return sorted(found.values(), key=lambda pair: pair[0].id)


def _campaigns(session: Session, client_id: int, *, ended: bool = False) -> Sequence[Campaign]:
    query = select(Campaign).where(Campaign.client_id == client_id, Campaign.deleted_at.is_(None))
    if not ended:
        query = query.where(Campaign.status.not_in(ENDED))
    return session.scalars(query.order_by(Campaign.id)).all()


def _names(audience: Mapping[str, Any], segment: Segment) -> bool:
    if "rule" not in audience:
        return audience.get("segment_id") == segment.id
    return not names_in(from_json(audience["rule"])).isdisjoint(
        {segment.name, belonging(segment).name}
    )


def _rename_in(campaign: Campaign, old: str, new: str) -> None:
    rule = campaign.target_audience.get("rule")
    renamed = rule and renamed_rule(rule, old, new)
    if renamed:
        campaign.target_audience = {"rule": renamed}
        campaign.version += 1


def _audience(session: Session, use: Use) -> Mapping[str, Any]:
    return session.get_one(Campaign, use.id).target_audience


def _delta(
    session: Session, client_id: int, old: Condition, new: Condition, now: datetime
) -> Delta:
    """Count who comes, who goes and who there is then, in one scan."""
    before, after = (compile_rule(session, one, client_id=client_id, now=now) for one in (old, new))
    counts = [
        func.count().filter(and_(after, not_(before))),
        func.count().filter(and_(before, not_(after))),
        func.count().filter(after),
    ]
    ample_memory(session)
    query = select(*counts).where(Member.client_id == client_id, Member.deleted_at.is_(None))
    row: Sequence[int] = session.execute(query).one()
    return Delta(*row)
