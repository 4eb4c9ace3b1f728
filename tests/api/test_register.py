"""Mirrors api/register.py: every route, for a client that does not own what it names.

B043: what is another client's does not exist, in a path, a body or a query.
"""

import io
import re
from typing import Any

import pytest
from flask import Flask

from tests.api.caller import Caller, good, refused
from tests.api.test_providers import SMTP
from tests.api.test_templates import EMAIL
from tests.factories import Factory

BODIES: dict[str, Any] = {
    "/members/<member_id>": {"last_name": "Changed"},
    "/members/<member_id>/consents": {"channel": "email", "state": "granted"},
    "/segments/<segment_id>": {"name": "Changed"},
    "/templates/<template_id>/versions": {"subject": "Changed", "html": "<p>Changed</p>"},
    "/templates/<template_id>/preview": {},
    "/campaigns/<campaign_id>": {"name": "Changed"},
}
"""What a good request sends, for routes that read a body."""


@pytest.fixture
def owned(api: Caller, make: Factory) -> dict[str, int]:
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
    job = good(api.send_file("/imports", file=(io.BytesIO(b"email\nbo@example.com\n"), "x.csv")))
    api.ask("POST", "/suppressions", {"channel": "email", "address": "leave@example.com"})
    return {
        "member_id": member["id"],
        "segment_id": segment["id"],
        "template_id": template["id"],
        "provider_id": provider["id"],
        "campaign_id": campaign["id"],
        "import_id": job["id"],
        "communication_id": make.message(member["id"], to_address="ana@example.com"),
        "key_id": api.get("/api-keys")["data"][0]["id"],
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
            refused(stranger.ask(method, path, body), 404)
            tried += 1

    assert tried >= 25
    assert snapshot(api) == before


def snapshot(api: Caller) -> dict[str, Any]:
    """Everything the owner sees."""
    paths = ("/members", "/segments", "/templates", "/providers", "/campaigns", "/imports")
    return {path: api.get(path) for path in (*paths, "/communications", "/suppressions")}


def test_no_list_shows_what_is_anothers(
    app: Flask, stranger: Caller, owned: dict[str, int]
) -> None:
    for rule in app.url_map.iter_rules():
        lists = rule.rule.startswith("/api/v1/") and "GET" in (rule.methods or set())
        if lists and not rule.arguments and rule.rule not in SINGLE:
            seen = stranger.get(rule.rule.removeprefix("/api/v1"))["data"]
            assert [row for row in seen if row.get("name") != "tests"] == []


SINGLE = ("/api/v1/clients/me", "/api/v1/openapi.json")
"""What answers with one thing."""


def test_filters_and_bodies_do_not_reach_what_is_anothers(
    stranger: Caller, owned: dict[str, int]
) -> None:
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
    preview = {"member_id": owned["member_id"]}
    refused(stranger.ask("POST", f"/templates/{own['id']}/preview", preview), 404)
    refused(stranger.ask("POST", "/segments/preview", {"text": 'in segment "A"'}), 422)
    lift = {"channel": "email", "address": "leave@example.com"}
    assert stranger.post("/suppressions/lift", lift) == {"lifted": 0}
