"""Decision: whether a member gets a message on a channel, and if not, why: one SELECT.

Pre-flight counts it and fan-out inserts it, so what is announced is what happens. The reasons are
tried in this order: no address, invalid address, suppressed, no consent, duplicate address.
Sources: DESIGN law 4; the gate in communications/ledger.py asks once more before each send.
"""

from collections.abc import Sequence

from sqlalchemy import (
    CTE,
    ColumnElement,
    Select,
    Subquery,
    and_,
    case,
    func,
    literal,
    null,
    or_,
    select,
)

from campaigns.merge import NOTHING, merge_of
from channels.channel import Channel
from communications.communication import MessageType, Reason
from members.address import AddressState, MemberAddress
from members.consent import MARKETING, ConsentState, CurrentConsent
from members.member import Member
from members.refusal import refused_at
from members.suppression import Scope, Suppression


def decisions(
    members: Sequence[ColumnElement[bool]],
    *,
    channel: Channel,
    message_type: MessageType,
    fields: Sequence[str] = (),
    span: tuple[int, int] | None = None,
) -> Subquery:
    """Return a row per member: `member_id`, `address`, `hash`, `merge`, `reason` (NULL: send).

    `members` is a WHERE over members; `fields` are what the message shows of a member. An address
    that several members share goes to the one with the lowest id. `span` tells the lowest and
    highest member id asked for, where known: the joined tables are then read by index instead of
    from end to end.
    """
    facts = _facts(members, channel, message_type, fields, span)
    nth = func.row_number().over(
        partition_by=(facts.c.hash, facts.c.reason), order_by=facts.c.member_id
    )
    reason = case(
        (facts.c.reason.is_not(None), facts.c.reason),
        (nth > 1, literal(Reason.DUPLICATE_ADDRESS.value)),
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
    span: tuple[int, int] | None,
) -> CTE:
    """Return a row per member with its primary address and what speaks against writing to it."""
    address, consent = MemberAddress, CurrentConsent
    its_address = [
        address.member_id == Member.id,
        address.channel == channel.address_kind,
        address.is_primary,
    ]
    its_consent = [
        consent.member_id == Member.id,
        consent.channel == channel.value,
        consent.topic == MARKETING,
    ]
    if span is not None:
        its_address.append(address.member_id.between(*span))
        its_consent.append(consent.member_id.between(*span))
    query = (
        select(
            Member.id.label("member_id"),
            address.value.label("address"),
            address.hash.label("hash"),
            (merge_of(fields) if fields else NOTHING).label("merge"),
            _against(channel, message_type).label("reason"),
        )
        .select_from(Member)
        .outerjoin(address, and_(*its_address))
        .outerjoin(consent, and_(*its_consent))
        .where(*members)
    )
    # Materialised, or the reason would be found out once for each time it is looked at.
    return query.cte("facts").prefix_with("MATERIALIZED")


def _against(channel: Channel, message_type: MessageType) -> ColumnElement[str | None]:
    """Return the first reason not to write to a member, NULL for none."""
    marketing = message_type is MessageType.MARKETING
    scopes = (Scope.ALL, Scope.MARKETING) if marketing else (Scope.ALL,)
    suppression = select(Suppression.id).where(
        Suppression.client_id == MemberAddress.client_id,
        Suppression.channel == channel.address_kind,
        Suppression.address_hash == MemberAddress.hash,
        Suppression.scope.in_(scopes),
    )
    reasons = [
        (MemberAddress.id.is_(None), literal(Reason.NO_ADDRESS.value)),
        (MemberAddress.state != AddressState.ACTIVE, literal(Reason.INVALID_ADDRESS.value)),
        (_found(suppression), literal(Reason.SUPPRESSED.value)),
    ]
    if marketing:
        granted = CurrentConsent.state.is_not_distinct_from(ConsentState.GRANTED)
        refused = refused_at(
            MemberAddress.client_id, channel.address_kind, channel.value, MemberAddress.hash
        )
        reasons.append((or_(~granted, refused), literal(Reason.NO_CONSENT.value)))
    return case(*reasons, else_=null())


def _found(query: Select[int]) -> ColumnElement[bool]:
    """Return whether a correlated query has a row, looked up by index for each.

    PostgreSQL may turn EXISTS into a scan of the whole table; it does not with a LIMIT.
    """
    return query.limit(1).scalar_subquery().is_not(None)
