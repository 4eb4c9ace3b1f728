"""Mirrors campaigns/journeys/intervention.py: what a person does about people in a journey."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from accounts.audit import AuditEntry
from campaigns.errors import EnrolmentEndedError, EnrolmentNotFoundError
from campaigns.journeys.advance import TRIES
from campaigns.journeys.calling import Answer, answered, claim_call
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, EnrolmentStep, Held
from campaigns.journeys.intervention import Deed, intervene
from campaigns.journeys.journey import JourneyVersion
from campaigns.journeys.people import Which
from core.db import is_sqlite, read, write
from core.errors import InvalidError
from tests.campaigns.journeys.conftest import Shop

DAY = timedelta(days=1)
STEPS = """
journey "Steps"
  when asked
  wait 1d
  send email "hello"
  wait until event joined or 9d
    then
      tag "joined"
    else
      tag "late"
"""


def start(shop: Shop, text: str = STEPS, people: int = 1) -> JourneyVersion:
    shop.template("hello")
    version = shop.publish(text)
    shop.ask(version, *(shop.member() for _ in range(people)))
    shop.settle()
    return version


def do(
    shop: Shop, version: JourneyVersion, deed: Deed, which: Which | None = None, **to: str
) -> int:
    with write(shop.sessions) as session:
        return intervene(
            session, shop.clock, client_id=shop.client_id, journey_id=version.journey_id,
            which=which or Which(), deed=deed, by="user:7", **to,
        )  # fmt: skip


def rows(shop: Shop) -> list[EnrolmentStep]:
    with read(shop.sessions) as session:
        return list(session.scalars(select(EnrolmentStep).order_by(EnrolmentStep.id)))


def audited(shop: Shop) -> list[AuditEntry]:
    with read(shop.sessions) as session:
        return list(session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


def test_a_step_that_is_skipped_is_left_at_once(shop: Shop) -> None:
    version = start(shop, people=3)
    assert do(shop, version, Deed.SKIP) == 3
    shop.settle()
    assert {one.step for one in shop.enrolments()} == {"wait-for-joined"}
    assert len(shop.log()) == 3
    first = rows(shop)[0]
    assert (first.step, first.way, first.why) == (
        "wait-1d", "skipped", {"by": "user:7", "to": "send-email-hello"},
    )  # fmt: skip
    (entry,) = audited(shop)
    assert (entry.actor, entry.action, entry.detail["people"]) == (
        "user:7", "journey.people.skipped", 3,
    )  # fmt: skip

    do(shop, version, Deed.SKIP)
    shop.settle()
    assert {row.step for row in rows(shop)} >= {"tag-late"}
    assert {one.status for one in shop.enrolments()} == {EnrolmentStatus.COMPLETED}


def test_who_is_moved_begins_the_step_anew(shop: Shop) -> None:
    version = start(shop)
    shop.pass_time(DAY)
    (one,) = shop.enrolments()
    do(shop, version, Deed.MOVE, Which(ids=[one.id]), to="wait-1d")
    shop.settle()
    (one,) = shop.enrolments()
    assert (one.step, one.held, one.due_at) == ("wait-1d", Held.WAIT, shop.clock.now() + DAY)
    shop.pass_time(DAY)
    assert len(shop.log()) == 2, "a person asked for the send once more"
    with pytest.raises(InvalidError) as wrong:
        do(shop, version, Deed.MOVE, to="wait-1h")
    assert (wrong.value.field, wrong.value.remedy) == ("to", "did you mean “wait-1d”?")


def test_who_is_taken_out_has_ended_and_their_callers_go_on(shop: Shop) -> None:
    version = start(shop)
    caller = shop.publish('journey "Caller"\n  when asked\n  call "Steps" and wait\n  wait 9d\n')
    shop.ask(caller, shop.member())
    shop.settle()
    called = next(one for one in shop.enrolments() if one.caller_id)
    do(shop, version, Deed.REMOVE, Which(ids=[called.id]))
    shop.settle()
    ended = next(one for one in shop.enrolments() if one.id == called.id)
    assert (ended.status, ended.step, ended.end_reason) == (
        EnrolmentStatus.EXITED, None, "taken out by hand",
    )  # fmt: skip
    waiting = next(one for one in shop.enrolments() if one.id == called.caller_id)
    assert waiting.step == "wait-9d"
    assert shop.log() == []


def test_who_is_stuck_is_tried_again_without_a_second_visit(shop: Shop) -> None:
    version = start(shop)
    with write(shop.sessions) as session:
        one = session.scalars(select(Enrolment)).one()
        one.status, one.tries, one.error = EnrolmentStatus.STUCK, TRIES, "no"
        one.step, one.due_at, one.held = "send-email-hello", None, Held.RETRY
    for _ in range(2):
        assert do(shop, version, Deed.RETRY, Which(status=EnrolmentStatus.STUCK)) in (0, 1)
    do(shop, version, Deed.RETRY)
    (one,) = shop.enrolments()
    assert (one.status, one.tries, one.error, one.visit) == (EnrolmentStatus.ACTIVE, 0, None, 0)
    assert [(row.way, row.visit) for row in rows(shop)] == [("retried", -1), ("retried", -2)]
    shop.settle()
    assert [one.dedup_key for one in shop.log()] == [f"journey:{one.id}:send-email-hello:0:email"]


def test_a_call_that_is_tried_again_has_the_same_key(shop: Shop) -> None:
    text = 'journey "W"\n  when asked\n  webhook "https://example.com/x" as crm\n  wait 1d\n'
    version = start(shop, text)
    with write(shop.sessions) as session:
        first = claim_call(session, shop.clock)
    assert first is not None
    with write(shop.sessions) as session:
        answered(session, shop.clock, request=first, answer=Answer(503))
    do(shop, version, Deed.RETRY)
    with write(shop.sessions) as session:
        again = claim_call(session, shop.clock)
    assert again is not None
    assert again.key == first.key
    do(shop, version, Deed.SKIP)
    with write(shop.sessions) as session:
        answered(session, shop.clock, request=again, answer=Answer(200, {"score": 1}))
    shop.settle()
    (one,) = shop.enrolments()
    assert (one.step, "crm" in one.context) == ("wait-1d", False)


def test_who_has_ended_or_is_not_there_stops_the_whole(shop: Shop) -> None:
    version = start(shop, people=2)
    one, other = (each.id for each in shop.enrolments())
    do(shop, version, Deed.REMOVE, Which(ids=[one]))
    with pytest.raises(EnrolmentEndedError):
        do(shop, version, Deed.SKIP, Which(ids=[one, other]))
    with pytest.raises(EnrolmentNotFoundError):
        do(shop, version, Deed.SKIP, Which(ids=[other, 999]))
    assert [each.step for each in shop.enrolments()] == [None, "wait-1d"]
    assert do(shop, version, Deed.SKIP, Which(step="nowhere")) == 0


def test_whoever_is_meant_is_left_alone_by_workers_meanwhile(shop: Shop) -> None:
    version = start(shop)
    shop.clock.advance(seconds=DAY.total_seconds())
    with write(shop.sessions) as session:
        intervene(
            session, shop.clock, client_id=shop.client_id, journey_id=version.journey_id,
            which=Which(), deed=Deed.REMOVE, by="user:7",
        )  # fmt: skip
        if not is_sqlite(session):  # where only one writes at a time anyway
            assert shop.advance() == 0
    assert shop.advance() == 0
    assert shop.log() == []
