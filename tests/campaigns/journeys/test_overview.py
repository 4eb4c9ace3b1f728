"""Mirrors campaigns/journeys/overview.py, and asking a whole segment (ask.py)."""

from typing import Any

import pytest

from campaigns.journeys import ask as asking
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus
from campaigns.journeys.journey import JourneyStatus
from campaigns.journeys.overview import Headcount, headcounts, journeys_page
from core.db import read, write
from core.errors import InvalidError
from members.segment import create_segment
from tests.campaigns.journeys.conftest import Shop


def text(name: str) -> str:
    return f'journey "{name}"\n  when asked\n  wait 1d\n'


def test_journeys_are_listed_with_how_many_are_inside(shop: Shop) -> None:
    one, other = shop.publish(text("One")), shop.publish(text("Other"))
    shop.ask(one, *(shop.member() for _ in range(3)))
    with write(shop.sessions) as session:
        session.get_one(Enrolment, 1).status = EnrolmentStatus.STUCK
        session.get_one(Enrolment, 2).status = EnrolmentStatus.EXITED
    with read(shop.sessions) as session:
        page = journeys_page(session, shop.client_id, limit=1)
        rest = journeys_page(session, shop.client_id, after=page[0].id)
        assert [found.name for found in (*page, *rest)] == ["One", "Other"]
        assert journeys_page(session, shop.client_id, status=JourneyStatus.PAUSED) == []
        assert headcounts(session, [one.journey_id, other.journey_id]) == {
            one.journey_id: Headcount(inside=2, stuck=1), other.journey_id: Headcount(),
        }  # fmt: skip


def test_a_segment_is_asked_in_sets_and_no_more_than_may_be(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "SET", 2)
    monkeypatch.setattr(asking, "MOST", 5)
    version = shop.publish(text("One"))
    everybody = [shop.member() for _ in range(5)]
    shop.ask(version, everybody[0])
    told: dict[str, Any] = {"client_id": shop.client_id, "journey_id": version.journey_id}
    with write(shop.sessions) as session:
        segment = create_segment(
            session, shop.clock, client_id=shop.client_id, name="All", rule="everyone"
        )
        entered, asked = asking.ask_segment(session, shop.clock, segment=segment, **told)
        assert (sorted(entered), asked) == (everybody[1:], set(everybody))
    shop.member()
    with write(shop.sessions) as session, pytest.raises(InvalidError) as wrong:
        asking.ask_segment(session, shop.clock, segment=segment, **told)
    assert wrong.value.field == "segment_id"
