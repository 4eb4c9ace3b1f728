"""Mirrors api/register.py: every route, for a client that does not own what it names.

B043: what is another client's does not exist, in a path, a body or a query.
"""

import re
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from accounts.permission import PERMISSIONS
from accounts.user import Role, create_user
from api.auth import action_of
from core.clock import ManualClock
from core.db import Sessions, write
from tests.api.caller import Caller, refused
from tests.api.test_templates import EMAIL

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
    "/users/<user_id>/clients/<client_id>": {"status": "suspended"},
    "/clients/<client_id>": {"name": "Changed"},
    "/duplicates/<duplicate_id>/merge": {"survivor_id": 1},
    "/segments/<segment_id>": {"name": "Changed"},
    "/segments/<segment_id>/effect": {"text": "everyone"},
    "/segments/<segment_id>/pins": {"members": [1]},
    "/providers/<provider_id>": {"name": "Changed"},
    "/api-keys/<key_id>": {"name": "Changed"},
    "/templates/<template_id>": {"name": "Changed"},
    "/templates/<template_id>/versions": {"subject": "Changed", "html": "<p>Changed</p>"},
    "/templates/<template_id>/preview": {},
    "/campaigns/<campaign_id>": {"name": "Changed"},
    "/campaigns/<campaign_id>/duplicate": {},
    "/journeys/<journey_id>": {"text": "changed"},
    "/journeys/<journey_id>/restore": {"version": 1},
    "/journeys/<journey_id>/move": {"version": 1},
    "/journeys/<journey_id>/enrolments": {"members": [1]},
    "/journeys/<journey_id>/interventions": {"do": "exit", "which": {}},
    "/stuck-events/replay": {"ids": [1]},
    "/webhook-endpoints/<endpoint_id>": {"enabled": False},
    "/webhook-endpoints/<endpoint_id>/rotate": {},
    "/webhook-endpoints/<endpoint_id>/replay": {"since": "2026-11-21T00:00:00Z"},
}
"""What a good request sends, for routes that read a body."""


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
    more = (
        "/communications",
        "/exports",
        "/suppressions",
        "/merges",
        "/bulk-edits",
        "/duplicates",
        "/jobs",
    )
    told = "/webhook-endpoints", "/webhook-endpoints/1/deliveries"
    inside = "/journeys", "/journeys/1/enrolments", "/journeys/1/versions"
    return {path: api.get(path) for path in (*people, *paths, *more, *inside, *told)}


def test_what_is_anothers_and_what_is_nobodys_are_answered_alike(
    app: Flask, stranger: Caller, owned: dict[str, Any]
) -> None:
    """B049: ids can be counted up, and counting teaches nothing."""
    nobodys = {name: "9" * 9 if str(id).isdigit() else "zzz" for name, id in owned.items()}
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/api/v1/") or not rule.arguments or "/me/" in rule.rule:
            continue
        shape = re.sub(r"<[^>]*:(\w+)>", r"<\1>", rule.rule.removeprefix("/api/v1"))
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            body = BODIES.get(shape) if method in ("POST", "PATCH", "PUT") else None
            told = set()
            for ids in (owned, nobodys):
                path = shape
                for name in rule.arguments:
                    path = path.replace(f"<{name}>", str(ids[name]))
                text = str(stranger.ask(method, path, body).get_json())
                for name in rule.arguments:
                    text = text.replace(str(ids[name]), "")
                told.add(re.sub(r"\d+", "", text))
            assert len(told) == 1, (method, shape)


def test_there_is_one_version_with_one_policy(app: Flask) -> None:
    """B044: nothing below /api is beside /api/v1 but its page, and all of it asks for an action."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api"):
            assert rule.rule.startswith(("/api/v1/", "/api/docs")), rule.rule
        if rule.rule.startswith("/api/v1/"):
            assert action_of(app, rule.endpoint), rule.rule


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
    "/audit": {"action": "member.create"},
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


def test_one_foreign_id_among_a_thousand_refuses_all_of_them(
    stranger: Caller, owned: dict[str, int], sessions: Sessions, clock: ManualClock
) -> None:
    """B047, on every route that takes ids of things to change."""
    text = 'journey "J"\n  when asked\n  wait 1d\n'
    draft = {"name": "Own", "type": "sms", "target_audience": {"rule": "everyone"}}
    there = stranger.get("/clients/me")["id"]
    with write(sessions) as session:
        user_id = create_user(session, clock, email="own@example.com", client_id=there).id
    own: dict[str, Any] = {
        "member": [stranger.post("/members", {})["id"] for _ in range(3)],
        "user": [user_id],
        "segment": stranger.post("/segments", {"name": "Own", "text": "everyone"})["id"],
        "campaign": [stranger.post("/campaigns", draft)["id"]],
        "journey": stranger.post("/journeys", {"text": text})["id"],
    }
    stranger.post(f"/journeys/{own['journey']}/publish")
    many = [*own["member"], *range(10_000, 10_996), owned["member_id"]]
    members = own["member"], many[-1:], many[-2:-1]
    changes: dict[str, Any] = {"changes": {"tier": "elite"}}
    seen = (
        "/members", "/bulk-edits", "/users", "/campaigns", f"/segments/{own['segment']}/pins",
        f"/journeys/{own['journey']}/enrolments",
    )  # fmt: skip
    for path, name, rest, (good_ids, foreign, missing) in (
        ("/bulk-edits/preview", "ids", changes, members),
        ("/bulk-edits", "ids", changes, members),
        (f"/segments/{own['segment']}/pins", "members", {}, members),
        (f"/journeys/{own['journey']}/enrolments", "members", {}, members),
        ("/users/bulk-edits", "ids", {"changes": {"language": "de"}},
         (own["user"], [owned["user_id"]], [999])),
        ("/campaigns/batch", "ids", {"do": "update", "changes": {"priority": "urgent"}},
         (own["campaign"], [owned["campaign_id"]], [999])),
    ):  # fmt: skip
        before = [stranger.get(one) for one in seen]
        told = {
            re.sub(r"\d+", "", str(refused(stranger.ask("POST", path, {**rest, name: ids}), 404)))
            for ids in ([*good_ids, *foreign], [*good_ids, *missing])
        }
        assert len(told) == 1, "what is another's and what is nobody's are told apart"
        if good_ids is own["member"]:
            refused(stranger.ask("POST", path, {**rest, name: many}), 404)
        assert [stranger.get(one) for one in seen] == before, path
        assert stranger.ask("POST", path, {**rest, name: good_ids}).status_code < 300, path


def test_filters_and_bodies_do_not_reach_what_is_anothers(
    stranger: Caller, owned: dict[str, int]
) -> None:
    """B043, and B048: second paths to the same things."""
    refused(stranger.ask("GET", "/users/by-email", email="max@example.com"), 404)
    assert [row["name"] for row in stranger.get("/clients")["data"]] == ["Somebody else"]
    foreign = {"ids": [owned["user_id"]], "changes": {"language": "de"}}
    refused(stranger.ask("POST", "/users/bulk-edits", foreign), 404)
    for name in ("member_id", "campaign_id"):
        assert stranger.get("/communications", **{name: owned[name]})["data"] == []
    assert stranger.get("/members", email="ana@example.com")["data"] == []
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
