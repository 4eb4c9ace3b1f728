"""Mirrors echelonx/awards.py: stars are kept although nobody looks."""

from campaigns.elevate.star import held_stars
from campaigns.elevate.student import award
from campaigns.journeys.advance import advance
from campaigns.journeys.ask import ask
from campaigns.journeys.ast import Elevate
from campaigns.journeys.publish import create_journey, publish
from core.clock import ManualClock
from core.db import read, write
from echelonx.awards import EVERY, Awards
from echelonx.wiring import Services
from tests.factories import Factory


def test_stars_are_kept_once_an_hour_for_those_who_have_some(
    services: Services, clock: ManualClock, client_id: int
) -> None:
    member_id = Factory(services.sessions, clock, client_id).member()
    awards = Awards(services)
    lead(services, client_id, member_id, "hook")

    assert not awards.unit()
    assert held(services, client_id) == {}, "who never saw the path is not looked at"
    with write(services.sessions) as session:
        award(session, clock, services.vault, client_id=client_id)
    lead(services, client_id, member_id, "gift")
    awards.unit()
    assert held(services, client_id) == {Elevate.HOOK: 1}, "an hour has not passed"
    clock.advance(seconds=EVERY.total_seconds())
    awards.unit()
    assert held(services, client_id) == {Elevate.HOOK: 1, Elevate.GIFT: 1}


def held(services: Services, client_id: int) -> dict[Elevate, int]:
    with read(services.sessions) as session:
        return {stage: stars for (stage, _), stars in held_stars(session, client_id).items()}


def lead(services: Services, client_id: int, member_id: int, stage: str) -> None:
    """Bring a member to a step."""
    text = f'journey "{stage}"\n  when asked\n  stage {stage}\n    wait 1d\n'
    with write(services.sessions) as session:
        made = create_journey(session, services.clock, client_id=client_id, text=text)
        told = {"client_id": client_id, "journey_id": made.id}
        publish(session, services.clock, **told)
        ask(session, services.clock, **told, member_ids=[member_id])
        advance(session, services.clock, services.hasher, journey_id=made.id)
