"""A shop whose members walk through journeys; time moves only when a test says so."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from campaigns.journeys.advance import advance, due_journeys
from campaigns.journeys.ask import ask
from campaigns.journeys.enrolment import Enrolment, EnrolmentStep
from campaigns.journeys.hear import hear
from campaigns.journeys.journey import JourneyVersion
from campaigns.journeys.publish import create_journey, publish, save_draft
from campaigns.template import create_template
from channels.channel import Channel
from communications.communication import Communication
from core.address import AddressHasher
from core.clock import ManualClock
from core.db import Sessions, read, write
from members.signal import signalled
from members.tracking import ToldEvent, track
from tests.campaigns.conftest import MakeMember

HASHER = AddressHasher(b"a key for tests")
WORDS = {
    Channel.EMAIL: {"subject": "Hello {{ first_name }}", "html": "<p>{{ unsubscribe_url }}</p>"},
    Channel.SMS: {"text": "Hello {{ first_name }}"},
    Channel.PUSH: {"subject": "Hello", "text": "{{ first_name }}"},
}


class Shop:
    """One client with its journeys."""

    def __init__(
        self, sessions: Sessions, clock: ManualClock, client_id: int, make_member: MakeMember
    ) -> None:
        self.sessions, self.clock, self.client_id = sessions, clock, client_id
        self.member = make_member
        self._numbers = iter(range(1, 1_000_000))

    def template(self, name: str, channel: Channel = Channel.EMAIL, **words: str) -> int:
        with write(self.sessions) as session:
            return create_template(
                session, self.clock, client_id=self.client_id, name=name, channel=channel,
                **(WORDS[channel] | words),
            ).id  # fmt: skip

    def publish(self, text: str) -> JourneyVersion:
        with write(self.sessions) as session:
            made = create_journey(session, self.clock, client_id=self.client_id, text=text)
            return publish(session, self.clock, client_id=self.client_id, journey_id=made.id)

    def again(self, version: JourneyVersion, text: str) -> JourneyVersion:
        told = {"client_id": self.client_id, "journey_id": version.journey_id}
        with write(self.sessions) as session:
            save_draft(session, self.clock, **told, text=text)
            return publish(session, self.clock, **told)

    def ask(self, version: JourneyVersion, *member_ids: int) -> None:
        with write(self.sessions) as session:
            ask(
                session, self.clock, client_id=self.client_id, journey_id=version.journey_id,
                member_ids=member_ids,
            )  # fmt: skip

    def did(
        self,
        member_key: str,
        name: str,
        properties: Mapping[str, Any] | None = None,
        at: datetime | None = None,
    ) -> None:
        told = ToldEvent(
            name, f"m{next(self._numbers)}", {"member_id": member_key}, properties or {}, at
        )
        with write(self.sessions) as session:
            track(session, self.clock, HASHER, client_id=self.client_id, events=[told])

    def settle(self) -> None:
        """Draw every consequence and take every step that is due now."""
        while self.hear() or self.advance():
            pass

    def hear(self) -> int:
        with read(self.sessions) as session:
            clients = signalled(session)
        done = 0
        for client_id in clients:
            with write(self.sessions) as session:
                done += hear(session, self.clock, client_id=client_id)
        return done

    def advance(self, limit: int = 500) -> int:
        with read(self.sessions) as session:
            journeys = due_journeys(session, self.clock)
        done = 0
        for journey_id in journeys:
            with write(self.sessions) as session:
                done += advance(session, self.clock, HASHER, journey_id=journey_id, limit=limit)
        return done

    def pass_time(self, over: timedelta, step: timedelta = timedelta(hours=1)) -> None:
        """Let time go by in steps, settling at each, as workers would."""
        left = over
        while left > timedelta(0):
            some = min(left, step)
            self.clock.advance(seconds=some.total_seconds())
            left -= some
            self.settle()

    def enrolments(self, member_id: int | None = None) -> list[Enrolment]:
        query = select(Enrolment).order_by(Enrolment.id)
        if member_id is not None:
            query = query.where(Enrolment.member_id == member_id)
        with read(self.sessions) as session:
            return list(session.scalars(query))

    def trail(self, member_id: int) -> list[tuple[str, str]]:
        """The steps a member left, and by which way."""
        query = (
            select(EnrolmentStep.step, EnrolmentStep.way)
            .join(Enrolment, Enrolment.id == EnrolmentStep.enrolment_id)
            .where(Enrolment.member_id == member_id)
            .order_by(EnrolmentStep.enrolment_id, EnrolmentStep.visit)
        )
        with read(self.sessions) as session:
            return [(step, way) for step, way in session.execute(query)]

    def log(self, member_id: int | None = None) -> list[Communication]:
        query = select(Communication).order_by(Communication.id)
        if member_id is not None:
            query = query.where(Communication.member_id == member_id)
        with read(self.sessions) as session:
            return list(session.scalars(query))


@pytest.fixture
def shop(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    make_member: MakeMember,
    account_ids: dict[Channel, int],
) -> Shop:
    del account_ids  # there to be sent through
    return Shop(sessions, clock, client_id, make_member)
