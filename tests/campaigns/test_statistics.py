"""Mirrors campaigns/statistics.py."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from campaigns.errors import RunNotFoundError
from campaigns.statistics import run_statistics, total
from channels.channel import Channel
from communications.communication import Communication, Reason
from communications.status import Status
from core.clock import ManualClock
from core.db import Sessions, read, write
from tests.campaigns.conftest import Launch, MakeCampaign, MakeMember


def test_a_run_that_has_not_begun_counts_zero_on_each_of_its_channels(
    sessions: Sessions,
    client_id: int,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
) -> None:
    make_member()
    run = start(make_campaign(Channel.EMAIL, Channel.SMS))

    with read(sessions) as session:
        numbers = run_statistics(session, client_id, run.id)

    assert set(numbers) == {Channel.EMAIL, Channel.SMS}
    assert {value for name, value in numbers[Channel.SMS].items() if name != "skipped_reasons"} == {
        0
    }
    assert numbers[Channel.SMS]["skipped_reasons"] == {}


def test_the_sums_hold_whatever_became_of_the_messages(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Callable[[], int],
    log: Callable[[], list[Communication]],
) -> None:
    for _ in Status:
        make_member()
    make_member(addresses={})
    run = start(make_campaign(Channel.EMAIL, Channel.PUSH))
    expand()
    mails = [row for row in log() if row.channel is Channel.EMAIL and row.reason is None]
    with write(sessions) as session:
        for row, status in zip(mails, Status, strict=True):
            reason = Reason.CANCELLED if status is Status.SKIPPED else None
            session.execute(
                update(Communication)
                .where(Communication.id == row.id)
                .values(status=status, reason=reason, lease_until=clock.now())
            )

    with read(sessions) as session:
        channels = run_statistics(session, client_id, run.id)

    mail = channels[Channel.EMAIL]
    assert mail["audience"] == len(Status) + 1
    for numbers in (*channels.values(), total(channels)):
        assert numbers["audience"] == (
            numbers["sent"]
            + numbers["skipped"]
            + numbers["failed"]
            + numbers["unknown"]
            + numbers["queued"]
        )
        assert numbers["sent"] == numbers["delivered"] + numbers["bounced"] + numbers["pending"]
        assert sum(numbers["skipped_reasons"].values()) == numbers["skipped"]
    assert mail["skipped_reasons"] == {"cancelled": 1, "no_address": 1}
    assert total(channels)["skipped_reasons"] == {"cancelled": 1, "no_address": 13}


def test_a_run_of_another_client_has_no_numbers(
    sessions: Sessions,
    client_id: int,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
) -> None:
    make_member()
    run = start(make_campaign())

    with read(sessions) as session, pytest.raises(RunNotFoundError):
        run_statistics(session, client_id + 1, run.id)
