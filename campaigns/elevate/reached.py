"""Reached: which Elevate steps journeys have brought members to, and when first."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import Session

from campaigns.journeys.ast import Elevate, Stage
from campaigns.journeys.enrolment import Enrolment, EnrolmentStep
from campaigns.journeys.journey import JourneyVersion
from campaigns.journeys.json import from_json
from campaigns.journeys.program import program

StepKey = tuple[int, str]
"""A version's id and the key of a step in it."""


def stage_steps(session: Session, client_id: int) -> dict[StepKey, Elevate]:
    """Return the stage steps of all versions of a client's journeys; about 1 ms a version."""
    query = select(JourneyVersion.id, JourneyVersion.ast)
    return {
        (version_id, key): node.step.stage
        for version_id, ast in session.execute(query.where(JourneyVersion.client_id == client_id))
        for key, node in program(from_json(ast)).nodes.items()
        if isinstance(node.step, Stage)
    }


def people_at(
    session: Session, client_id: int, *, since: datetime | None = None
) -> dict[Elevate, int]:
    """Return how many members journeys have brought to each step, ever or since an instant."""
    found: dict[Elevate, set[StepKey]] = {}
    for key, stage in stage_steps(session, client_id).items():
        found.setdefault(stage, set()).add(key)
    return {stage: _people(session, keys, since) for stage, keys in found.items()}


def member_reached(session: Session, client_id: int, member_id: int) -> Mapping[Elevate, datetime]:
    """Return when a journey first brought a member to each step, for those it did."""
    steps = stage_steps(session, client_id)
    query = (
        select(EnrolmentStep.version_id, EnrolmentStep.step, EnrolmentStep.came_at)
        .join(Enrolment, Enrolment.id == EnrolmentStep.enrolment_id)
        .where(Enrolment.client_id == client_id, Enrolment.member_id == member_id)
    )
    first: dict[Elevate, datetime] = {}
    for version_id, key, at in session.execute(query):
        stage = steps.get((version_id, key))
        if stage is not None:
            first[stage] = min(at, first.get(stage, at))
    return first


def _people(session: Session, keys: set[StepKey], since: datetime | None) -> int:
    query = (
        select(func.count(Enrolment.member_id.distinct()))
        .join(EnrolmentStep, EnrolmentStep.enrolment_id == Enrolment.id)
        .where(tuple_(EnrolmentStep.version_id, EnrolmentStep.step).in_(sorted(keys)))
    )
    if since is not None:
        query = query.where(EnrolmentStep.came_at >= since)
    return session.scalar(query) or 0
