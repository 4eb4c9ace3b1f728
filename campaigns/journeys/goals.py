"""Goals: who has reached what a journey is for, or fulfils what ends it, before the next step."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from campaigns.audience import UNREACHED
from campaigns.journeys.ast import Goal, Happens
from campaigns.journeys.enrolment import EnrolmentStatus, Walker
from campaigns.journeys.happened import Asker, happened
from campaigns.journeys.machine import Batch, End
from core.condition.ast import Condition
from core.condition.english import phrase
from core.rows import among
from members.member import Member
from members.rule import compile_rule


def reached(batch: Batch, people: Sequence[Walker]) -> dict[int, End | None]:
    """Return by enrolment id who is at the end, and why: gone, at a goal, or an exit."""
    ends = _gone(batch, people)
    for goal in batch.machine.journey.goals:
        left = [one for one in people if one.id not in ends]
        ends |= _goal(batch, goal, left)
    for condition in batch.machine.journey.exits:
        left = [one for one in people if one.id not in ends]
        why = phrase(condition)
        for one in matching(batch, condition, left):
            ends[one.id] = End(EnrolmentStatus.EXITED, why[:200], "exit", {"exit": why})
    return {one.id: ends.get(one.id) for one in people}


def matching(batch: Batch, condition: Condition, people: Sequence[Walker]) -> list[Walker]:
    """Return those whose member a condition means now; one query, none for nobody."""
    if not people:
        return []
    session, client_id = batch.session, batch.machine.client_id
    rule = compile_rule(session, condition, client_id=client_id, now=batch.now)
    ids = sorted({one.member_id for one in people})
    found = set(session.scalars(select(Member.id).where(among(session, Member.id, ids), rule)))
    return [one for one in people if one.member_id in found]


def _goal(batch: Batch, goal: Goal, people: Sequence[Walker]) -> dict[int, End]:
    if isinstance(goal.reached, Happens):
        # What counted in time is seen however late we look.
        askers = [
            Asker(one.id, one.member_id, one.entered_at, _closes(goal, one), one.entry_key)
            for one in people
        ]
        client_id = batch.machine.client_id
        times = happened(batch.session, client_id, goal.reached, askers)
        said = f"event {goal.reached.event}"
        return {
            id: End(EnrolmentStatus.GOAL, said, "goal", {"at": at.isoformat()})
            for id, at in times.items()
        }
    # Nobody knows since when a condition is so: after its time it is not asked any more.
    open_ = [one for one in people if _closes(goal, one) >= batch.now]
    said = phrase(goal.reached)
    return {
        one.id: End(EnrolmentStatus.GOAL, said[:200], "goal", {"goal": said})
        for one in matching(batch, goal.reached, open_)
    }


def _closes(goal: Goal, one: Walker) -> datetime:
    if goal.within is None:
        return datetime.max.replace(tzinfo=one.entered_at.tzinfo)
    return one.entered_at + goal.within


def _gone(batch: Batch, people: Sequence[Walker]) -> dict[int, End]:
    """Return whose member was deleted, or is suspended or has churned: nothing is for them."""
    ids = sorted({one.member_id for one in people})
    query = select(Member.id, Member.deleted_at, Member.status).where(
        among(batch.session, Member.id, ids),
        Member.deleted_at.is_not(None) | Member.status.in_(UNREACHED),
    )
    why = {
        id: "the member was deleted" if deleted_at else f"the member is {status}"
        for id, deleted_at, status in batch.session.execute(query)
    }
    return {
        one.id: End(EnrolmentStatus.EXITED, why[one.member_id], "deleted")
        for one in people
        if one.member_id in why
    }
