"""Mirrors api/clients.py."""

from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.user import create_user
from campaigns.campaign import create_campaign
from core.clock import ManualClock
from core.db import Sessions, write
from members.order import Order, OrderKind
from tests.accounts.people import People, make_people
from tests.api.caller import Caller, pointers, refused
from tests.api.conftest import CallerOf
from tests.factories import Factory


@pytest.fixture
def people(sessions: Sessions, clock: ManualClock, client_id: int) -> People:
    return make_people(sessions, clock, client_id)


@pytest.fixture
def root(caller_of: CallerOf, people: People) -> Caller:
    """A super admin."""
    return caller_of(people.here, user_id=people.root)


def test_a_client_says_where_its_mail_comes_from(api: Caller, client_id: int) -> None:
    changed = api.patch("/clients/me", {"address": "1 Main St", "timezone": "Europe/Berlin"})

    assert (changed["address"], changed["timezone"]) == ("1 Main St", "Europe/Berlin")
    assert api.get("/clients/me") == api.get(f"/clients/{client_id}") == changed
    assert api.get("/clients")["data"] == [changed]


def test_bad_details_are_refused_by_field(api: Caller) -> None:
    for field, value in {
        "timezone": "Mars/North",
        "country": "XX",
        "email": "nobody",
        "phone": "12",
        "company_size": "huge",
        "name": "",
        "status": "active",
        "total_revenue": 5,
    }.items():
        assert pointers(refused(api.ask("PATCH", "/clients/me", {field: value}), 422)) == {
            f"/{field}"
        }


def test_settings_are_set_one_by_one_and_taken_away(api: Caller) -> None:
    api.patch("/clients/me", {"settings": {"currency": "EUR", "attribution_days": 3}})
    changed = api.patch("/clients/me", {"settings": {"attribution_days": None}})

    assert changed["settings"] == {"currency": "EUR"}
    wrong = {"settings": {"currency": "euros"}}
    assert pointers(refused(api.ask("PATCH", "/clients/me", wrong), 422)) == {"/settings/currency"}


def test_what_is_agreed_is_not_the_clients_to_set(
    api: Caller, root: Caller, people: People, clock: ManualClock
) -> None:
    path = f"/clients/{people.here}"
    end = (clock.now() + timedelta(days=5)).isoformat()
    agreed = {"contract_end": end, "monthly_spend_limit": "12.5", "status": "trial"}
    for name, value in agreed.items():
        assert pointers(refused(api.ask("PATCH", path, {name: value}), 403)) == {f"/{name}"}

    changed = root.patch(path, agreed)

    assert (changed["monthly_spend_limit"], changed["status"]) == ("12.5000", "trial")
    for name, value in (
        ("contract_start", "2030-01-01T00:00:00Z"), ("monthly_spend_limit", "-1"),
        ("subscription_tier", "custom"), ("id", 9), ("created_by", 1),
    ):  # fmt: skip
        refused(root.ask("PATCH", path, {name: value}), 422)


def test_super_admins_run_every_client_and_others_their_own(
    api: Caller, root: Caller, people: People
) -> None:
    made = root.post("/clients", {"name": "Bakery", "country": "DE", "industry": "food"})
    path = f"/clients/{made['id']}"
    named = [people.here, people.there, made["id"]]
    assert [row["id"] for row in root.get("/clients")["data"]] == named
    assert root.get("/clients/search", q="bak")["data"] == [made]
    assert root.get("/clients", industry="food", q="bakery", tier="basic")["data"] == [made]
    assert root.get("/clients/statistics")["total"] == 3
    assert api.get("/clients/statistics")["total"] == 1
    assert api.get("/clients/search", q="bak")["data"] == []
    for method, ask, body, status in (
        ("GET", path, None, 404),
        ("PATCH", path, {"name": "Mine"}, 404),
        ("GET", f"{path}/revenue", None, 404),
        ("GET", f"{path}/usage", None, 404),
        ("GET", f"{path}/activity", None, 404),
        ("POST", "/clients", {"name": "Mine"}, 403),
        ("DELETE", f"/clients/{people.here}", None, 403),
        ("POST", f"/clients/{people.here}/tier", {"tier": "custom"}, 403),
        ("POST", "/clients/bulk-edits", {"ids": [1], "changes": {"industry": "x"}}, 403),
    ):
        refused(api.ask(method, ask, body), status)

    tier = {"tier": "premium", "reason": "grew"}
    assert root.post(f"{path}/tier", tier) == {"subscription_tier": "premium", "changed": True}
    assert root.post(f"{path}/tier", tier)["changed"] is False
    done = root.post("/clients/bulk-edits", {"ids": named, "changes": {"industry": "shop"}})
    assert [one["status"] for one in done["results"]] == ["changed"] * 3
    actions = [row["action"] for row in root.get(f"{path}/activity")["data"]]
    assert actions == ["client.update", "client.tier", "client.create"]


def test_a_deleted_client_is_gone_with_its_keys_and_its_queue(
    root: Caller, stranger: Caller, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    gone = stranger.get("/clients/me")["id"]
    make = Factory(sessions, clock, gone)
    make.message(status="queued", sent_at=None, rank=0)

    root.delete(f"/clients/{gone}")

    refused(stranger.ask("GET", "/clients/me"), 401)
    refused(root.ask("GET", f"/clients/{gone}"), 404)
    refused(root.ask("DELETE", f"/clients/{gone}"), 404)
    assert root.get("/clients/me")["id"] == client_id


def test_contracts_that_end_are_walked_by_their_end(
    root: Caller, people: People, clock: ManualClock
) -> None:
    for days, name in ((-3, "Late"), (3, "Soon"), (3, "Soon too"), (80, "Later")):
        end = (clock.now() + timedelta(days=days)).isoformat()
        root.post("/clients", {"name": name, "contract_end": end})

    first = root.get("/clients/expiring", limit=2)
    rest = root.get("/clients/expiring", limit=2, cursor=first["next_cursor"])

    seen = [(row["name"], row["days_left"], row["overdue"]) for row in first["data"] + rest["data"]]
    assert seen == [("Late", -3, True), ("Soon", 3, False), ("Soon too", 3, False)]
    assert rest["next_cursor"] is None
    assert len(root.get("/clients/expiring", days=90)["data"]) == 4
    strange = root.get("/clients", limit=1)["next_cursor"]
    refused(root.ask("GET", "/clients/expiring", cursor=strange), 422)


def test_usage_counts_what_is_the_clients_own(
    api: Caller, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    before = api.get(f"/clients/{client_id}/usage")
    other = Factory(sessions, clock, client_id).another_client()
    other.message(other.member(), channel="sms", cost=Decimal("0.0075"), currency="USD")
    with write(sessions) as session:
        create_user(session, clock, email="bo@example.com", client_id=other.client_id)
        create_campaign(
            session, clock, client_id=other.client_id, name="Theirs", type="sms",
            target_audience={"rule": {"everyone": True}},
        )  # fmt: skip
    assert api.get(f"/clients/{client_id}/usage") == before
    assert {before[name] for name in ("members", "users", "campaigns")} == {0}


def test_revenue_and_usage_are_shown_as_money(
    api: Caller, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    make = Factory(sessions, clock, client_id)
    member = make.member()
    now = clock.now()
    make.message(member, channel="sms", cost=Decimal("0.0075"), currency="USD")
    with write(sessions) as session:
        for number, amount in enumerate((Decimal("19.9"), Decimal("-0.1"))):
            session.add(
                Order(
                    client_id=client_id, member_id=member, order_id=f"o{number}", amount=amount,
                    kind=OrderKind.ORDER if amount > 0 else OrderKind.REFUND, currency="EUR",
                    occurred_at=now, created_at=now,
                )
            )  # fmt: skip

    sold = api.get(f"/clients/{client_id}/revenue", months=2)
    used = api.get(f"/clients/{client_id}/usage", rows="true")

    assert sold["total"] == [{"currency": "EUR", "amount": "19.8000"}]
    assert [(row["month"], row["net"], row["refunds"]) for row in sold["months"]] == [
        ("2026-11", "19.8000", 1)
    ]
    assert used["this_month"]["settled"] == [{"currency": "USD", "amount": "0.007500"}]
    assert used["this_month"]["limit"] is None
    assert [(row["channel"], row["sent"]) for row in used["months"]] == [("sms", 1)]
    assert (used["members"], used["rows"]["orders"], used["rows"]["clients"]) == (1, 2, 1)
