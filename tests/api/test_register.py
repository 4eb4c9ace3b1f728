"""Mirrors api/register.py: every route, for a client that does not own what it names.

B043: what is another client's does not exist, in a path, a body or a query.
"""

import io
import re
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Rule

from accounts.permission import PERMISSIONS
from accounts.user import Role
from api.auth import action_of
from tests.api.caller import Caller, good, refused
from tests.api.test_providers import SMTP
from tests.api.test_templates import EMAIL
from tests.factories import Factory

BODIES: dict[str, Any] = {
    "/members/<member_id>": {"last_name": "Changed"},
    "/members/<member_id>/consents": {"channel": "email", "state": "granted"},
    "/members/<member_id>/addresses": {"channel": "email", "value": "taken@example.com"},
    "/members/<member_id>/external-ids": {"system": "shop", "value": "7"},
    "/members/<member_id>/tags": {"add": ["changed"]},
    "/members/<member_id>/notes": {"text": "Changed"},
    "/members/<member_id>/tier": {"tier": "elite"},
    "/members/<member_id>/referrer": {"code": "ABCDEFGH"},
    "/orders/<order_id>/refund": {"refund_id": "R-1"},
    "/users/<user_id>": {"first_name": "Changed"},
    "/users/<user_id>/permissions": {"permissions": []},
    "/clients/<client_id>": {"name": "Changed"},
    "/duplicates/<duplicate_id>/merge": {"survivor_id": 1},
    "/segments/<segment_id>": {"name": "Changed"},
    "/segments/<segment_id>/effect": {"text": "everyone"},
    "/segments/<segment_id>/pins": {"members": [1]},
    "/templates/<template_id>/versions": {"subject": "Changed", "html": "<p>Changed</p>"},
    "/templates/<template_id>/preview": {},
    "/campaigns/<campaign_id>": {"name": "Changed"},
    "/campaigns/<campaign_id>/duplicate": {},
    "/journeys/<journey_id>": {"text": "changed"},
    "/journeys/<journey_id>/restore": {"version": 1},
    "/journeys/<journey_id>/move": {"version": 1},
    "/journeys/<journey_id>/enrolments": {"members": [1]},
    "/journeys/<journey_id>/interventions": {"do": "exit", "which": {}},
    "/webhook-endpoints/<endpoint_id>": {"enabled": False},
    "/webhook-endpoints/<endpoint_id>/rotate": {},
    "/webhook-endpoints/<endpoint_id>/replay": {"since": "2026-11-21T00:00:00Z"},
}
"""What a good request sends, for routes that read a body."""


@pytest.fixture
def owned(api: Caller, make: Factory) -> dict[str, Any]:
    """One thing of each kind, by the name it has in routes."""
    member = api.post("/members", {"email": "ana@example.com", "first_name": "Ana"})
    segment = api.post("/segments", {"name": "A", "text": "everyone"})
    template = api.post("/templates", EMAIL)
    provider = api.post("/providers", SMTP)
    campaign = api.post(
        "/campaigns",
        {
            "name": "C",
            "type": "email",
            "target_audience": {"segment_id": segment["id"]},
            "variants": [{"channel": "email", "template_id": template["id"]}],
        },
    )
    journey = api.post("/journeys", {"text": 'journey "J"\n  when asked\n  wait 1d\n'})
    api.post(f"/journeys/{journey['id']}/publish")
    inside = api.post(f"/journeys/{journey['id']}/enrolments", {"members": [member["id"]]})
    job = good(api.send_file("/imports", file=(io.BytesIO(b"email\nbo@example.com\n"), "x.csv")))
    api.ask("POST", "/suppressions", {"channel": "email", "address": "leave@example.com"})
    path = f"/members/{member['id']}"
    note = api.post(f"{path}/notes", {"text": "Likes tea"})
    api.post(f"{path}/external-ids", {"system": "shop", "value": "7"})
    twin = api.post("/members", {"member_id": "twin"})
    merged = api.post("/merges", {"survivor_id": member["id"], "absorbed_id": twin["id"]})
    for _ in range(2):
        make.address(make.member(), "sms", "+12015550199")
    api.post("/duplicates/search", {})
    pair = api.get("/duplicates")["data"][0]
    edit = api.post("/bulk-edits", {"ids": [member["id"]], "changes": {"tier": "elite"}})
    order = {"member_id": member["id"], "order_id": "A-1", "amount": "5", "currency": "EUR"}
    api.post("/orders", order)
    user = api.post("/users", {"email": "max@example.com"})
    hook = {"url": "https://crm.example.com/hook", "types": ["*"]}
    endpoint = api.post("/webhook-endpoints", hook)["id"]
    return {
        "endpoint_id": endpoint,
        "delivery_id": api.post(f"/webhook-endpoints/{endpoint}/test")["id"],
        "order_id": "A-1",
        "user_id": user["id"],
        "client_id": make.client_id,
        "bulk_id": edit["id"],
        "duplicate_id": pair["id"],
        "member_id": member["id"],
        "address_id": member["addresses"][0]["id"],
        "note_id": note["id"],
        "merge_id": merged["id"],
        "system": "shop",
        "segment_id": segment["id"],
        "template_id": template["id"],
        "provider_id": provider["id"],
        "campaign_id": campaign["id"],
        "journey_id": journey["id"],
        "number": 1,
        "enrolment_id": inside["entered"][0]["enrolment_id"],
        "import_id": job["id"],
        "export_id": api.post("/exports", {"of": "members"})["id"],
        "communication_id": make.message(member["id"], to_address="ana@example.com"),
        "key_id": api.get("/api-keys")["data"][0]["id"],
        "invitation_id": api.post("/invitations", {"email": "new@example.com"})["id"],
        "session_id": 1,
    }


def test_what_is_anothers_does_not_exist_on_any_route(
    app: Flask, api: Caller, stranger: Caller, owned: dict[str, int]
) -> None:
    before = snapshot(api)
    tried = 0
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/api/v1/") or not rule.arguments:
            continue
        assert rule.arguments <= owned.keys(), f"say in `owned` what {rule.rule} names"
        shape = re.sub(r"<[^>]*:(\w+)>", r"<\1>", rule.rule.removeprefix("/api/v1"))
        path = re.sub(r"<(\w+)>", lambda found: str(owned[found[1]]), shape)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            body = BODIES.get(shape) if method in ("POST", "PATCH", "PUT") else None
            if not shape.startswith("/me/"):  # of persons, not of keys: test_me.py
                refused(stranger.ask(method, path, body), expected(app, rule))
                tried += 1

    assert tried >= 25
    assert snapshot(api) == before


def expected(app: Flask, rule: Rule) -> int:
    """What belongs to no client is not even looked for."""
    action = action_of(app, rule.endpoint) or ""
    return 403 if PERMISSIONS.get(action) is Role.SUPER_ADMIN else 404


def snapshot(api: Caller) -> dict[str, Any]:
    """Everything the owner sees."""
    paths = ("/members", "/segments", "/templates", "/providers", "/campaigns", "/imports")
    people = ("/users", "/clients")
    more = ("/communications", "/exports", "/suppressions", "/merges", "/bulk-edits", "/duplicates")
    told = "/webhook-endpoints", "/webhook-endpoints/1/deliveries"
    inside = "/journeys", "/journeys/1/enrolments", "/journeys/1/versions"
    return {path: api.get(path) for path in (*people, *paths, *more, *inside, *told)}


def test_no_list_shows_what_is_anothers(
    app: Flask, stranger: Caller, owned: dict[str, int]
) -> None:
    for rule in app.url_map.iter_rules():
        lists = rule.rule.startswith("/api/v1/") and "GET" in (rule.methods or set())
        if lists and not rule.arguments and rule.rule not in SINGLE:
            path = rule.rule.removeprefix("/api/v1")
            seen = stranger.get(path, **QUERIES.get(path, {}))["data"]
            assert [row for row in seen if row.get("name") != "tests"] == []


QUERIES = {
    "/audit": {"action": "members.create_member"},
    "/clients/search": {"q": "elevate"},
    "/members/search": {"q": "ana"},
    "/users/search": {"q": "max"},
    "/tiers/near": {"tier": "elite"},
}
"""What a list cannot be asked for without."""
SINGLE = (
    "/api/v1/consents/export",
    "/api/v1/retention/preview",
    "/api/v1/audit/export",
    "/api/v1/clients",
    "/api/v1/clients/me",
    "/api/v1/communications/engagement",
    "/api/v1/communications/responses",
    "/api/v1/clients/statistics",
    "/api/v1/elevate/class",
    "/api/v1/elevate/metrics",
    "/api/v1/elevate/path",
    "/api/v1/elevate/people",
    "/api/v1/foundation",
    "/api/v1/me",
    "/api/v1/prompts",
    "/api/v1/recipes",
    "/api/v1/recipes/preview",
    "/api/v1/members/export",
    "/api/v1/members/statistics",
    "/api/v1/openapi.json",
    "/api/v1/segments/vocabulary",
    "/api/v1/tiers",
    "/api/v1/unknown",
    "/api/v1/users/by-email",
    "/api/v1/users/statistics",
)
"""What answers with one thing."""


def test_filters_and_bodies_do_not_reach_what_is_anothers(
    stranger: Caller, owned: dict[str, int]
) -> None:
    refused(stranger.ask("GET", "/users/by-email", email="max@example.com"), 404)
    assert [row["name"] for row in stranger.get("/clients")["data"]] == ["Somebody else"]
    foreign = {"ids": [owned["user_id"]], "changes": {"language": "de"}}
    refused(stranger.ask("POST", "/users/bulk-edits", foreign), 404)
    for name in ("member_id", "campaign_id"):
        assert stranger.get("/communications", **{name: owned[name]})["data"] == []
    assert stranger.get("/members", email="ana@example.com")["data"] == []
    gone = stranger.post("/campaigns/batch", {"ids": [owned["campaign_id"]], "do": "delete"})
    assert [one["code"] for one in gone["results"]] == ["campaign_not_found"]
    own = stranger.post("/templates", EMAIL)
    body = {"name": "C", "type": "email", "target_audience": {"rule": "everyone"}}
    variant = {"channel": "email", "template_id": own["id"]}
    for changes in (
        {"target_audience": {"segment_id": owned["segment_id"]}},
        {"variants": [{"channel": "email", "template_id": owned["template_id"]}]},
        {"variants": [{**variant, "provider_account_id": owned["provider_id"]}]},
    ):
        refused(stranger.ask("POST", "/campaigns", {**body, **changes}), 404)
    message = {"member_id": owned["member_id"], "channel": "email", "subject": "S", "text": "T"}
    refused(stranger.ask("POST", "/communications", message), 404)
    wrong = {"member_id": stranger.post("/members", {})["id"], "template_id": owned["template_id"]}
    refused(stranger.ask("POST", "/communications", wrong), 404)
    preview = {"member_id": owned["member_id"]}
    refused(stranger.ask("POST", f"/templates/{own['id']}/preview", preview), 404)
    refused(stranger.ask("POST", "/segments/preview", {"text": 'in segment "A"'}), 422)
    lift = {"channel": "email", "address": "leave@example.com"}
    assert stranger.post("/suppressions/lift", lift) == {"lifted": 0}
