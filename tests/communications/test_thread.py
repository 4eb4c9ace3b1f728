"""Mirrors communications/thread.py and communications/upcoming.py."""

from datetime import timedelta

import pytest

from communications.communication import Reason
from communications.event import CommunicationEvent
from communications.status import Status
from communications.thread import KINDS, thread
from communications.upcoming import upcoming
from core.db import write
from members.consent import ConsentState, record
from members.edit import set_tags
from members.note import write_note
from tests.factories import Factory


@pytest.fixture
def make(sessions, clock, client_id) -> Factory:
    return Factory(sessions, clock, client_id)


@pytest.fixture
def ana(make, sessions, clock, client_id) -> int:
    """A member with two of each kind, all at one instant, and a skipped message later."""
    member_id = make.member()
    make.message(make.member(), status=Status.SENT)
    for number in range(2):
        sent = make.message(member_id, status=Status.SENT)
        with write(sessions) as session:
            session.add(
                CommunicationEvent(
                    client_id=client_id,
                    communication_id=sent,
                    source="tracking",
                    dedup_key=f"k{number}",
                    type="clicked",
                    occurred_at=clock.now(),
                    received_at=clock.now(),
                )
            )
            record(
                session,
                clock,
                client_id=client_id,
                member_id=member_id,
                channel="email",
                state=ConsentState.GRANTED,
                source="api",
            )
            write_note(
                session, clock, client_id=client_id, member_id=member_id, author="a", text="Tea"
            )
            set_tags(session, clock, client_id=client_id, id=member_id, add=[f"t{number}"])
    clock.advance(minutes=1)
    make.message(member_id, status=Status.SKIPPED, reason=Reason.NO_CONSENT, sent_at=None)
    return member_id


def test_everything_is_told_newest_first_with_why_it_was_skipped(ana, sessions, client_id) -> None:
    with sessions() as session:
        found = thread(session, client_id, ana)

    assert (found[0].what, found[0].detail["reason"]) == ("skipped", "no_consent")
    assert [(one.kind, one.what) for one in found[1:]] == [
        ("receipt", "clicked"),
        ("receipt", "clicked"),
        ("note", "noted"),
        ("note", "noted"),
        ("message", "sent"),
        ("message", "sent"),
        ("consent", "granted"),
        ("consent", "granted"),
        ("change", "api"),
        ("change", "api"),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_leave_nothing_out_and_repeat_nothing(size, ana, sessions, client_id) -> None:
    with sessions() as session:
        whole = thread(session, client_id, ana, limit=100)
        walked, edge = [], None
        while page := thread(session, client_id, ana, before=edge, limit=size):
            walked += page
            edge = (page[-1].at, page[-1].kind, page[-1].id)

    assert walked == whole
    assert len(whole) == 11


def test_kinds_may_be_chosen_and_others_see_nothing(ana, sessions, client_id) -> None:
    with sessions() as session:
        assert {one.kind for one in thread(session, client_id, ana, kinds=["note"])} == {"note"}
        assert thread(session, client_id + 1, ana) == []
    assert len(KINDS) == 6


def test_what_waits_is_told_in_the_order_it_leaves(make, sessions, clock, client_id) -> None:
    ana = make.member()
    make.message(ana, status=Status.SENT)
    later = clock.now() + timedelta(hours=2)
    second = make.message(ana, status=Status.QUEUED, not_before=later, sent_at=None)
    first = make.message(ana, status=Status.QUEUED, held="paused", sent_at=None)

    with sessions() as session:
        assert [one.id for one in upcoming(session, client_id, ana)] == [first, second]
        assert [one.id for one in upcoming(session, client_id, ana, limit=1)] == [first]
        assert upcoming(session, client_id + 1, ana) == []
