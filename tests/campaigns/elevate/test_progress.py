"""Mirrors campaigns/elevate/progress.py and reached.py: how far members are."""

from campaigns.elevate.progress import Standing, member_stages, stage_people
from campaigns.journeys.ast import Elevate
from core.db import read
from tests.campaigns.journeys.conftest import Shop

TEXT = """
journey "Way"
  when asked
  stage gift as present
    send email "hello"
  wait 1d
  stage sell
    send email "hello"
"""


def standings(shop: Shop, member_id: int) -> dict[Elevate, Standing]:
    with read(shop.sessions) as session:
        found = member_stages(session, shop.clock, client_id=shop.client_id, member_id=member_id)
    assert all(one.criterion for one in found)
    return {one.stage: one.standing for one in found if one.standing is not Standing.OPEN}


def test_a_journey_brings_members_to_a_step_and_what_they_do_ends_it(shop: Shop) -> None:
    shop.template("hello")
    ana, bo = shop.member(member_id="ana"), shop.member(member_id="bo", consents=())
    version = shop.publish(TEXT)
    began = shop.clock.now()
    shop.ask(version, ana)
    shop.settle()

    assert standings(shop, ana) == {Elevate.GIFT: Standing.IN_PROGRESS}
    assert standings(shop, bo) == {}
    shop.did("ana", "opted_in")
    shop.clock.advance(days=1)
    shop.settle()
    shop.did("bo", "purchase")
    assert standings(shop, ana) == {
        Elevate.HOOK: Standing.DONE,
        Elevate.GIFT: Standing.DONE,
        Elevate.SELL: Standing.IN_PROGRESS,
    }
    assert standings(shop, bo) == {Elevate.SELL: Standing.DONE}
    with read(shop.sessions) as session:
        people = stage_people(session, shop.clock, client_id=shop.client_id)
        (gift,) = [
            one
            for one in member_stages(session, shop.clock, client_id=shop.client_id, member_id=ana)
            if one.stage is Elevate.GIFT
        ]
    assert gift.reached_at == began
    counted = {one.stage: (one.reached, one.done) for one in people}
    assert counted[Elevate.GIFT] == (1, 1)
    assert counted[Elevate.SELL] == (1, 1)
    assert counted[Elevate.SHARE] == (0, 0)


def test_steps_count_each_member_once_across_versions_and_entries(shop: Shop) -> None:
    shop.template("hello")
    ana = shop.member(member_id="ana")
    version = shop.publish(TEXT.replace("when asked", "when asked\n  again always"))
    for _ in range(2):
        shop.ask(version, ana)
        shop.settle()
        shop.clock.advance(days=2)
        shop.settle()
    later = shop.again(version, TEXT.replace("when asked", "when asked\n  again always\n  # two"))
    shop.ask(later, ana)
    shop.settle()

    with read(shop.sessions) as session:
        people = stage_people(session, shop.clock, client_id=shop.client_id)
    assert {one.stage: one.reached for one in people}[Elevate.GIFT] == 1
