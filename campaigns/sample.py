"""Sample: a few of the people a rule means, why it means each, and what each would receive."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns.audience import UNREACHED, frozen, matching
from campaigns.decision import decisions
from channels.channel import Channel
from communications.communication import MessageType
from core.address import mask
from core.clock import Clock
from core.condition.ast import Condition
from core.condition.json import to_json
from core.rows import among
from members.address import MemberAddress
from members.member import Member
from members.sample import MOST, choose
from members.segment import spoken
from members.why import deciding, why

NOT_REACHED = "not_reached"
"""The reason of members who are suspended or have churned; they are in no audience."""


@dataclass(frozen=True, slots=True)
class Because:
    """One part of the rule that decides, in words, and what was found."""

    english: str
    found: str
    yes: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a rule means one person, and the parts of it that decide."""

    belongs: bool
    because: tuple[Because, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one person would get on one channel: a message at an address, or a reason why not."""

    channel: Channel
    address: str | None
    """Masked."""
    reason: str | None


@dataclass(frozen=True, slots=True)
class Example:
    """One person of a sample."""

    member: Member
    because: tuple[Because, ...]
    receives: tuple[Receipt, ...]


def sample(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    condition: Condition,
    channels: Sequence[Channel],
    message_type: MessageType = MessageType.MARKETING,
    limit: int = MOST,
) -> list[Example]:
    """Return up to `limit` (at most 20) people a condition means, the same ones each time.

    What they would receive is decided as for the whole audience: of people who share an address the
    first gets the message, in the sample or not. Raises ConditionError.
    """
    if limit == 0:
        return []
    members = choose(
        session, client_id=client_id, condition=condition, now=clock.now(), limit=limit
    )
    # With the rules of its segments in it, so that each part can be explained.
    whole = frozen(session, client_id, {"rule": to_json(condition)})
    receipts = {
        channel: _receipts(session, clock, client_id, condition, channel, message_type, members)
        for channel in channels
    }
    examples = []
    for member in members:
        got = tuple(receipts[channel][member.id] for channel in channels)
        examples.append(Example(member, because(session, clock, member, whole), got))
    return examples


def because(
    session: Session, clock: Clock, member: Member, condition: Condition
) -> tuple[Because, ...]:
    """Return the parts of a condition that decide about a member. Raises ConditionError."""
    return verdict(session, clock, member, condition).because


def verdict(session: Session, clock: Clock, member: Member, condition: Condition) -> Verdict:
    """Return whether a condition means a member, and why. Raises ConditionError.

    Freeze the condition first (campaigns.audience): the rules of its segments are then explained.
    """
    answer = why(session, member, condition, now=clock.now())
    return Verdict(
        answer.yes,
        tuple(
            Because(spoken(session, member.client_id, one.english), one.found, one.yes)
            for one in deciding(answer)
        ),
    )


def _receipts(
    session: Session,
    clock: Clock,
    client_id: int,
    condition: Condition,
    channel: Channel,
    message_type: MessageType,
    members: Sequence[Member],
) -> dict[int, Receipt]:
    """Return what each would get on a channel, by member."""
    found = {
        one.id: Receipt(channel, None, NOT_REACHED) for one in members if one.status in UNREACHED
    }
    asked = [one.id for one in members if one.id not in found]
    others = _sharing(session, clock, client_id, condition, channel, asked)
    decided = decisions(
        [Member.client_id == client_id, among(session, Member.id, [*asked, *others])],
        channel=channel,
        message_type=message_type,
    ).c
    rows = session.execute(select(decided.member_id, decided.address, decided.reason))
    wanted = frozenset(asked)
    for row in rows:
        if row.member_id not in wanted:
            continue
        address = mask(channel.address_kind, row.address) if row.address else None
        found[row.member_id] = Receipt(channel, address, row.reason)
    return found


def _sharing(
    session: Session,
    clock: Clock,
    client_id: int,
    condition: Condition,
    channel: Channel,
    members: Sequence[int],
) -> Sequence[int]:
    """Return who else of the audience has an address of these members."""
    kind = (MemberAddress.client_id == client_id, MemberAddress.channel == channel.address_kind)
    own = select(MemberAddress.hash).where(*kind, among(session, MemberAddress.member_id, members))
    sharing = select(MemberAddress.member_id).where(*kind, MemberAddress.hash.in_(own))
    others = sorted(set(session.scalars(sharing)) - set(members))
    if not others:
        return ()
    audience = matching(session, condition, client_id=client_id, now=clock.now())
    query = select(Member.id).where(*audience, among(session, Member.id, others))
    return session.scalars(query).all()
