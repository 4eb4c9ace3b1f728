"""Refusal: a withdrawal of consent holds at the address, whoever else is reached there.

Somebody may be known by two ids with one mailbox. Who said no under one of them gets nothing there
under the other (DESIGN law 4: opt-out wins), until the no is taken back under the id it was said
under. A consent that was merely never given says nothing about others.
"""

from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import aliased

from members.address import MemberAddress
from members.consent import MARKETING, ConsentState, CurrentConsent


def refused_at(client_id: Any, kind: Any, channel: Any, address_hash: Any) -> ColumnElement[bool]:
    """Return whether a member with this address has withdrawn consent to marketing on `channel`.

    All four are columns or values of the statement it becomes a part of; looked up by index.
    """
    address, consent = aliased(MemberAddress), aliased(CurrentConsent)
    state = (
        select(consent.state)
        .where(
            consent.member_id == address.member_id,
            consent.channel == channel,
            consent.topic == MARKETING,
        )
        .correlate_except(consent)
        .scalar_subquery()
    )
    # One lookup within the other, not a join: fan-out forbids nested loops, and PostgreSQL would
    # then read the whole table for every member. LIMIT keeps it from making EXISTS such a join.
    withdrawn = select(address.id).where(
        address.client_id == client_id,
        address.channel == kind,
        address.hash == address_hash,
        state == ConsentState.WITHDRAWN,
    )
    return withdrawn.limit(1).correlate_except(address).scalar_subquery().is_not(None)
