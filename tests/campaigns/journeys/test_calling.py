"""Mirrors campaigns/journeys/calling.py and changing.py: who is asked, and what is changed."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from campaigns.journeys.calling import (
    CALLS,
    LEASE,
    Answer,
    Request,
    answered,
    claim_call,
)
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, EnrolmentStep, Held
from campaigns.journeys.publish import pause, resume
from core.db import read, write
from members.edit import delete_member
from members.member import Member, MemberTag, Tier
from tests.campaigns.journeys.conftest import Shop
from tests.campaigns.journeys.test_hear import journey

DAY = timedelta(days=1)
HOOK = journey("when event order by id", 'webhook "https://shop.example/hook" as crm', "wait 1d")


def asked(shop: Shop) -> Request | None:
    with write(shop.sessions) as session:
        return claim_call(session, shop.clock)


def answer(shop: Shop, request: Request | None, status: int = 200, body: Any = None) -> None:
    assert request is not None
    problem = None if status == 200 else f"answered with {status}"
    with write(shop.sessions) as session:
        answered(session, shop.clock, request=request, answer=Answer(status, body, problem))
    shop.settle()


def why(shop: Shop, step: str) -> dict[str, Any]:
    with read(shop.sessions) as session:
        found = session.scalars(select(EnrolmentStep.why).where(EnrolmentStep.step == step)).one()
        return dict(found)


def hooked(shop: Shop) -> int:
    shop.publish(HOOK)
    ana = shop.member(first_name="Ana")
    shop.did("m1", "order", {"id": 7})
    shop.settle()
    return ana


def member(shop: Shop, member_id: int) -> Member:
    with read(shop.sessions) as session:
        return session.get_one(Member, member_id)


def test_a_webhook_is_asked_for_and_its_answer_is_kept(shop: Shop) -> None:
    ana = hooked(shop)
    (entry,) = shop.enrolments(ana)
    assert (entry.held, entry.due_at) == (Held.WEBHOOK, None)
    request = asked(shop)
    assert request is not None
    assert request.key == f"{entry.id}-0"
    assert (request.body["member"]["first_name"], request.body["event"]) == ("Ana", {"id": 7})
    assert asked(shop) is None, "somebody is calling already"

    answer(shop, request, body={"score": 9, "set": {"attributes.score": 9, "tier": "premium"}})
    (entry,) = shop.enrolments(ana)
    assert entry.context["journey"]["crm"]["score"] == 9
    assert entry.step == "wait-1d"
    assert (member(shop, ana).attributes, member(shop, ana).tier) == ({"score": 9}, Tier.PREMIUM)


def test_who_dies_while_calling_is_followed_with_the_same_key(shop: Shop) -> None:
    hooked(shop)
    first = asked(shop)
    shop.clock.advance(seconds=LEASE.total_seconds() + 1)
    second = asked(shop)
    assert first == second
    answer(shop, second, body={"n": 2})
    answer(shop, first, body={"n": 1})
    (entry,) = shop.enrolments()
    assert entry.context["journey"]["crm"] == {"n": 2}, "the later answer is of no use"


def test_a_call_is_tried_again_and_then_given_up(shop: Shop) -> None:
    ana = hooked(shop)
    keys = set()
    for number in range(CALLS):
        request = asked(shop)
        assert request is not None
        keys.add(request.key)
        answer(shop, request, 503)
        shop.clock.advance(seconds=30 * 2**number)
    assert len(keys) == 1
    assert shop.trail(ana) == [("crm", "next")]
    assert why(shop, "crm") == {"status": 503, "problem": "answered with 503"}


def test_a_refusal_is_not_tried_again(shop: Shop) -> None:
    ana = hooked(shop)
    answer(shop, asked(shop), 404)
    assert shop.trail(ana) == [("crm", "next")]


def test_nobody_is_called_about_who_is_gone_or_stands_still(shop: Shop) -> None:
    ana = hooked(shop)
    (entry,) = shop.enrolments(ana)
    told = {"client_id": shop.client_id, "journey_id": entry.journey_id}
    with write(shop.sessions) as session:
        pause(session, shop.clock, **told)
    assert asked(shop) is None
    with write(shop.sessions) as session:
        resume(session, shop.clock, **told)
        delete_member(session, shop.clock, client_id=shop.client_id, id=ana)
    assert asked(shop) is None
    shop.settle()
    assert shop.enrolments(ana)[0].status is EnrolmentStatus.EXITED


@pytest.mark.parametrize(
    "wanted",
    [
        {"id": 5}, {"client_id": 2}, {"version": 1}, {"actor": "me"}, {"member_id": "x"},
        {"consents": [{"channel": "sms", "state": "granted"}]}, {"tier": "king"}, {"tier": {}},
        {"email": "no address"}, {"nothing": 1},
    ],
)  # fmt: skip
def test_an_answer_sets_only_what_may_be_set(shop: Shop, wanted: dict[str, Any]) -> None:
    ana = hooked(shop)
    before = member(shop, ana)
    answer(shop, asked(shop), body={"set": wanted | {"attributes.ok": True}})
    after = member(shop, ana)

    assert len(why(shop, "crm")["problems"]) == 1
    assert after.attributes == {"ok": True}
    assert (after.member_id, after.tier, after.email) == (
        before.member_id, before.tier, before.email,
    )  # fmt: skip


def test_a_value_that_does_not_fit_is_passed_over_with_why(shop: Shop) -> None:
    version = shop.publish(
        journey("when asked", 'set timezone = "Mars/Base"', 'set location = "Wien"', 'tag "x"')
    )
    ana = shop.member()
    shop.ask(version, ana)
    shop.settle()

    assert why(shop, "set-timezone")["problem"]
    assert why(shop, "set-location") == {}
    assert member(shop, ana).location == "Wien"
    with read(shop.sessions) as session:
        assert session.scalars(select(MemberTag.tag)).all() == ["x"]


CALLED = journey("when asked", "again always", "wait 1h", name="Other")


@pytest.mark.parametrize("waits", [True, False])
def test_another_journey_is_entered_and_waited_for(shop: Shop, waits: bool) -> None:
    shop.publish(CALLED)
    version = shop.publish(journey("when asked", f'call "Other"{" and wait" * waits}', "wait 1d"))
    ana, bo = shop.member(), shop.member()
    shop.ask(version, ana, bo)
    shop.settle()

    outer = [one for one in shop.enrolments() if one.journey_id == version.journey_id]
    inner = [one for one in shop.enrolments() if one.journey_id != version.journey_id]
    assert [one.member_id for one in inner] == [ana, bo]
    assert [one.caller_id for one in inner] == [one.id if waits else None for one in outer]
    assert {one.held for one in outer} == {Held.CALL if waits else Held.WAIT}
    shop.pass_time(timedelta(hours=1))
    assert shop.trail(ana)[0] == ("call-other", "next")
    assert why_of(shop, outer[0].id) == ({"ended": "completed"} if waits else {"entered": True})


def why_of(shop: Shop, enrolment_id: int) -> dict[str, Any]:
    query = select(EnrolmentStep.why).where(EnrolmentStep.enrolment_id == enrolment_id)
    with read(shop.sessions) as session:
        return dict(session.scalars(query.order_by(EnrolmentStep.visit)).first() or {})


def test_a_called_journey_that_was_paused_meanwhile_is_waited_for(shop: Shop) -> None:
    other = shop.publish(CALLED)
    version = shop.publish(journey("when asked", 'call "Other" and wait', "wait 1d"))
    ana = shop.member()
    shop.ask(version, ana)
    shop.settle()
    with write(shop.sessions) as session:
        told = {"client_id": shop.client_id, "journey_id": other.journey_id}
        pause(session, shop.clock, **told)
        session.query(Enrolment).filter_by(journey_id=version.journey_id).update(
            {"due_at": shop.clock.now()}
        )
    shop.settle()
    assert not shop.trail(ana)


def test_a_call_lets_in_as_often_as_the_other_journey_does(shop: Shop) -> None:
    shop.publish(CALLED.replace("again always", "again never"))
    version = shop.publish(
        journey("when asked", 'call "Other" as again', "wait 1d", "go to again at most 2 times")
    )
    ana = shop.member()
    shop.ask(version, ana)
    shop.settle()
    shop.pass_time(3 * DAY, step=DAY)
    assert len(shop.enrolments(ana)) == 2
