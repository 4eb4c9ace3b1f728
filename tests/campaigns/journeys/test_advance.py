"""Mirrors campaigns/journeys/advance.py and the steps: what members go through, and why."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError

from campaigns.journeys import changing
from campaigns.journeys.advance import HOPS, TRIES
from campaigns.journeys.ast import Tag
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, EnrolmentStep, Held
from campaigns.journeys.machine import Batch, Outcome
from campaigns.journeys.program import Node
from campaigns.journeys.steps import TAKES
from channels.channel import Channel
from communications.communication import Reason
from communications.status import Status
from core.db import read, write
from core.errors import InvalidError
from members.edit import delete_member
from members.erasure import erase
from members.merge import merge, undo_merge
from tests.campaigns.journeys.conftest import HASHER, Shop

DAY = timedelta(days=1)

WELCOME = """
journey "Welcome"
  when event signup
  send email "hello"
  wait 1d
  send sms "nudge" or email "nudge-mail"
"""


def welcome(shop: Shop) -> None:
    shop.template("hello")
    shop.template("nudge", Channel.SMS)
    shop.template("nudge-mail")
    shop.publish(WELCOME)


def test_a_member_who_signs_up_is_led_to_the_end(shop: Shop) -> None:
    welcome(shop)
    ana = shop.member()
    shop.did("m1", "signup")
    shop.settle()

    assert [one.status for one in shop.log(ana)] == [Status.QUEUED]
    (entry,) = shop.enrolments(ana)
    assert (entry.step, entry.held) == ("wait-1d", Held.WAIT)
    assert entry.due_at == entry.entered_at + DAY

    shop.pass_time(DAY)
    (entry,) = shop.enrolments(ana)
    assert entry.status is EnrolmentStatus.COMPLETED
    hello, passed, nudge = shop.log(ana)
    assert (passed.channel, passed.status, passed.reason) == (
        Channel.SMS, Status.SKIPPED, Reason.NO_ADDRESS,
    )  # fmt: skip
    assert (nudge.channel, nudge.status) == (Channel.EMAIL, Status.QUEUED)
    assert nudge.not_before == hello.not_before + DAY
    assert shop.trail(ana) == [
        ("send-email-hello", "next"), ("wait-1d", "next"), ("send-sms-nudge", "next"),
    ]  # fmt: skip


def test_the_same_event_lets_nobody_in_twice(shop: Shop) -> None:
    welcome(shop)
    ana = shop.member()
    for _ in range(3):
        shop.did("m1", "signup")
    shop.settle()
    shop.pass_time(2 * DAY)
    shop.did("m1", "signup")
    shop.settle()

    assert len(shop.enrolments(ana)) == 1
    assert len(shop.log(ana)) == 3


def stepping(
    monkeypatch: pytest.MonkeyPatch, wrong: Callable[[Enrolment], Exception | None]
) -> None:
    """Let the step `tag` fail for some."""

    def take(batch: Batch, node: Node[Any], people: Sequence[Enrolment]) -> dict[int, Outcome]:
        for one in people:
            one.context = one.context | {"half": "done"}
            if (error := wrong(one)) is not None:
                raise error
        return dict(changing.tag(batch, node, people))

    monkeypatch.setitem(TAKES, Tag, take)


@pytest.mark.parametrize(
    ("error", "said"),
    [(InvalidError("no such tag"), "no such tag"), (KeyError("ana@x"), "a bug: KeyError")],
)
def test_who_fails_alone_waits_longer_and_longer_and_is_stuck(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    version = shop.publish('journey "J"\n  when asked\n  tag "x"\n')
    bad, *good = [shop.member() for _ in range(5)]
    stepping(monkeypatch, lambda one: error if one.member_id == bad else None)
    shop.ask(version, bad, *good)
    start = shop.clock.now()
    shop.settle()

    assert {one.status for member in good for one in shop.enrolments(member)} == {
        EnrolmentStatus.COMPLETED
    }
    pauses = []
    for _ in range(TRIES - 1):
        (entry,) = shop.enrolments(bad)
        assert (entry.status, entry.held, entry.error) == (
            EnrolmentStatus.ACTIVE, Held.RETRY, said,
        )  # fmt: skip
        assert "half" not in entry.context, "what a failed step did is taken back"
        assert entry.due_at is not None
        pauses.append((entry.due_at - start).total_seconds())
        start = entry.due_at
        shop.clock.set(start)
        shop.settle()
    assert pauses == [30 * 2**n for n in range(TRIES - 1)]
    (entry,) = shop.enrolments(bad)
    assert (entry.status, entry.due_at, entry.step) == (EnrolmentStatus.STUCK, None, "tag-x")
    assert not shop.trail(bad)


def test_a_failure_that_passes_is_forgotten(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    version = shop.publish('journey "J"\n  when asked\n  tag "x"\n  wait 1d\n')
    ana = shop.member()
    errors: list[Exception | None] = [InvalidError("not now"), None, None]
    stepping(monkeypatch, lambda one: errors.pop(0))
    shop.ask(version, ana)
    shop.settle()
    shop.pass_time(timedelta(minutes=1), step=timedelta(seconds=30))

    (entry,) = shop.enrolments(ana)
    assert (entry.step, entry.tries, entry.error) == ("wait-1d", 0, None)


def test_while_the_database_is_away_nothing_is_counted_against_anybody(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = shop.publish('journey "J"\n  when asked\n  tag "x"\n')
    ana = shop.member()
    shop.ask(version, ana)
    stepping(monkeypatch, lambda one: OperationalError("SELECT", None, Exception("gone")))

    with pytest.raises(OperationalError):
        shop.settle()
    (entry,) = shop.enrolments(ana)
    assert (entry.tries, entry.held) == (0, None)


def test_a_step_that_is_not_there_any_more_waits_for_a_person(shop: Shop) -> None:
    version = shop.publish('journey "J"\n  when asked\n  wait 1d\n')
    ana, bo = shop.member(), shop.member()
    shop.ask(version, ana, bo)
    with write(shop.sessions) as session:
        session.execute(update(Enrolment).where(Enrolment.member_id == ana).values(step="gone"))
    shop.settle()

    (entry,) = shop.enrolments(ana)
    assert (entry.status, entry.error) == (
        EnrolmentStatus.STUCK, "there is no step gone in this version",
    )  # fmt: skip
    assert shop.enrolments(bo)[0].held is Held.WAIT


def test_many_steps_at_once_take_more_than_one_transaction(shop: Shop) -> None:
    lines = "".join(f'  tag "t{number}"\n' for number in range(HOPS + 6))
    version = shop.publish(f'journey "J"\n  when asked\n{lines}')
    ana = shop.member()
    shop.ask(version, ana)
    shop.settle()

    (entry,) = shop.enrolments(ana)
    assert entry.status is EnrolmentStatus.COMPLETED
    assert len(shop.trail(ana)) == HOPS + 6


def test_a_deleted_member_goes_no_further(shop: Shop) -> None:
    shop.template("hello")
    version = shop.publish('journey "J"\n  when asked\n  wait 1d\n  send email "hello"\n')
    ana = shop.member()
    shop.ask(version, ana)
    shop.settle()
    with write(shop.sessions) as session:
        delete_member(session, shop.clock, client_id=shop.client_id, id=ana)
    shop.pass_time(DAY)

    (entry,) = shop.enrolments(ana)
    assert (entry.status, entry.end_reason) == (EnrolmentStatus.EXITED, "the member was deleted")
    assert not shop.log(ana)
    assert shop.trail(ana) == [("wait-1d", "deleted")]


def merged(shop: Shop, survivor_id: int, absorbed_id: int) -> int:
    with write(shop.sessions) as session:
        return merge(
            session, shop.clock, client_id=shop.client_id,
            survivor_id=survivor_id, absorbed_id=absorbed_id,
        ).id  # fmt: skip


def test_a_merged_member_goes_on_as_the_survivor(shop: Shop) -> None:
    shop.template("hello")
    text = 'journey "{}"\n  when asked\n  when event signup\n  wait 1d\n  send email "hello"\n'
    only, both = shop.publish(text.format("Only")), shop.publish(text.format("Both"))
    ana, twin = shop.member(), shop.member()
    shop.ask(only, twin)
    shop.ask(both, ana, twin)
    shop.settle()
    merge_id = merged(shop, ana, twin)
    shop.settle()

    def places() -> list[tuple[int, int, EnrolmentStatus]]:
        return [(one.journey_id, one.member_id, one.status) for one in shop.enrolments()]

    assert places() == [
        (only.journey_id, ana, EnrolmentStatus.ACTIVE),
        (both.journey_id, ana, EnrolmentStatus.ACTIVE),
        (both.journey_id, twin, EnrolmentStatus.EXITED),
    ]
    with write(shop.sessions) as session:
        undo_merge(session, shop.clock, client_id=shop.client_id, merge_id=merge_id)
    assert places()[0] == (only.journey_id, twin, EnrolmentStatus.ACTIVE)
    merged(shop, ana, twin)
    shop.pass_time(DAY)
    assert [row.member_id for row in shop.log()] == [ana, ana]


def test_what_the_merged_member_did_lets_the_survivor_in(shop: Shop) -> None:
    shop.publish('journey "J"\n  when event signup\n  wait 1d\n')
    ana, twin = shop.member(), shop.member()
    shop.did("m2", "signup")
    merged(shop, ana, twin)
    shop.settle()
    assert [one.member_id for one in shop.enrolments()] == [ana]


def test_an_erased_member_leaves_a_way_without_words(shop: Shop) -> None:
    shop.publish(
        'journey "J"\n  when event signup\n  branch\n    if everyone\n      tag "x"\n  wait 1d\n'
    )
    ana = shop.member()
    shop.did("m1", "signup", {"note": "private"})
    shop.settle()
    shop.did("m1", "signup", {"note": "private"})
    told = {"client_id": shop.client_id, "id": ana}
    with write(shop.sessions) as session:
        delete_member(session, shop.clock, **told)
        receipt = erase(session, shop.clock, HASHER, **told)
        erased = receipt.erased
    (entry,) = shop.enrolments(ana)
    with read(shop.sessions) as session:
        whys = set(map(str, session.scalars(select(EnrolmentStep.why))))

    assert (entry.context, whys) == ({}, {"{}"})
    assert (erased["enrolments"], erased["enrolment_steps"]) == (1, 2)
    assert erased["signals"] == 1
    shop.settle()
    assert shop.enrolments(ana)[0].status is EnrolmentStatus.EXITED
