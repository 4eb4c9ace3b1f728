"""Mirrors campaigns/journeys/journey.py, and the reads of people.py: what is another client's."""

from sqlalchemy import select

from campaigns.journeys.enrolment import Enrolment
from campaigns.journeys.journey import journeys, versions
from campaigns.journeys.people import Which, chosen
from core.db import read
from tests.campaigns.journeys.conftest import Shop


def test_what_is_another_clients_is_in_no_read(shop: Shop) -> None:
    shop.template("hello")
    version = shop.publish('journey "J"\n  when asked\n  send email "hello"\n  wait 1d\n')
    shop.ask(version, shop.member())

    def seen(client_id: int) -> tuple[int, int, int]:
        with read(shop.sessions) as session:
            inside = select(Enrolment.id).where(
                *chosen(session, client_id, version.journey_id, Which())
            )
            return (
                len(journeys(session, client_id)),
                len(versions(session, client_id, version.journey_id)),
                len(session.scalars(inside).all()),
            )

    assert seen(shop.client_id) == (1, 1, 1)
    assert seen(shop.client_id + 1) == (0, 0, 0)
