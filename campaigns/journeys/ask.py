"""Ask: members let in by hand or by a call of the API, where the journey has `when asked`."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns.errors import JourneyStateError
from campaigns.journeys.ast import OnRequest
from campaigns.journeys.enter import Entry, enter
from campaigns.journeys.journey import JourneyStatus, journey
from campaigns.journeys.machine import machine
from core.clock import Clock
from core.errors import InvalidError
from members.member import Member
from members.queries import meant
from members.segment import Segment, belonging

ASKED = "asked"
SET = 1_000
MOST = 10_000
"""Members of a segment that are asked at once."""


def ask(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    journey_id: int,
    member_ids: Sequence[int],
    key: str = "",
    event: Mapping[str, Any] | None = None,
) -> dict[int, int]:
    """Let members in who may enter; return enrolment ids by member id.

    Others are left out: who is inside already or was as often as allowed, does not match, or is
    not the client's. With a `key` each key is an entry of its own. Raises JourneyNotFoundError,
    JourneyStateError for a journey that takes nobody or has no `when asked`.
    """
    found = journey(session, client_id, journey_id)
    if found.status is not JourneyStatus.ACTIVE or found.version_id is None:
        raise JourneyStateError(
            f"the journey is {found.status}", field="status", remedy="publish or resume it"
        )
    known = machine(session, found.version_id)
    triggers = [one for one in known.journey.triggers if isinstance(one, OnRequest)]
    if not triggers:
        raise JourneyStateError(
            "nobody enters this journey by being asked",
            field="triggers",
            remedy="add the line `when asked`",
        )
    now = clock.now()
    entries = [Entry(one, now, key=key, event=event or {}) for one in member_ids]
    entered: dict[int, int] = {}
    for trigger in triggers:
        entered |= enter(session, clock, known, entries, cause=ASKED, only=trigger.only)
    return entered


def ask_segment(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    journey_id: int,
    segment: Segment,
    key: str = "",
    event: Mapping[str, Any] | None = None,
) -> tuple[dict[int, int], set[int]]:
    """Let the members of a segment in who may enter; return enrolment ids, and who was asked.

    Raises what `ask` raises, and InvalidError for a segment of more than MOST members.
    """
    clauses = meant(session, client_id, belonging(segment), clock.now())
    query = select(Member.id).where(*clauses).order_by(Member.id).limit(MOST + 1)
    members = list(session.scalars(query))
    if len(members) > MOST:
        raise InvalidError(
            f"the segment has more than {MOST:,} members",
            field="segment_id",
            remedy="ask for parts of it, or let it in by a trigger: when enters segment …",
        )
    entered: dict[int, int] = {}
    for start in range(0, max(len(members), 1), SET):
        entered |= ask(
            session, clock, client_id=client_id, journey_id=journey_id,
            member_ids=members[start : start + SET], key=key, event=event,
        )  # fmt: skip
    return entered, set(members)
