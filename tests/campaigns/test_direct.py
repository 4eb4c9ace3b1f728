"""Mirrors campaigns/direct.py and campaigns/draft.py: messages to single members."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from accounts.endpoint import add_endpoint
from accounts.news import News
from accounts.outbox import EndpointDelivery
from campaigns.campaign import Priority
from campaigns.direct import KeyTakenError, Outcome, Written, write_message, write_messages
from campaigns.draft import Cap, Draft, NoProviderError, Wording
from campaigns.template import create_template
from channels.channel import Channel
from communications.communication import Communication, MessageType
from communications.status import Status
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.errors import EngineError, InvalidError
from core.secret import Vault
from members.errors import MemberNotFoundError
from tests.campaigns.conftest import MakeMember
from tests.factories import KEY, MovingClock

Send = Callable[..., list[Written]]
SMS = Wording(channel=Channel.SMS, text="Your code is 1234")
MAIL = Wording(channel=Channel.EMAIL, subject="Your receipt", text="Thank you")


@pytest.fixture
def send(
    sessions: Sessions, clock: ManualClock, client_id: int, account_ids: dict[Channel, int]
) -> Send:
    def send(*drafts: Draft) -> list[Written]:
        with write(sessions) as session:
            return write_messages(session, clock, client_id=client_id, drafts=drafts)

    return send


def rows(sessions: Sessions) -> list[Communication]:
    with read(sessions) as session:
        return list(session.scalars(select(Communication).order_by(Communication.id)))


def draft(member_id: int, *wordings: Wording, **more: Any) -> Draft:
    return Draft(member_id=member_id, wordings=wordings or (SMS,), **more)


def test_a_message_is_queued_with_what_its_template_shows(
    send: Send, sessions: Sessions, clock: ManualClock, client_id: int, make_member: MakeMember
) -> None:
    with write(sessions) as session:
        template = create_template(
            session, clock, client_id=client_id, name="Receipt", channel="sms",
            text="{{ first_name }}, order {{ event.order.id }} {{ event.note }}",
        ).id  # fmt: skip
    ana = make_member(addresses={"sms": "+12015550101"}, first_name="Ana")
    values = {"order": {"id": 17}, "note": None}
    later = clock.now() + timedelta(hours=1)

    [told] = send(
        draft(ana, Wording(template_id=template), key="o-17", values=values, not_before=later)
    )

    [row] = rows(sessions)
    assert (told.outcome, told.communication_id, told.status) == (
        Outcome.CREATED, row.id, Status.QUEUED,
    )  # fmt: skip
    assert row.merge == {"first_name": "Ana", "event.order": {"id": 17}, "event.note": None}
    assert (row.to_address, row.message_type) == ("+12015550101", MessageType.TRANSACTIONAL)
    assert (row.dedup_key, row.not_before, row.run_id) == ("tx:o-17", later, None)
    assert row.expires_at == later + timedelta(hours=72)
    assert row.address_hash
    with pytest.raises(InvalidError) as refused, write(sessions) as session:
        write_message(
            session, clock, client_id=client_id,
            draft=draft(ana, Wording(template_id=template), values={"note": 1}),
        )  # fmt: skip
    assert refused.value.field == "values.order"


def test_endpoints_are_told_of_what_is_skipped_and_of_nothing_twice(
    sessions: Sessions, clock: ManualClock, client_id: int, account_ids: dict[Channel, int],
    make_member: MakeMember,
) -> None:  # fmt: skip
    silent = make_member(addresses={"sms": "+12015550101"}, consents=[])
    offer = draft(silent, key="offer", message_type=MessageType.MARKETING)
    moving = MovingClock(clock.now())
    with write(sessions) as session:
        add_endpoint(
            session, clock, Vault(KEY), client_id=client_id, url="https://crm.example.com",
            types=["communication.*"],
        )  # fmt: skip
    for _ in range(2):
        with write(sessions) as session:
            write_messages(session, moving, client_id=client_id, drafts=[offer, draft(silent)])
    with read(sessions) as session:
        [told] = session.scalars(select(EndpointDelivery))
        assert (told.type, told.data["reason"]) == (News.SKIPPED, "no_consent")


def test_consent_is_asked_for_by_what_the_message_is_for(
    send: Send, sessions: Sessions, make_member: MakeMember
) -> None:
    silent = make_member(addresses={"sms": "+12015550101"}, consents=[])

    receipt, offer = send(draft(silent), draft(silent, message_type=MessageType.MARKETING))

    assert (receipt.status, offer.status, offer.reason) == ("queued", "skipped", "no_consent")
    assert rows(sessions)[1].address_hash is None


def test_the_first_wording_that_reaches_them_is_sent_and_the_others_say_why_not(
    send: Send, sessions: Sessions, make_member: MakeMember
) -> None:
    push = Wording(channel=Channel.PUSH, subject="Code", text="1234")
    both = make_member(addresses={"email": "both@example.com", "sms": "+12015550102"})
    mail = make_member(addresses={"email": "mail@example.com"})
    none = make_member(addresses={})

    told = send(*(draft(one, push, SMS, MAIL) for one in (both, mail, none)))

    log = rows(sessions)
    assert [(row.member_id, row.channel, row.reason) for row in log if row.status == "queued"] == [
        (both, Channel.SMS, None), (mail, Channel.EMAIL, None),
    ]  # fmt: skip
    assert [[(one.channel, one.reason) for one in each.passed] for each in told] == [
        [("push", "no_address")],
        [("push", "no_address"), ("sms", "no_address")],
        [("push", "no_address"), ("sms", "no_address")],
    ]
    assert (told[2].status, told[2].reason) == ("skipped", "no_address")
    assert len(log) == 2 + 3 + 3
    again = send(draft(mail, push, SMS, MAIL, key="k"), draft(mail, push, SMS, MAIL, key="k"))
    assert [one.outcome for one in again] == [Outcome.CREATED, Outcome.DUPLICATE]
    assert again[0].communication_id == again[1].communication_id
    assert again[1].status == "queued"


def test_one_key_is_one_message(send: Send, sessions: Sessions, make_member: MakeMember) -> None:
    ana, bo = (make_member(addresses={"sms": f"+1201555010{n}"}) for n in (1, 2))
    [first] = send(draft(ana, key="a"))

    again, twin, other, another = send(
        draft(ana, key="a"), draft(ana, key="b"), draft(ana, key="b"), draft(bo, key="a")
    )

    assert (again.outcome, again.communication_id) == (Outcome.DUPLICATE, first.communication_id)
    assert (twin.outcome, other.outcome) == (Outcome.CREATED, Outcome.DUPLICATE)
    assert (another.outcome, type(another.error)) == (Outcome.REJECTED, KeyTakenError)
    assert len(rows(sessions)) == 2


def test_two_at_once_with_one_key_write_one_message(
    send: Send, sessions: Sessions, make_member: MakeMember
) -> None:
    ana = make_member(addresses={"sms": "+12015550101"})
    drafts = [draft(ana, key=f"k-{number}") for number in range(40)]

    with ThreadPoolExecutor(2) as pool:
        told = [
            one
            for set_ in pool.map(lambda some: send(*some), (drafts, drafts[::-1]))
            for one in set_
        ]

    assert sorted(one.outcome for one in told) == ["created"] * 40 + ["duplicate"] * 40
    assert len({one.communication_id for one in told}) == len(rows(sessions)) == 40


def test_what_cannot_be_written_spoils_nothing_else(
    send: Send, sessions: Sessions, clock: ManualClock, client_id: int, make_member: MakeMember,
    template_ids: dict[Channel, int],
) -> None:  # fmt: skip
    ana = make_member(addresses={"sms": "+12015550101", "email": "ana@example.com"})
    gone = make_member(deleted_at=clock.now())
    cases: list[tuple[Draft, type[EngineError], str]] = [
        (draft(gone), MemberNotFoundError, "member_id"),
        (draft(10**6), MemberNotFoundError, "member_id"),
        (draft(ana, Wording(template_id=10**6)), EngineError, "template_id"),
        (draft(ana, Wording(channel=Channel.SMS)), InvalidError, "text"),
        (draft(ana, Wording(text="Hello")), InvalidError, "channel"),
        (draft(ana, Wording(channel=Channel.EMAIL, text="Hello")), InvalidError, "subject"),
        (draft(ana, Wording(channel=Channel.EMAIL, subject="Hi\r\nBcc: x@y.co", text="x")),
         InvalidError, "subject"),  # B023
        (draft(ana, SMS, Wording(channel=Channel.SMS, text="a" * 1_601)), InvalidError,
         "otherwise.0.text"),  # B086
        (draft(ana, Wording(template_id=template_ids[Channel.SMS], text="x")), InvalidError,
         "template_id"),
        (draft(ana, SMS, Wording(template_id=template_ids[Channel.SMS], channel=Channel.EMAIL)),
         InvalidError, "otherwise.0.channel"),
        (draft(ana, MAIL, message_type=MessageType.MARKETING), InvalidError, "text"),
        (draft(ana, Wording(channel=Channel.VOICE, text="Hello")), NoProviderError, "channel"),
    ]  # fmt: skip

    told = send(*(one for one, _, _ in cases), draft(ana))

    for one, (_, kind, field) in zip(told, cases, strict=False):
        assert (one.outcome, one.communication_id) == (Outcome.REJECTED, None)
        assert isinstance(one.error, kind)
        assert one.error.field == field
    assert told[-1].outcome is Outcome.CREATED
    assert len(rows(sessions)) == 1


def test_a_cap_counts_what_the_member_had_and_gets(
    send: Send, sessions: Sessions, clock: ManualClock, make_member: MakeMember
) -> None:
    ana = make_member(addresses={"sms": "+12015550101", "email": "ana@example.com"})
    cap = Cap(messages=2, hours=24)
    send(draft(ana, priority=Priority.URGENT))

    told = send(*(draft(ana, SMS, MAIL, cap=cap) for _ in range(2)))

    assert [one.reason for one in told] == [None, "capped"]
    assert [row.priority for row in rows(sessions)] == [0, 1, 1], "nothing else is tried"
    clock.advance(hours=25)
    assert [one.reason for one in send(draft(ana, cap=cap))] == [None]
