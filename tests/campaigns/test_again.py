"""Mirrors campaigns/again.py."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from campaigns import again
from campaigns.control import cancel, pause, resume
from campaigns.run import Run
from communications.communication import Communication, Reason
from communications.doubt import doubt
from communications.errors import CancelledRunError
from communications.poison import Verdict
from communications.status import Status
from communications.unknown import ALL, Decision, Resolved, Which
from core.clock import ManualClock
from core.db import Sessions, write
from tests.campaigns.conftest import Launch, MakeCampaign, MakeMember

Log = Callable[[], list[Communication]]


class Operator:
    """Does things to one client's messages, each in a transaction of its own."""

    def __init__(self, sessions: Sessions, clock: ManualClock, client_id: int) -> None:
        self._sessions, self._clock, self._client_id = sessions, clock, client_id

    def resolve(self, decision: Decision, expected: int, which: Which = ALL) -> Resolved:
        with write(self._sessions) as session:
            return again.resolve(
                session,
                self._clock,
                client_id=self._client_id,
                which=which,
                decision=decision,
                expected=expected,
                actor="cli",
            )

    def release(self, expected: int) -> Resolved:
        with write(self._sessions) as session:
            return again.decide(
                session,
                self._clock,
                client_id=self._client_id,
                ids=None,
                verdict=Verdict.RELEASE,
                expected=expected,
                actor="cli",
            )

    def campaign(self, deed: Callable[..., object], campaign_id: int) -> None:
        with write(self._sessions) as session:
            deed(session, self._clock, client_id=self._client_id, campaign_id=campaign_id)


@pytest.fixture
def operator(sessions: Sessions, clock: ManualClock, client_id: int) -> Operator:
    return Operator(sessions, clock, client_id)


@pytest.fixture
def run(
    make_member: MakeMember, make_campaign: MakeCampaign, start: Launch, expand: Callable[[], int]
) -> Run:
    """A run of two messages, fanned out."""
    for _ in range(2):
        make_member()
    made = start(make_campaign())
    expand()
    return made


@pytest.fixture
def unknown(run: Run, sessions: Sessions, clock: ManualClock) -> Run:
    """The same, after the database was restored."""
    with write(sessions) as session:
        doubt(session, clock, until=clock.now())
    return run


def states(log: Log) -> set[tuple[Status, str | None]]:
    return {(row.status, row.held) for row in log()}


def test_what_is_sent_again_waits_with_its_paused_campaign(
    unknown: Run, operator: Operator, log: Log
) -> None:
    operator.campaign(pause, unknown.campaign_id)

    assert operator.resolve(Decision.RESEND, 2).run_ids == (unknown.id,)
    assert states(log) == {(Status.QUEUED, "paused")}

    operator.campaign(resume, unknown.campaign_id)
    assert states(log) == {(Status.QUEUED, None)}


def test_of_a_running_campaign_it_goes_at_once(unknown: Run, operator: Operator, log: Log) -> None:
    operator.resolve(Decision.RESEND, 2)

    assert states(log) == {(Status.QUEUED, None)}


def test_of_a_cancelled_campaign_it_is_not_sent_again(
    unknown: Run, operator: Operator, log: Log
) -> None:
    operator.campaign(cancel, unknown.campaign_id)

    with pytest.raises(CancelledRunError) as caught:
        operator.resolve(Decision.RESEND, 2)

    assert str(unknown.id) in str(caught.value)
    assert states(log) == {(Status.UNKNOWN, None)}
    operator.resolve(Decision.NOT_SENT, 2)
    assert {row.reason for row in log()} == {Reason.GIVEN_UP}


def test_what_is_released_waits_with_its_paused_campaign(
    run: Run, operator: Operator, log: Log, sessions: Sessions
) -> None:
    with write(sessions) as session:
        session.execute(update(Communication).values(held="poison", crashes=3))
    operator.campaign(pause, run.campaign_id)

    operator.release(2)

    assert states(log) == {(Status.QUEUED, "paused")}
    assert {row.crashes for row in log()} == {0}
