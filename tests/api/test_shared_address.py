"""An opt-out holds at its address, whoever of those who share it said it (members/refusal.py)."""

import pytest
from sqlalchemy import select

from campaigns.fan_out import step
from communications import ledger
from communications.claim import claim
from communications.communication import Communication, Reason
from core.clock import ManualClock
from core.db import Sessions, read, write
from echelonx.wiring import Services
from members.consent import CurrentConsent
from tests.api.caller import Caller
from tests.api.test_providers import SMTP
from tests.api.test_templates import EMAIL
from tests.factories import Factory

MAILBOX = "family@example.com"


@pytest.fixture
def two(make: Factory) -> tuple[int, int]:
    """Two members with one mailbox, both of whom said yes."""
    ids = make.member(), make.member()
    for member in ids:
        make.address(member, value=MAILBOX)
    return ids


@pytest.fixture
def campaign(api: Caller) -> int:
    """A draft for everyone by e-mail."""
    template = api.post("/templates", EMAIL)
    api.post("/providers", SMTP)
    body = {
        "name": "Gift",
        "type": "email",
        "target_audience": {"rule": {"everyone": True}},
        "variants": [{"channel": "email", "template_id": template["id"]}],
    }
    number: int = api.post("/campaigns", body)["id"]
    return number


def say(api: Caller, member: int, state: str) -> None:
    api.post(f"/members/{member}/consents", {"channel": "email", "state": state, "source": "form"})


def reached(api: Caller, campaign: int) -> tuple[int, dict[str, int]]:
    told = api.get(f"/campaigns/{campaign}/preflight")
    return told["reach"]["email"], {k: v for k, v in told["skipped"]["email"].items() if v}


def sent(sessions: Sessions, clock: ManualClock) -> set[int]:
    """Fan out, claim, and ask the last gate; return the members it lets through."""
    while step(sessions, clock):
        pass
    with write(sessions) as session:
        query = select(Communication.provider_account_id).where(
            Communication.provider_account_id.is_not(None)
        )
        account = session.scalar(query.limit(1))
        if account is None:
            return set()
        found = claim(
            session, clock, account_id=account, owner="w", limit=9, lease_seconds=60, cursors={}
        )
        ids = [one.id for one in found]
        passed = ledger.intend(session, clock, ids=ids, owner="w", lease_seconds=60)
        ledger.turn_away(session, clock, ids=[i for i in ids if i not in passed], owner="w")
        return {one.member_id or 0 for one in found if one.id in passed}


@pytest.mark.parametrize("who", [0, 1])
def test_a_no_said_under_one_id_holds_under_the_other(
    who: int, api: Caller, two: tuple[int, int], campaign: int
) -> None:
    assert reached(api, campaign) == (1, {"duplicate_address": 1})

    say(api, two[who], "withdrawn")

    assert reached(api, campaign) == (0, {"no_consent": 2})
    say(api, two[who], "granted")
    assert reached(api, campaign) == (1, {"duplicate_address": 1}), "and may be taken back"


@pytest.mark.parametrize("who", [0, 1])
def test_a_no_said_while_the_message_waits_holds_at_the_gate(
    who: int, api: Caller, two: tuple[int, int], campaign: int, sessions: Sessions,
    clock: ManualClock,
) -> None:  # fmt: skip
    api.post(f"/campaigns/{campaign}/launch", {})
    while step(sessions, clock):
        pass

    say(api, two[who], "withdrawn")

    assert sent(sessions, clock) == set()
    with read(sessions) as session:
        row = session.scalar(select(Communication).where(Communication.member_id == two[0]))
    assert row is not None
    assert row.reason is Reason.NO_CONSENT


def test_who_merely_never_said_yes_stops_nobody_else(
    api: Caller, two: tuple[int, int], campaign: int, sessions: Sessions, clock: ManualClock
) -> None:
    with write(sessions) as session:
        session.delete(session.get_one(CurrentConsent, (two[0], "email", "marketing")))

    assert reached(api, campaign) == (1, {"no_consent": 1})
    api.post(f"/campaigns/{campaign}/launch", {})
    assert sent(sessions, clock) == {two[1]}


def test_an_unsubscribe_link_holds_for_everybody_at_the_address(
    api: Caller, make: Factory, two: tuple[int, int], campaign: int, product: Services
) -> None:
    message = make.message(two[0], to_address=MAILBOX)
    link = product.urls.unsubscribe(message).removeprefix("https://mail.example.com")

    assert api.http.post(link).status_code == 200

    assert reached(api, campaign) == (0, {"suppressed": 2})
    say(api, two[1], "granted")
    assert reached(api, campaign) == (0, {"suppressed": 2}), "the other's yes changes nothing"
