"""Off means off: no link of ours and no pixel, so nothing comes back that could be kept.

Of a campaign or of all a client sends; in campaigns, journeys and single messages alike.
"""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from accounts.client import update_client
from campaigns.campaign import update_campaign
from campaigns.direct import write_messages
from campaigns.draft import Draft, Wording
from channels.channel import Channel
from communications.account import ProviderAccount
from communications.claim import Claimed, claim
from communications.communication import Communication
from communications.content import ContentStore, VersionContent
from communications.ledger import intend, turn_away
from communications.queries import rendered
from communications.urls import Urls
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.token import Signer
from tests.campaigns.conftest import Launch, MakeCampaign, MakeMember
from tests.campaigns.journeys.conftest import Shop, shop

__all__ = ["shop"]
HTML = (
    '<p><a href="https://shop.example/{{ first_name }}?a=1&b=2">Look</a> {{ unsubscribe_url }}</p>'
)
Log = Callable[[], list[Communication]]


@pytest.fixture
def switch(sessions: Sessions, clock: ManualClock, client_id: int) -> Callable[[bool], None]:
    """Turn all tracking of the client on or off."""

    def turn(on: bool) -> None:
        with write(sessions) as session:
            update_client(session, clock, client_id=client_id, settings={"tracking": on})

    return turn


def html_of(sessions: Sessions, row: Communication) -> str:
    content = VersionContent(1, Channel.EMAIL, "Hi", HTML, None)
    store = ContentStore(lambda *_: content, Urls("https://m.example", Signer(b"s" * 32)))
    with read(sessions) as session:
        return rendered(session, store, row)["html"]


@pytest.mark.parametrize(
    ("campaign", "client", "tracked"),
    [(True, True, True), (False, True, False), (True, False, False)],
)
def test_a_campaign_tracks_where_it_and_its_client_do(
    sessions: Sessions, make_member: MakeMember, make_campaign: MakeCampaign, start: Launch,
    expand: Callable[[], int], log: Log, switch: Callable[[bool], None],
    campaign: bool, client: bool, tracked: bool,
) -> None:  # fmt: skip
    switch(client)
    make_member(first_name="Ana")
    start(make_campaign(Channel.EMAIL, tracking=campaign))
    expand()

    (row,) = log()
    html = html_of(sessions, row)
    assert row.tracked is tracked
    assert ("/c/" in html, "/o/" in html) == (tracked, tracked)
    assert ('href="https://shop.example/Ana?a=1&amp;b=2"' in html) is not tracked
    assert "https://m.example/u/" in html, "who gets it can always leave"


def test_single_messages_and_journeys_go_by_their_client(
    shop: Shop,
    sessions: Sessions,
    clock: ManualClock,
    client_id: int,
    switch: Callable[[bool], None],
) -> None:
    shop.template("hello", subject="Hi", html="{{ unsubscribe_url }}")
    shop.publish('journey "J"\n  when event purchase\n  send email "hello"\n')

    def sent(number: int) -> list[bool]:
        member_id = shop.member()
        shop.did(f"m{number}", "purchase", {})
        shop.settle()
        told: Any = Draft(
            member_id=member_id,
            wordings=(Wording(channel=Channel.EMAIL, subject="a", text="b"),),
            key=str(number),
        )
        with write(sessions) as session:
            write_messages(session, clock, client_id=client_id, drafts=[told])
        return [row.tracked for row in shop.log(member_id)]

    assert sent(1) == [True, True]
    switch(False)
    assert sent(2) == [False, False]
    assert [one.tracked for one in take(sessions, clock)] == [False] * 4
    assert {row.tracked for row in shop.log()} == {False}


def take(sessions: Sessions, clock: ManualClock, owner: str = "worker#1") -> list[Claimed]:
    """Claim what is due, as a worker does before it renders."""
    with write(sessions) as session:
        return [
            one
            for account_id in session.scalars(select(ProviderAccount.id))
            for one in claim(
                session, clock, account_id=account_id, owner=owner, limit=100, lease_seconds=120,
                cursors={},
            )
        ]  # fmt: skip


def intended(
    sessions: Sessions, clock: ManualClock, rows: list[Claimed], owner: str = "worker#1"
) -> int:
    """Write the intent to send, as a worker does once it has rendered; return for how many."""
    ids = [one.id for one in rows]
    with write(sessions) as session:
        passed = intend(session, clock, ids=ids, owner=owner, lease_seconds=120)
        turn_away(session, clock, ids=[one for one in ids if one not in passed], owner=owner)
    return len(passed)


@pytest.fixture
def stop(
    sessions: Sessions, clock: ManualClock, client_id: int, switch: Callable[[bool], None]
) -> Callable[[str, int], None]:
    """Turn tracking off, of the client or of one campaign."""

    def off(whose: str, campaign_id: int) -> None:
        if whose == "client":
            switch(False)
            return
        with write(sessions) as session:
            update_campaign(
                session, clock, client_id=client_id, campaign_id=campaign_id, tracking=False
            )

    return off


@pytest.mark.parametrize("whose", ["client", "campaign"])
@pytest.mark.parametrize("when", ["launched", "queued", "claimed", "lost"])
def test_what_is_sent_after_it_was_turned_off_is_not_tracked(
    sessions: Sessions, clock: ManualClock, make_member: MakeMember, make_campaign: MakeCampaign,
    start: Launch, expand: Callable[[], int], log: Log, stop: Callable[[str, int], None],
    whose: str, when: str,
) -> None:  # fmt: skip
    make_member(first_name="Ana")
    campaign_id = make_campaign(Channel.EMAIL)
    start(campaign_id)
    if when == "launched":
        stop(whose, campaign_id)
    expand()
    if when == "queued":
        stop(whose, campaign_id)
    rows = take(sessions, clock)
    if when in ("claimed", "lost"):
        assert [one.tracked for one in rows] == [True]
        stop(whose, campaign_id)
        if when == "claimed":
            assert intended(sessions, clock, rows) == 0, "it is rendered already"
        clock.advance(seconds=121)
        rows = take(sessions, clock, "worker#2")

    assert [one.tracked for one in rows] == [False]
    assert intended(sessions, clock, rows, log()[0].owner or "") == 1
    (row,) = log()
    assert "/c/" not in html_of(sessions, row)
    assert row.tries == 1 + (when == "lost" and whose == "client")
