"""Mirrors campaigns/spending.py: what was spent, and what a limit stops."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from accounts.client import Client, client, update_client
from campaigns.errors import LaunchBlockedError
from campaigns.preflight import check
from campaigns.spending import limited_clients, spend, usage
from channels.channel import Channel
from communications.communication import Direction
from communications.status import Status
from core.clock import ManualClock
from core.db import Sessions, read, write
from tests.campaigns.conftest import Launch, MakeCampaign, MakeMember
from tests.factories import Factory

OCTOBER = datetime(2026, 10, 31, 12, tzinfo=UTC)


@pytest.fixture
def sent(
    sessions: Sessions, clock: ManualClock, client_id: int, make_campaign: MakeCampaign
) -> int:
    """Messages of a campaign at 0.02 each, some with a provider's price; returns the campaign."""
    make = Factory(sessions, clock, client_id)
    campaign = make_campaign(cost_per_message=Decimal("0.02"))
    member = make.member()

    def message(**values: object) -> None:
        make.message(member, **values)  # type: ignore[arg-type]

    message(channel="sms", cost=Decimal("0.1"), currency="USD", created_at=OCTOBER)
    for _ in range(3):
        message(channel="sms", cost=Decimal("0.1"), currency="USD", campaign_id=campaign)
    undelivered = {"status": Status.FAILED, "reason": "undelivered"}
    message(channel="sms", cost=Decimal("0.0075"), currency="EUR", **undelivered)
    for _ in range(2):
        message(campaign_id=campaign)
    message(campaign_id=campaign, status=Status.SKIPPED, reason="suppressed", sent_at=None)
    message(campaign_id=campaign, direction=Direction.INBOUND)
    stranger = make.another_client()
    stranger.message(stranger.member(), channel="sms", cost=Decimal(9), currency="USD")
    return campaign


def limit(sessions: Sessions, clock: ManualClock, client_id: int, amount: str | None) -> None:
    with write(sessions) as session:
        told = None if amount is None else Decimal(amount)
        update_client(session, clock, client_id=client_id, monthly_spend_limit=told)


def test_usage_by_month_channel_and_currency(
    sessions: Sessions, clock: ManualClock, client_id: int, sent: int
) -> None:
    with read(sessions) as session:
        found = usage(session, clock, client_id=client_id)
        month = spend(session, clock, client(session, client_id))

    assert {
        (one.month, one.channel.value, one.currency): (
            one.sent, one.not_sent, one.received, str(one.settled), str(one.estimated),
        )
        for one in found
    } == {
        ("2026-11", "email", None): (2, 1, 1, "0.000000", "0.040000"),
        ("2026-11", "sms", "EUR"): (1, 0, 0, "0.007500", "0.000000"),
        ("2026-11", "sms", "USD"): (3, 0, 0, "0.300000", "0.000000"),
        ("2026-10", "sms", "USD"): (1, 0, 0, "0.100000", "0.000000"),
    }  # fmt: skip
    assert month.settled == {"EUR": Decimal("0.0075"), "USD": Decimal("0.3")}
    assert (month.estimated, month.highest) == (Decimal("0.04"), Decimal("0.34"))
    assert (month.near, month.reached) == (False, False), "there is no limit"


@pytest.mark.parametrize(
    ("amount", "near", "reached"),
    [("1", False, False), ("0.42", True, False), ("0.34", True, True), ("0", True, True)],
)
def test_a_limit_warns_from_four_fifths_on(
    sessions: Sessions, clock: ManualClock, client_id: int, sent: int, amount: str,
    near: bool, reached: bool,
) -> None:  # fmt: skip
    limit(sessions, clock, client_id, amount)
    with read(sessions) as session:
        (limited,) = limited_clients(session)
        month = spend(session, clock, limited)
    assert isinstance(limited, Client)
    assert (month.near, month.reached) == (near, reached)


def test_preflight_warns_before_the_limit_and_stops_a_launch_at_it(
    sessions: Sessions, clock: ManualClock, client_id: int, sent: int,
    make_member: MakeMember, make_campaign: MakeCampaign, start: Launch,
    account_ids: dict[Channel, int],
) -> None:  # fmt: skip
    make_member()
    cheap, dear = make_campaign(), make_campaign(cost_per_message=Decimal(5))

    def codes(campaign: int) -> tuple[list[str], list[str]]:
        with read(sessions) as session:
            found = check(session, clock, client_id=client_id, campaign_id=campaign)
        told = [one.code for one in found.warnings if one.code.startswith("spend")]
        return [one.code for one in found.blockers], told

    limit(sessions, clock, client_id, "5")
    assert (codes(cheap), codes(dear)) == (([], []), ([], ["spend_limit_near"]))
    limit(sessions, clock, client_id, "0.34")
    assert codes(cheap) == (["spend_limit_reached"], [])
    with pytest.raises(LaunchBlockedError):
        start(cheap)

    clock.set(datetime(2026, 12, 1, tzinfo=UTC))
    assert codes(cheap) == ([], [])
    start(cheap)
