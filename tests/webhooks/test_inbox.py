"""Mirrors webhooks/inbox.py."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from channels.adapter import RawWebhook
from channels.channel import Channel
from communications.account import ProviderAccount
from core.clock import ManualClock
from core.db import Sessions, write
from core.secret import SealedError, Vault
from tests.factories import KEY, Factory
from webhooks import inbox
from webhooks.inbox import CLAIM_BYTES, MAX_TRIES, InboxItem, InboxState

BODY = b'[{"email":"ana@example.com"}]\r\n\x00\xff'
HEADERS = {
    "content-type": "application/json",
    "x-twilio-signature": "s=",
    "x-forwarded-for": "10.1.2.3",
    "cookie": "session=1",
    "authorization": "Basic eDp5",
}
WEBHOOK = RawWebhook("https://x.example/webhooks/sendgrid/t?a=%2Bb", HEADERS, BODY)


@pytest.fixture
def vault() -> Vault:
    return Vault(KEY)


@pytest.fixture
def account_id(make: Factory) -> int:
    return make.account("sendgrid", Channel.EMAIL, {})


@pytest.fixture
def keep(sessions: Sessions, clock: ManualClock, vault: Vault, account_id: int):
    def store(webhook: RawWebhook = WEBHOOK, to: int = account_id) -> bool:
        with write(sessions) as session:
            account = session.get_one(ProviderAccount, to)
            row = inbox.sealed(clock, vault, account=account, webhook=webhook)
            return inbox.store(session, [row])[0]

    return store


@pytest.fixture
def claimed(sessions: Sessions, clock: ManualClock) -> Callable[[], list[int]]:
    def claim() -> list[int]:
        with write(sessions) as session:
            return [item.id for item in inbox.claim(session, clock, limit=50)]

    return claim


def test_a_request_comes_back_as_it_went(keep, vault, all_rows):
    keep()
    [item] = all_rows(InboxItem)
    kept = inbox.opened(vault, item)
    assert (kept.url, kept.body, kept.method) == (WEBHOOK.url, BODY, "POST")


def test_only_headers_an_adapter_may_want_are_kept(keep, vault, all_rows):
    keep()
    [item] = all_rows(InboxItem)
    assert set(inbox.opened(vault, item).headers) == {"content-type", "x-twilio-signature"}


def test_what_is_stored_shows_no_address(keep, all_rows):
    keep()
    [item] = all_rows(InboxItem)
    assert b"ana@example.com" not in item.request
    assert b"sendgrid" not in item.request


def test_a_request_opens_for_its_own_account_only(keep, make, vault, all_rows):
    keep()
    [item] = all_rows(InboxItem)
    item.provider_account_id += 1
    with pytest.raises(SealedError):
        inbox.opened(vault, item)


def test_the_same_request_again_is_counted_not_kept(keep, all_rows):
    assert [keep(), keep(), keep()] == [True, False, False]
    [item] = all_rows(InboxItem)
    assert item.repeats == 2


@pytest.mark.parametrize(
    "other",
    [
        replace(WEBHOOK, body=BODY + b" "),
        replace(WEBHOOK, url=WEBHOOK.url + "&b=1"),
        replace(WEBHOOK, method="GET"),
    ],
)
def test_any_difference_makes_another_request(keep, all_rows, other):
    assert (keep(), keep(other)) == (True, True)


def test_a_signature_made_anew_makes_no_other_request(keep):
    keep()
    assert not keep(replace(WEBHOOK, headers=HEADERS | {"x-twilio-signature": "t="}))


def test_two_accounts_may_get_the_same_bytes(keep, make):
    other = make.account("sendgrid", Channel.EMAIL, {})
    assert (keep(), keep(to=other)) == (True, True)


def test_items_are_claimed_oldest_first_and_once_applied_never_again(
    keep, sessions, clock, claimed
):
    for number in range(3):
        keep(replace(WEBHOOK, body=b"%d" % number))
    first, *rest = claimed()
    with write(sessions) as session:
        inbox.mark_applied(session, clock, counts={first: (2, 1)})
    assert claimed() == rest == sorted(rest)


def test_a_claim_takes_no_more_than_memory_bears_but_at_least_one(keep, claimed):
    for number in range(3):
        keep(replace(WEBHOOK, body=b"%d" % number * (CLAIM_BYTES * 2 // 3)))
    assert len(claimed()) == 1


def test_an_unreadable_item_waits_longer_each_time_and_then_rests(
    keep, sessions, clock, claimed, all_rows
):
    keep()
    waits = []
    for tries in range(MAX_TRIES):
        [item_id] = claimed()
        with write(sessions) as session:
            inbox.mark_unreadable(session, clock, item_id=item_id, tries=tries, why="KeyError")
        [item] = all_rows(InboxItem)
        if item.state is InboxState.NEW:
            waits.append((item.not_before - clock.now()).total_seconds())
            assert claimed() == []
            clock.set(item.not_before)
    assert waits == [60, 240, 960, 3840]
    assert (item.state, item.tries, item.error) == (InboxState.DEAD, MAX_TRIES, "KeyError")
    assert claimed() == []


def test_an_item_leaves_new_once(keep, sessions, clock, claimed, all_rows):
    keep()
    [item_id] = claimed()
    with write(sessions) as session:
        inbox.mark_applied(session, clock, counts={item_id: (1, 0)})
        inbox.mark_unreadable(session, clock, item_id=item_id, tries=4, why="late")
    [item] = all_rows(InboxItem)
    assert (item.state, item.tries, item.events) == (InboxState.APPLIED, 0, 1)
