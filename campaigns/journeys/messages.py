"""Messages: what a journey's sends wrote, counted by step, and whom they skipped.

A message is found by its key, which is made of enrolment, step and visit (sending.py).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, cast, func, literal, select, union_all
from sqlalchemy.orm import Session

from campaigns.journeys.ast import Send
from campaigns.journeys.enrolment import EnrolmentStep
from campaigns.journeys.journey import journey, versions
from campaigns.journeys.machine import Machine, machine
from campaigns.template import Template, TemplateVersion
from channels.channel import Channel
from communications.communication import Communication, Reason
from communications.queries import COLUMNS, Count
from communications.status import Status
from members.member import Member

S, C = EnrolmentStep, Communication
NUMBERS = {"messages" if name == "audience" else name: which for name, which in COLUMNS.items()}
"""Which rows count for each number."""

Numbers = dict[str, Any]
"""Counts by column, and `skipped_reasons`."""
Written = Mapping[tuple[int, str, Channel, int], Sequence[Count]]
"""What is alike, by version, step, channel and template version."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Somebody who did not get a message, and why."""

    id: int
    """Of the communication."""
    enrolment_id: int
    member_id: int
    member: str
    name: str
    version: int
    step: str
    channel: Channel
    reason: Reason
    at: datetime


def skipped_page(
    session: Session,
    *,
    client_id: int,
    journey_id: int,
    version: int | None = None,
    step: str | None = None,
    reason: Reason | None = None,
    after: int = 0,
    limit: int = 50,
) -> list[Skipped]:
    """Return up to `limit` messages that were skipped, after id `after`, oldest first.

    Raises JourneyNotFoundError.
    """
    journey(session, client_id, journey_id)
    numbers = {
        one.id: one.number
        for one in versions(session, client_id, journey_id)
        if version in (None, one.number)
    }
    where: list[ColumnElement[bool]] = [C.status == Status.SKIPPED, C.id > after]
    where += [S.step == step] if step is not None else []
    where += [C.reason == reason] if reason is not None else []
    each = [
        _written(client_id, known, channel, S.enrolment_id, S.version_id, S.step, C.id)
        .where(*where).order_by(C.id).limit(limit)
        for known, channel in _lanes(machine(session, id) for id in numbers)
    ]  # fmt: skip
    if not each:
        return []
    found = union_all(*(query.subquery().select() for query in each)).subquery()
    query = (
        select(found.c.enrolment_id, found.c.version_id, found.c.step, C, Member)
        .join(C, C.id == found.c.id)
        .join(Member, Member.id == C.member_id)
        .order_by(C.id)
        .limit(limit)
    )
    return [
        Skipped(
            id=row.id, enrolment_id=enrolment_id, member_id=member.id, member=member.member_id,
            name=" ".join(part for part in (member.first_name, member.last_name) if part),
            version=numbers[version_id], step=key, channel=row.channel,
            reason=row.reason or Reason.CANCELLED, at=row.created_at,
        )
        for enrolment_id, version_id, key, row, member in session.execute(query)
    ]  # fmt: skip


def messages(session: Session, client_id: int, machines: Sequence[Machine]) -> Written:
    """Return the messages of some versions, counted; a statement for each version and channel."""
    found: dict[tuple[int, str, Channel, int], list[Count]] = defaultdict(list)
    columns = (S.step, C.template_version_id, C.status, C.reason, C.clicked_at.is_not(None))
    for known, channel in _lanes(machines):
        query = _written(client_id, known, channel, *columns, func.count()).group_by(*columns)
        for step, wording, status, reason, clicked, rows in session.execute(query):
            count = Count(channel, status, reason, bool(clicked), rows)
            found[known.version_id, step, channel, wording or 0].append(count)
    return found


def numbers(counts: Sequence[Count]) -> Numbers:
    """Return counts by column, zeros included, and the reasons of what was skipped."""
    found: Numbers = {
        name: sum(count.rows for count in counts if belongs(count))
        for name, belongs in NUMBERS.items()
    }
    reasons: Counter[str] = Counter()
    for count in counts:
        if count.status is Status.SKIPPED and count.reason is not None:
            reasons[count.reason.value] += count.rows
    return found | {"skipped_reasons": dict(reasons)}


def wordings_of(session: Session, ids: set[int]) -> dict[int, tuple[str, int]]:
    """Return the template's name and the number of each of its versions by id."""
    query = (
        select(TemplateVersion.id, Template.name, TemplateVersion.number)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(TemplateVersion.id.in_(ids))
    )
    return {id: (name, number) for id, name, number in session.execute(query)}


def _lanes(machines: Iterable[Machine]) -> list[tuple[Machine, Channel]]:
    """Return each version with each channel that its sends use."""
    return [
        (known, channel)
        for known in machines
        for channel in dict.fromkeys(
            option.channel
            for node in known.program.nodes.values()
            if isinstance(node.step, Send)
            for option in node.step.options
        )
    ]


def _written(
    client_id: int, known: Machine, channel: Channel, *columns: Any
) -> Select[*tuple[Any, ...]]:
    """Return the query for the messages that a version's sends wrote on a channel."""
    sends = [key for key, node in known.program.nodes.items() if isinstance(node.step, Send)]
    key = (
        literal("journey:").concat(cast(S.enrolment_id, String)).concat(":").concat(S.step)
        .concat(":").concat(cast(S.visit, String)).concat(f":{channel}")
    )  # fmt: skip
    return (
        select(*columns)
        .select_from(S)
        .join(C, (C.client_id == client_id) & (C.dedup_key == key))
        .where(S.version_id == known.version_id, S.step.in_(sends), S.visit >= 0)
    )
