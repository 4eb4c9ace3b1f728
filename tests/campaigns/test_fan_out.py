"""Mirrors campaigns/fan_out.py."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, select, update

from accounts.endpoint import add_endpoint
from accounts.outbox import EndpointDelivery
from campaigns import fan_out
from campaigns.campaign import Campaign, CampaignStatus
from campaigns.fan_out import step
from campaigns.run import Run
from channels.channel import Channel
from communications.claim import claim
from communications.communication import Communication, MessageType, Reason
from communications.status import Status
from core.clock import ManualClock
from core.db import Sessions, write
from core.secret import Vault
from members.address import AddressState
from members.member import Member, MemberStatus
from members.suppression import Scope, Suppression, SuppressionReason
from tests.campaigns.conftest import Launch, MakeCampaign, MakeMember, MakeTemplate, hash_of
from tests.factories import KEY, MovingClock

Log = Callable[[], list[Communication]]
Expand = Callable[[], int]


def test_every_member_gets_one_row_per_channel(
    make_member: MakeMember, make_campaign: MakeCampaign, start: Launch, expand: Expand, log: Log
) -> None:
    both = make_member(addresses={"email": "a@example.com", "sms": "+12015550101"})
    mail = make_member(addresses={"email": "b@example.com"})
    run = start(make_campaign(Channel.EMAIL, Channel.SMS))

    expand()

    assert [(row.member_id, row.channel, row.status, row.reason) for row in log()] == [
        (both, Channel.EMAIL, Status.QUEUED, None),
        (both, Channel.SMS, Status.QUEUED, None),
        (mail, Channel.EMAIL, Status.QUEUED, None),
        (mail, Channel.SMS, Status.SKIPPED, Reason.NO_ADDRESS),
    ]
    assert {row.run_id for row in log()} == {run.id}


def test_each_member_gets_one_of_several_wordings_by_its_share(
    make_member: MakeMember, make_campaign: MakeCampaign, make_template: MakeTemplate,
    start: Launch, expand: Expand, log: Log,
) -> None:  # fmt: skip
    for number in range(200):
        make_member(addresses={"sms": f"+1201555{number:04d}"} if number % 4 else {})
    words = ({"text": "Hello {{ first_name }}"}, {"text": "{{ last_name }} of {{ tier }}"})
    variants = [
        {"channel": "sms", "template_id": make_template(Channel.SMS, **text), "weight": weight}
        for text, weight in zip(words, (1, 3), strict=True)
    ]
    first, again = (start(make_campaign(variants=variants)) for _ in range(2))

    expand()

    one, three = (share["template_version_id"] for share in first.plan["channels"]["sms"]["shares"])
    got = [
        {row.member_id: row.template_version_id for row in log() if row.run_id == run.id}
        for run in (first, again)
    ]
    counted = Counter(got[0].values())
    assert set(counted) == {one, three}
    assert counted.total() == 200, "who has no number is in the draw, too"
    assert 30 <= counted[one] <= 70
    assert got[0] != got[1], "another campaign draws anew"
    shown = {tuple(sorted(row.merge)) for row in log() if row.status is Status.QUEUED}
    assert shown == {("first_name", "last_name", "tier")}


def test_a_queued_row_holds_all_a_worker_needs(
    sessions: Sessions,
    clock: ManualClock,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Expand,
    account_ids: dict[Channel, int],
) -> None:
    member_id = make_member(attributes={"city": "Berlin", "vip": True})
    campaign_id = make_campaign(Channel.EMAIL, priority="high")
    run = start(campaign_id)
    started = clock.now()
    clock.advance(seconds=30)
    expand()

    with write(sessions) as session:
        (row,) = claim(
            session,
            clock,
            account_id=account_ids[Channel.EMAIL],
            owner="worker#1",
            limit=10,
            lease_seconds=120,
            cursors={},
        )
        stored = session.get_one(Communication, row.id)

    assert row.merge == {"first_name": "Ana 1", "attributes.city": "Berlin"}
    assert row.to_address == "m1@example.com"
    assert row.message_type is MessageType.MARKETING
    assert row.template_version_id == run.plan["channels"]["email"]["template_version_id"]
    assert (stored.member_id, stored.campaign_id) == (member_id, campaign_id)
    assert stored.address_hash == hash_of("m1@example.com")
    assert stored.priority == 1
    assert (stored.not_before, stored.expires_at) == (started, started + timedelta(hours=72))
    assert (stored.created_at, stored.updated_at) == (clock.now(), clock.now())


REASONS: dict[str, tuple[dict[str, Any], Reason]] = {
    "without an address": ({"addresses": {}}, Reason.NO_ADDRESS),
    "with another channel only": ({"addresses": {"sms": "+12015550101"}}, Reason.NO_ADDRESS),
    "with a dead address": ({"state": AddressState.INVALID}, Reason.INVALID_ADDRESS),
    "suppressed": ({"addresses": {"email": "stop@example.com"}}, Reason.SUPPRESSED),
    "suppressed for marketing": ({"addresses": {"email": "ad@example.com"}}, Reason.SUPPRESSED),
    "never asked": ({"consents": []}, Reason.NO_CONSENT),
    "asked for sms only": ({"consents": ["sms"]}, Reason.NO_CONSENT),
    "who withdrew": ({"withdrawn": ["email"]}, Reason.NO_CONSENT),
    "suppressed and without consent": (
        {"addresses": {"email": "stop@example.com"}, "consents": []},
        Reason.SUPPRESSED,
    ),
    "with a dead and suppressed address": (
        {"addresses": {"email": "stop@example.com"}, "state": AddressState.INVALID},
        Reason.INVALID_ADDRESS,
    ),
}


@pytest.mark.parametrize("case", REASONS)
def test_a_member_who_may_not_be_written_to_is_skipped_with_the_first_reason(
    make_member: MakeMember,
    suppressions: None,
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Expand,
    log: Log,
    case: str,
) -> None:
    values, reason = REASONS[case]
    make_member(**values)
    start(make_campaign(Channel.EMAIL))

    expand()

    (row,) = log()
    assert (row.status, row.reason) == (Status.SKIPPED, reason)
    assert row.address_hash is None
    assert row.merge == {}


def test_endpoints_are_told_of_who_is_skipped(
    make_member: MakeMember, make_campaign: MakeCampaign, start: Launch, sessions: Sessions,
    clock: ManualClock, client_id: int,
) -> None:  # fmt: skip
    make_member(addresses={})
    with write(sessions) as session:
        add_endpoint(
            session, clock, Vault(KEY), client_id=client_id, url="https://crm.example.com",
            types=["communication.skipped"],
        )  # fmt: skip
    start(make_campaign(Channel.EMAIL))
    assert step(sessions, MovingClock(clock.now()))
    with sessions() as session:
        [told] = session.scalars(select(EndpointDelivery))
        assert told.data["status"] == "skipped"


def test_what_is_not_marketing_needs_no_consent_and_heeds_only_full_suppressions(
    make_member: MakeMember,
    suppressions: None,
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Expand,
    log: Log,
) -> None:
    make_member(withdrawn=["email"])
    make_member(addresses={"email": "ad@example.com"})
    make_member(addresses={"email": "stop@example.com"})
    start(make_campaign(Channel.EMAIL, category="transactional"))

    expand()

    assert [row.reason for row in log()] == [None, None, Reason.SUPPRESSED]
    assert {row.message_type for row in log()} == {MessageType.TRANSACTIONAL}


def test_a_suppression_on_one_channel_leaves_the_other_alone(
    make_member: MakeMember,
    suppressions: None,
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Expand,
    log: Log,
) -> None:
    make_member(addresses={"email": "stop@example.com", "sms": "+12015550101"})
    start(make_campaign(Channel.EMAIL, Channel.SMS))

    expand()

    assert [(row.channel, row.reason) for row in log()] == [
        (Channel.EMAIL, Reason.SUPPRESSED),
        (Channel.SMS, None),
    ]


def test_a_shared_address_gets_one_message_also_across_chunks(
    monkeypatch: pytest.MonkeyPatch,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Expand,
    log: Log,
) -> None:
    small_chunks(monkeypatch, 2)
    for consents in ([], ["email"], ["email"], ["email"], ["email"]):
        make_member(addresses={"email": "family@example.com"}, consents=consents)
    start(make_campaign(Channel.EMAIL))

    expand()

    again = Reason.DUPLICATE_ADDRESS
    assert [row.reason for row in log()] == [Reason.NO_CONSENT, None, again, again, again]


def test_who_was_deleted_suspended_or_has_churned_is_not_in_it(
    clock: ManualClock,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Expand,
    log: Log,
) -> None:
    make_member(deleted_at=clock.now())
    make_member(status=MemberStatus.SUSPENDED)
    make_member(status=MemberStatus.CHURNED)
    inactive = make_member(status=MemberStatus.INACTIVE)
    start(make_campaign(Channel.EMAIL))

    expand()

    assert [row.member_id for row in log()] == [inactive]


def test_members_of_another_client_are_not_in_it(
    sessions: Sessions,
    clock: ManualClock,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Expand,
    log: Log,
    other_client_id: int,
) -> None:
    make_member(client_id=other_client_id)
    mine = make_member()
    start(make_campaign(Channel.EMAIL))

    expand()

    assert [row.member_id for row in log()] == [mine]


def test_members_who_come_after_the_launch_are_not_in_it(
    make_member: MakeMember, make_campaign: MakeCampaign, start: Launch, expand: Expand, log: Log
) -> None:
    early = make_member()
    start(make_campaign(Channel.EMAIL))
    make_member()

    expand()

    assert [row.member_id for row in log()] == [early]


def test_only_the_rules_members_are_in_it(
    make_member: MakeMember, make_campaign: MakeCampaign, start: Launch, expand: Expand, log: Log
) -> None:
    make_member(tier="basic")
    premium = make_member(tier="premium")
    start(make_campaign(Channel.EMAIL, target_audience={"rule": 'tier = "premium"'}))

    expand()

    assert [row.member_id for row in log()] == [premium]


def test_the_first_chunk_is_small_and_the_run_knows_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch,
    sessions: Sessions,
    clock: ManualClock,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    run_now: Callable[[int], Run],
) -> None:
    monkeypatch.setattr(fan_out, "FIRST_CHUNK", 1)
    monkeypatch.setattr(fan_out, "CHUNK", 3)
    members = [make_member() for _ in range(6)]
    run = start(make_campaign(Channel.EMAIL))

    seen = []
    while step(sessions, clock):
        now = run_now(run.id)
        seen.append((now.cursor, now.expanded, now.expanded_at is not None))

    assert seen == [
        (members[0], 1, False),
        (members[3], 4, False),
        (members[5], 6, True),
    ]
    assert run_now(run.id).audience_size == 6


def test_an_audience_that_shrank_to_nobody_ends_the_fan_out(
    sessions: Sessions,
    clock: ManualClock,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    run_now: Callable[[int], Run],
) -> None:
    member_id = make_member()
    run = start(make_campaign(Channel.EMAIL))
    with write(sessions) as session:
        session.execute(update(Member).where(Member.id == member_id).values(deleted_at=clock.now()))

    assert step(sessions, clock)
    assert not step(sessions, clock)

    assert run_now(run.id).expanded_at == clock.now()
    assert run_now(run.id).audience_size == 0


def test_a_crash_in_a_chunk_leaves_rows_and_cursor_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
    sessions: Sessions,
    engine: Engine,
    clock: ManualClock,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Expand,
    log: Log,
    run_now: Callable[[int], Run],
) -> None:
    small_chunks(monkeypatch, 2)
    members = [make_member() for _ in range(5)]
    run = start(make_campaign(Channel.EMAIL, Channel.PUSH))
    step(sessions, clock)

    with crash_at(engine, "UPDATE runs"), pytest.raises(PowerCutError):
        step(sessions, clock)

    assert (run_now(run.id).cursor, run_now(run.id).expanded) == (members[1], 2)
    assert len(log()) == 4

    expand()

    assert Counter((row.member_id, row.channel) for row in log()) == Counter(
        (member, channel) for member in members for channel in (Channel.EMAIL, Channel.PUSH)
    )
    assert run_now(run.id).expanded == 5


def test_workers_side_by_side_make_exact_rows(
    monkeypatch: pytest.MonkeyPatch,
    sessions: Sessions,
    clock: ManualClock,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    log: Log,
    run_now: Callable[[int], Run],
) -> None:
    small_chunks(monkeypatch, 3)
    members = [make_member() for _ in range(40)]
    run = start(make_campaign(Channel.EMAIL))

    def work(_: int) -> None:
        while run_now(run.id).expanded_at is None:
            step(sessions, clock)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))

    assert [row.member_id for row in log()] == members
    assert run_now(run.id).expanded == 40


def test_a_paused_run_is_not_expanded(
    sessions: Sessions,
    clock: ManualClock,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
) -> None:
    make_member()
    run = start(make_campaign(Channel.EMAIL))
    with write(sessions) as session:
        session.execute(update(Run).where(Run.id == run.id).values(status="paused"))

    assert not step(sessions, clock)


def test_a_run_whose_rule_cannot_be_evaluated_is_paused_and_blocks_no_other(
    sessions: Sessions,
    make_member: MakeMember,
    make_campaign: MakeCampaign,
    start: Launch,
    expand: Expand,
    log: Log,
    campaign_now: Callable[[int], Campaign],
) -> None:
    make_member()
    broken, sound = make_campaign(Channel.EMAIL), make_campaign(Channel.EMAIL)
    broken_run, sound_run = start(broken), start(sound)
    with write(sessions) as session:
        rule = {"rule": {"no such": "condition"}}
        session.execute(update(Run).where(Run.id == broken_run.id).values(audience=rule))

    expand()

    assert campaign_now(broken).status is CampaignStatus.PAUSED
    assert campaign_now(broken).status_reason
    assert [row.run_id for row in log()] == [sound_run.id]


def small_chunks(monkeypatch: pytest.MonkeyPatch, members: int) -> None:
    monkeypatch.setattr(fan_out, "FIRST_CHUNK", members)
    monkeypatch.setattr(fan_out, "CHUNK", members)


class PowerCutError(Exception):
    """The process is gone."""


@contextmanager
def crash_at(engine: Engine, start: str) -> Iterator[None]:
    """Raise when a statement that starts with this is about to run."""

    def look(*arguments: Any) -> None:
        if arguments[2].startswith(start):
            raise PowerCutError

    event.listen(engine, "before_cursor_execute", look)
    yield
    event.remove(engine, "before_cursor_execute", look)


@pytest.fixture
def suppressions(sessions: Sessions, clock: ManualClock, client_id: int) -> None:
    """Suppress stop@ for everything and ad@ for marketing."""
    with write(sessions) as session:
        for address, scope in (("stop", Scope.ALL), ("ad", Scope.MARKETING)):
            session.add(
                Suppression(
                    client_id=client_id,
                    channel="email",
                    address_hash=hash_of(f"{address}@example.com"),
                    masked="***",
                    scope=scope,
                    reason=SuppressionReason.MANUAL,
                    since=clock.now(),
                )
            )
