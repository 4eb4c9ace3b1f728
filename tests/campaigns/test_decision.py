"""Mirrors campaigns/decision.py. Each reason by itself is tested with the fan-out."""

from sqlalchemy import func, select, true

from campaigns.decision import decisions
from channels.channel import Channel
from communications.communication import MessageType
from core.clock import ManualClock
from core.db import Sessions, read, write
from members.member import Member
from members.suppression import Scope, Suppression, SuppressionReason
from tests.campaigns.conftest import MakeMember, hash_of


def test_each_member_asked_for_has_exactly_one_decision(
    sessions: Sessions, clock: ManualClock, client_id: int, make_member: MakeMember
) -> None:
    members = [
        make_member(),
        make_member(addresses={}),
        make_member(addresses={"email": "twice@example.com", "sms": "+12015550101"}),
        make_member(addresses={"email": "both@example.com"}),
    ]
    with write(sessions) as session:
        for scope in Scope:
            session.add(
                Suppression(
                    client_id=client_id,
                    channel="email",
                    address_hash=hash_of("both@example.com"),
                    masked="***",
                    scope=scope,
                    reason=SuppressionReason.MANUAL,
                    since=clock.now(),
                )
            )

    with read(sessions) as session:
        rows = decisions([true()], channel=Channel.EMAIL, message_type=MessageType.MARKETING).c
        found = session.execute(select(rows.member_id, rows.reason).order_by(rows.member_id)).all()

    assert [tuple(row) for row in found] == [
        (members[0], None),
        (members[1], "no_address"),
        (members[2], None),
        (members[3], "suppressed"),
    ]


def test_channels_carried_by_phone_use_the_phone_number_and_their_own_consent(
    sessions: Sessions, make_member: MakeMember
) -> None:
    make_member(addresses={"sms": "+12015550101"}, consents=["sms"])
    make_member(addresses={"sms": "+12015550102"}, consents=["voice"])

    with read(sessions) as session:
        rows = decisions([true()], channel=Channel.VOICE, message_type=MessageType.MARKETING).c
        found = session.execute(select(rows.address, rows.reason).order_by(rows.member_id)).all()

    assert [tuple(row) for row in found] == [
        ("+12015550101", "no_consent"),
        ("+12015550102", None),
    ]


def test_the_span_only_tells_where_to_look(sessions: Sessions, make_member: MakeMember) -> None:
    members = [make_member() for _ in range(5)]
    inner = Member.id.in_(members[1:4])

    with read(sessions) as session:
        counted = []
        for span in (None, (members[1], members[3])):
            rows = decisions(
                [inner], channel=Channel.EMAIL, message_type=MessageType.SUPPORT, span=span
            )
            query = select(func.count()).select_from(rows).where(rows.c.reason.is_(None))
            counted.append(session.scalar(query))

    assert counted == [3, 3]
