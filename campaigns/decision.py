"""Decision: whether a member gets a message on a channel, and if not, why: one SELECT.

Pre-flight counts it and fan-out inserts it, so what is announced is what happens. The reasons are
tried in this order: no address, invalid address, suppressed, no consent, duplicate address.
Sources: DESIGN law 4; the gate in communications/ledger.py asks once more before each send.
"""

from collections.abc import Sequence

from sqlalchemy import (
    ColumnElement,
    Subquery,
    and_,
    case,
    exists,
    func,
    literal,
    null,
    or_,
    select,
)

from campaigns.merge import NOTHING, merge_of
from channels.channel import Channel
from communications.communication import Communication, MessageType, Reason
from members.address import AddressState, MemberAddress
from members.consent import MARKETING, ConsentState, CurrentConsent
from members.member import Member
from members.suppression import Scope, Suppression

C = Communication


def decisions(
    members: Sequence[ColumnElement[bool]],
    *,
    channel: Channel,
    message_type: MessageType,
    fields: Sequence[str] = (),
    run_id: int | None = None,
) -> Subquery:
    """Return a row per member: `member_id`, `address`, `hash`, `merge`, `reason` (NULL: send).

    `members` is a WHERE over members; `fields` are what the message shows of a member. An address
    that several members share goes to the one with the lowest id, and to none when `run_id` has
    a row with it already.
    """
    facts = _facts(members, channel, message_type, fields)
    nth = func.row_number().over(
        partition_by=(facts.c.hash, facts.c.reason), order_by=facts.c.member_id
    )
    earlier = exists().where(
        C.run_id == run_id, C.channel == channel, C.address_hash == facts.c.hash
    )
    repeated = nth > 1 if run_id is None else or_(nth > 1, earlier)
    reason = case(
        (facts.c.reason.is_not(None), facts.c.reason),
        (repeated, _value(Reason.DUPLICATE_ADDRESS)),
        else_=null(),
    )
    return select(
        facts.c.member_id, facts.c.address, facts.c.hash, facts.c.merge, reason.label("reason")
    ).subquery("decisions")


def _facts(
    members: Sequence[ColumnElement[bool]],
    channel: Channel,
    message_type: MessageType,
    fields: Sequence[str],
) -> Subquery:
    """Return a row per member with its primary address and what speaks against writing to it."""
    address, consent = MemberAddress, CurrentConsent
    its_address = and_(
        address.member_id == Member.id,
        address.channel == channel.address_kind,
        address.is_primary,
    )
    its_consent = and_(
        consent.member_id == Member.id,
        consent.channel == channel.value,
        consent.topic == MARKETING,
    )
    return (
        select(
            Member.id.label("member_id"),
            address.value.label("address"),
            address.hash.label("hash"),
            (merge_of(fields) if fields else NOTHING).label("merge"),
            _against(channel, message_type).label("reason"),
        )
        .select_from(Member)
        .outerjoin(address, its_address)
        .outerjoin(consent, its_consent)
        .where(*members)
        .subquery("facts")
    )


def _against(channel: Channel, message_type: MessageType) -> ColumnElement[str | None]:
    """Return the first reason not to write to a member, NULL for none."""
    marketing = message_type is MessageType.MARKETING
    scopes = (Scope.ALL, Scope.MARKETING) if marketing else (Scope.ALL,)
    suppressed = exists().where(
        Suppression.client_id == MemberAddress.client_id,
        Suppression.channel == channel.address_kind,
        Suppression.address_hash == MemberAddress.hash,
        Suppression.scope.in_(scopes),
    )
    reasons = [
        (MemberAddress.id.is_(None), _value(Reason.NO_ADDRESS)),
        (MemberAddress.state != AddressState.ACTIVE, _value(Reason.INVALID_ADDRESS)),
        (suppressed, _value(Reason.SUPPRESSED)),
    ]
    if marketing:
        granted = CurrentConsent.state.is_not_distinct_from(ConsentState.GRANTED)
        reasons.append((~granted, _value(Reason.NO_CONSENT)))
    return case(*reasons, else_=null())


def _value(reason: Reason) -> ColumnElement[str]:
    return literal(reason.value)
