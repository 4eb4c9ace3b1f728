"""Acts: what can be made to happen in a rehearsal, and who can be invented for one.

Each act does what the real thing would do, through the same functions: events are tracked, clicks
are facts of a message, replies are rows of the log.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select

from campaigns.errors import TemplateNotFoundError
from campaigns.journeys.rehearsal import MAX_PEOPLE, Act, Cast, Stage
from campaigns.template import Template, TemplateVersion
from channels.adapter import EventType, ProviderEvent
from channels.channel import Channel
from communications.communication import Communication, Direction, MessageType
from communications.receipt import learn_fact
from communications.status import Rank, Status
from core.condition.ast import Condition
from core.condition.check import nearest
from members.consent import ConsentState, Word, record_many
from members.edit import create_member
from members.identity import attach
from members.member import Member
from members.queries import segment
from members.rule import compile_rule
from members.segment import belonging
from members.tracking import ToldEvent, track

C = Communication
SOURCE = "rehearsal"


def does(event: str, properties: Mapping[str, Any] | None = None) -> Act:
    """The member does something."""

    def act(stage: Stage, member_id: int) -> None:
        key = f"{SOURCE}:{member_id}:{event}:{stage.clock.now().isoformat()}"
        attach(
            stage.session, client_id=stage.client_id,
            names=[("anonymous", f"{SOURCE}:{member_id}", member_id)],
        )  # fmt: skip
        told = ToldEvent(
            event, key[-128:], {"anonymous_id": f"{SOURCE}:{member_id}"}, properties or {}
        )
        track(stage.session, stage.clock, stage.hasher, client_id=stage.client_id, events=[told])

    return act


def clicks(template: str) -> Act:
    """The member clicks a link in the newest message of this template."""
    return _fact(template, EventType.CLICKED)


def reads(template: str) -> Act:
    """The member opens the newest message of this template."""
    return _fact(template, EventType.OPENED)


def replies(text: str, channel: Channel = Channel.SMS) -> Act:
    """The member writes back."""

    def act(stage: Stage, member_id: int) -> None:
        now = stage.clock.now()
        stage.session.add(
            C(
                client_id=stage.client_id, member_id=member_id, channel=channel,
                direction=Direction.INBOUND, message_type=MessageType.SUPPORT, content=text,
                status=Status.DELIVERED, rank=Rank.DELIVERED, delivered_at=now, not_before=now,
                created_at=now, updated_at=now,
            )
        )  # fmt: skip
        stage.session.flush()
        _learn(stage, _newest(stage, member_id, C.channel == channel), EventType.REPLIED)

    return act


def opts_out(channel: str) -> Act:
    """The member takes back the consent for a channel."""

    def act(stage: Stage, member_id: int) -> None:
        word = Word(member_id, channel, ConsentState.WITHDRAWN, SOURCE)
        record_many(stage.session, stage.clock, client_id=stage.client_id, words=[word])

    return act


def invented(fields: Mapping[str, Any], consents: Sequence[str] = ("email", "sms", "push")) -> Cast:
    """Play somebody who does not exist, with consent for these channels.

    Raises AddressError or MemberInvalidError with the field.
    """

    def cast(stage: Stage) -> Sequence[int]:
        made = create_member(
            stage.session,
            stage.clock,
            stage.hasher,
            client_id=stage.client_id,
            source=SOURCE,
            **fields,
        )
        words = [Word(made.id, channel, ConsentState.GRANTED, SOURCE) for channel in consents]
        record_many(stage.session, stage.clock, client_id=stage.client_id, words=words)
        return [made.id]

    return cast


def segment_of(segment_id: int, most: int = MAX_PEOPLE) -> Cast:
    """Play the members of a segment, those with the lowest ids where there are many."""

    def cast(stage: Stage) -> Sequence[int]:
        found = segment(stage.session, stage.client_id, segment_id)
        rule: Condition = belonging(found)
        where = compile_rule(stage.session, rule, client_id=stage.client_id, now=stage.clock.now())
        query = select(Member.id).where(
            Member.client_id == stage.client_id, Member.deleted_at.is_(None), where
        )
        return stage.session.scalars(query.order_by(Member.id).limit(most)).all()

    return cast


def _fact(template: str, kind: EventType) -> Act:
    def act(stage: Stage, member_id: int) -> None:
        wanted = (
            select(TemplateVersion.id)
            .join(Template, Template.id == TemplateVersion.template_id)
            .where(Template.client_id == stage.client_id, Template.name == template)
        )
        _require(stage, template)
        _learn(stage, _newest(stage, member_id, C.template_version_id.in_(wanted)), kind)

    return act


def _require(stage: Stage, template: str) -> None:
    """Raise TemplateNotFoundError, with the nearest, for a name that no template has."""
    query = select(Template.name).where(Template.client_id == stage.client_id)
    known = set(stage.session.scalars(query))
    if template not in known:
        raise TemplateNotFoundError(
            f"there is no template “{template}”", remedy=nearest(template, known)
        )


def _newest(stage: Stage, member_id: int, which: ColumnElement[bool]) -> int | None:
    """Return the newest such message of the rehearsal that was sent to a member."""
    return stage.session.scalar(
        select(C.id)
        .where(
            C.id > stage.rows_after,
            C.member_id == member_id,
            C.direction == Direction.OUTBOUND,
            C.status != Status.SKIPPED,
            which,
        )
        .order_by(C.id.desc())
        .limit(1)
    )


def _learn(stage: Stage, found: int | None, kind: EventType) -> None:
    if found is not None:
        event = ProviderEvent(
            type=kind, dedup_key=f"{SOURCE}:{found}:{kind}", occurred_at=stage.clock.now(),
            reference=None, provider_id=None, provider_status="",
        )  # fmt: skip
        learn_fact(
            stage.session, stage.clock, client_id=stage.client_id, communication_id=found,
            event=event, source=SOURCE,
        )  # fmt: skip
