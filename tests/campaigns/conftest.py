"""A small shop: provider accounts, templates, members in every condition, campaigns."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from sqlalchemy import select

from accounts.client import Client
from campaigns.campaign import Campaign, create_campaign
from campaigns.fan_out import step
from campaigns.launch import launch
from campaigns.run import Run
from campaigns.template import create_template
from channels.channel import Channel
from communications.account import ProviderAccount
from communications.communication import Communication
from core.clock import ManualClock
from core.db import Sessions, read, write
from members.address import AddressState, MemberAddress
from members.consent import ConsentState, CurrentConsent
from members.member import Member

MakeMember = Callable[..., int]
MakeCampaign = Callable[..., int]
MakeTemplate = Callable[..., int]
Launch = Callable[[int], Run]
ADAPTERS = {Channel.EMAIL: "smtp", Channel.SMS: "twilio", Channel.PUSH: "fcm"}
WORDS = {
    Channel.EMAIL: {
        "subject": "{{ member.first_name }}, hello",
        "html": '<p>{{ member.attributes.city }} <a href="{{ unsubscribe_url }}">Leave</a></p>',
    },
    Channel.SMS: {"text": "Hello {{ first_name }}"},
    Channel.PUSH: {"subject": "Hello", "text": "{{ first_name }}"},
}


def hash_of(value: str) -> str:
    """Stand in for the keyed hash."""
    return hashlib.md5(value.encode(), usedforsecurity=False).hexdigest()


@pytest.fixture
def account_ids(sessions: Sessions, clock: ManualClock, client_id: int) -> dict[Channel, int]:
    """An active provider account per channel, whose adapter is never built."""
    with write(sessions) as session:
        accounts = [
            ProviderAccount(
                client_id=client_id,
                name=adapter,
                adapter=adapter,
                channel=channel,
                config=b"",
                token=f"token-{adapter}",
                created_at=clock.now(),
                updated_at=clock.now(),
            )
            for channel, adapter in ADAPTERS.items()
        ]
        session.add_all(accounts)
        session.flush()
        return {account.channel: account.id for account in accounts}


@pytest.fixture
def template_ids(sessions: Sessions, clock: ManualClock, client_id: int) -> dict[Channel, int]:
    """A template per channel."""
    with write(sessions) as session:
        return {
            channel: create_template(
                session, clock, client_id=client_id, name=channel.value, channel=channel, **words
            ).id
            for channel, words in WORDS.items()
        }


@pytest.fixture
def make_template(sessions: Sessions, clock: ManualClock, client_id: int) -> MakeTemplate:
    """Write another template for a channel, with other words if given; return its id."""
    numbers = iter(range(1, 1000))

    def make(channel: Channel, **words: str) -> int:
        with write(sessions) as session:
            return create_template(
                session, clock, client_id=client_id, name=f"{channel} {next(numbers)}",
                channel=channel, **(words or WORDS[channel]),
            ).id  # fmt: skip

    return make


@pytest.fixture
def make_member(sessions: Sessions, clock: ManualClock, client_id: int) -> MakeMember:
    """Insert a member with addresses by channel, consent for all of them unless told otherwise."""
    numbers = iter(range(1, 1_000_000))

    def make(
        *,
        addresses: dict[str, str] | None = None,
        consents: Sequence[str] | None = None,
        withdrawn: Sequence[str] = (),
        state: AddressState = AddressState.ACTIVE,
        **fields: Any,
    ) -> int:
        number = next(numbers)
        if addresses is None:
            addresses = {"email": f"m{number}@example.com"}
        now = clock.now()
        stamps = {"created_at": now, "updated_at": now}
        values = {"client_id": client_id, "member_id": f"m{number}", "first_name": f"Ana {number}"}
        with write(sessions) as session:
            member = Member(**{**values, **stamps, **fields})
            session.add(member)
            session.flush()
            for channel, value in addresses.items():
                session.add(
                    MemberAddress(
                        client_id=member.client_id,
                        member_id=member.id,
                        channel=channel,
                        value=value,
                        hash=hash_of(value),
                        state=state,
                        **stamps,
                    )
                )
            granted = addresses if consents is None else consents
            for channel in {*granted, *withdrawn}:
                word = ConsentState.WITHDRAWN if channel in withdrawn else ConsentState.GRANTED
                session.add(
                    CurrentConsent(
                        client_id=member.client_id,
                        member_id=member.id,
                        channel=channel,
                        topic="marketing",
                        state=word,
                        occurred_at=now,
                    )
                )
            return member.id

    return make


@pytest.fixture
def make_campaign(
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    template_ids: dict[Channel, int],
    account_ids: dict[Channel, int],
) -> MakeCampaign:
    """Draft a campaign for everyone over the channels given; return its id."""
    numbers = iter(range(1, 1000))

    def make(*channels: Channel, **values: Any) -> int:
        used = channels or (Channel.EMAIL,)
        given = {
            "name": f"Campaign {next(numbers)}",
            "type": "mixed",
            "target_audience": {"rule": {"everyone": True}},
            "variants": [
                {"channel": channel, "template_id": template_ids[channel]} for channel in used
            ],
        }
        with write(sessions) as session:
            return create_campaign(session, clock, client_id=client_id, **{**given, **values}).id

    return make


@pytest.fixture
def start(sessions: Sessions, clock: ManualClock, client_id: int) -> Launch:
    """Launch a campaign and return its run."""

    def go(campaign_id: int) -> Run:
        with write(sessions) as session:
            run = launch(session, clock, client_id=client_id, campaign_id=campaign_id)
        assert run is not None
        return run

    return go


@pytest.fixture
def expand(sessions: Sessions, clock: ManualClock) -> Callable[[], int]:
    """Step until every run is fanned out; return how many steps that took."""

    def go() -> int:
        steps = 0
        while step(sessions, clock):
            steps += 1
        return steps

    return go


@pytest.fixture
def log(sessions: Sessions) -> Callable[[], list[Communication]]:
    """Read the whole log, by member and channel."""

    def look() -> list[Communication]:
        with read(sessions) as session:
            query = select(Communication)
            return list(
                session.scalars(query.order_by(Communication.member_id, Communication.channel))
            )

    return look


@pytest.fixture
def campaign_now(sessions: Sessions) -> Callable[[int], Campaign]:
    """Read a campaign anew."""

    def look(campaign_id: int) -> Campaign:
        with read(sessions) as session:
            return session.get_one(Campaign, campaign_id)

    return look


@pytest.fixture
def run_now(sessions: Sessions) -> Callable[[int], Run]:
    """Read a run anew."""

    def look(run_id: int) -> Run:
        with read(sessions) as session:
            return session.get_one(Run, run_id)

    return look


@pytest.fixture
def other_client_id(sessions: Sessions, clock: ManualClock) -> int:
    """Another client."""
    with write(sessions) as session:
        client = Client(name="Other", created_at=clock.now(), updated_at=clock.now())
        session.add(client)
        session.flush()
        return client.id
