"""Mirrors echelonx/commands/campaign.py and log.py: what is shown of a run and its messages."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from campaigns.campaign import create_campaign
from campaigns.plan import Lane, Plan
from campaigns.run import Run, RunStatus
from channels.channel import Channel
from communications.communication import Direction, MessageType, Reason
from communications.status import STATUS_OF, Rank, Status
from core.clock import SystemClock
from core.db import write
from core.settings import Settings
from echelonx import wiring
from tests.echelonx.conftest import Call
from tests.factories import Factory

UNSENT: dict[Status, Reason | None] = {
    Status.QUEUED: None,
    Status.SKIPPED: Reason.NO_CONSENT,
    Status.FAILED: Reason.REJECTED,
    Status.UNKNOWN: Reason.NO_ANSWER,
}


@pytest.fixture
def services(shop: dict[str, Any], tmp_path: Path) -> Iterator[wiring.Services]:
    settings = Settings(database_url=f"sqlite:///{tmp_path / 'echelonx.db'}", data_dir=tmp_path)
    made = wiring.build(settings)
    yield made
    made.close()


@pytest.fixture
def make(services: wiring.Services, shop: dict[str, Any]) -> Factory:
    factory = Factory(services.sessions, SystemClock(), shop["client"])
    factory.vault, factory.hasher = services.vault, services.hasher
    return factory


@pytest.fixture
def campaign(services: wiring.Services, make: Factory) -> int:
    """A campaign whose run has messages in every status, `n` of the n-th."""
    now = services.clock.now()
    with write(services.sessions) as session:
        made = create_campaign(
            session, services.clock, client_id=make.client_id, name="All", type="sms",
            target_audience={"rule": "everyone"},
        )  # fmt: skip
        run = Run(
            client_id=make.client_id, campaign_id=made.id, occurrence_key="once",
            status=RunStatus.DONE, audience={}, audience_size=55, last_member_id=99,
            plan=Plan(MessageType.MARKETING, 2, (Lane(Channel.SMS, 1, 1, ()),)).to_json(),
            expanded=55, expanded_at=now, started_at=now,
        )  # fmt: skip
        session.add(run)
        session.flush()
        campaign_id, run_id = made.id, run.id
    ranks = {status: rank for rank, status in STATUS_OF.items() if rank is not Rank.OPEN}
    for count, status in enumerate([*UNSENT, *ranks], start=1):
        values: dict[str, Any] = {"status": status, "rank": ranks.get(status, Rank.OPEN)}
        if status in UNSENT:
            values |= {"reason": UNSENT[status], "sent_at": None}
        for _ in range(count):
            make.message(channel="sms", run_id=run_id, campaign_id=campaign_id, **values)
    return campaign_id


def shown(text: str) -> dict[str, int]:
    """The columns of the table, by name."""
    lines = text.splitlines()
    [at] = [i for i, line in enumerate(lines) if line.startswith("channel")]
    values = lines[at + 1].split()
    return {
        name: int(value.replace(",", ""))
        for name, value in zip(lines[at].split()[1:], values[1:], strict=True)
    }


@pytest.mark.parametrize("deed", ["show", "watch"])
def test_the_columns_that_are_shown_add_up(deed: str, call: Call, campaign: int) -> None:
    told = call("campaign", deed, str(campaign))

    numbers = shown(told.out)
    parts = ("queued", "sent", "skipped", "failed", "unknown")
    assert all(numbers[name] for name in parts)
    assert numbers["audience"] == sum(numbers[name] for name in parts)
    assert numbers["sent"] == numbers["delivered"] + numbers["bounced"] + numbers["pending"]
    assert "audience = queued + sent + skipped + failed + unknown\n" in told.out
    assert "sent = delivered + bounced + pending\n" in told.out
    widest = max(len(line) for line in told.out.splitlines() if line.startswith(("channel", "sms")))
    assert widest <= 100


def test_a_campaigns_wordings_are_held_beside_each_other(call: Call, campaign: int) -> None:
    told = json.loads(
        call("campaign", "experiment", str(campaign), "--goal", "order", "--json").out
    )
    assert (told["goal"], told["trials"][0]["verdict"]) == ("order", "no_test")

    text = call("campaign", "experiment", str(campaign)).out
    assert "assigned" in text
    assert "No test: there is one wording." in text


def test_the_log_of_one_provider_and_error(call: Call, make: Factory) -> None:
    account = make.account("twilio", Channel.SMS, {})
    failed = {"status": Status.FAILED, "error_code": "30003", "sent_at": None}
    made = make.message(channel="sms", provider_account_id=account, **failed)
    make.message(channel="sms", error_code="30003")
    make.message(channel="sms", provider_account_id=account)

    told = call("log", "tail", "--provider", "twilio", "--error", "30003", "--json").out

    assert [json.loads(line)["id"] for line in told.splitlines()] == [made]


def test_a_reply_is_shown_as_one(call: Call, make: Factory) -> None:
    make.message(channel="sms")
    make.message(
        channel="sms",
        direction=Direction.INBOUND,
        status=Status.DELIVERED,
        from_address="+12015550123",
        to_address="+15005550006",
        sent_at=None,
    )

    rows = [json.loads(line) for line in call("log", "tail", "--json").out.splitlines()]
    _, sent, reply = call("log", "tail").out.splitlines()

    assert [row["direction"] for row in rows] == ["outbound", "inbound"]
    assert rows[1]["from"] == "+1***23", "masked, as everywhere"
    assert " outbound " in sent
    assert " inbound " in reply
    assert reply.endswith("+1***23  +1***06")
