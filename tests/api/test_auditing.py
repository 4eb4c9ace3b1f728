"""Mirrors api/auditing.py and api/audit.py."""

import json
import os
import re
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from accounts.audit import AuditEntry
from accounts.audit_chain import seal, verify, verify_lines
from api.auditing import SHOWS_NOBODY, UNTOLD, reference
from api.openapi import deed_of
from core.db import read, write
from echelonx.wiring import Services
from tests.api.caller import Caller, good, refused
from tests.api.test_templates import EMAIL as TEMPLATE

EMAIL = "ana.petrova@example.com"
PAGE = Path(__file__).parents[2] / "docs/reference/audit.md"
OTHERWISE = {
    ("client_update_own", "client.update"), ("duplicate_merge_pair", "member.merge"),
    ("user_finish_proof", "user.prove"),
}  # fmt: skip
"""Several operations that do one thing."""


@pytest.fixture
def entries(api: Caller, product: Services):
    """Everything in the log by now, oldest first; what the witness still holds is written."""

    def ask(**filters: str) -> list[dict]:
        product.witness.flush()
        return api.get("/audit", limit=200, **filters)["data"][::-1]

    return ask


def test_a_write_is_told_with_what_it_changed_and_from_where(api, entries) -> None:
    member = api.post("/members", {"email": EMAIL, "first_name": "Ana", "tier": "basic"})
    path = f"/members/{member['id']}"
    api.patch(path, {"first_name": "Anna", "last_name": "Petrova", "engagement_score": 7})
    refused(api.ask("PATCH", path, {"tier": "no such"}), 422)
    api.patch("/clients/me", {"name": "Petrova's", "phone": "+12015550123"})
    assert (
        api.ask("POST", "/suppressions", {"channel": "email", "address": EMAIL}).status_code == 204
    )
    api.post("/segments/preview", {"text": "everyone"})

    told = entries()
    assert [one["action"] for one in told] == [
        "member.create", "member.update", "client.update", "suppression.add"
    ]  # fmt: skip
    assert told[1]["target"] == f"member:{member['id']}"
    assert told[1]["detail"] == {"fields": ["engagement_score", "first_name", "last_name"]}
    assert told[2]["before"] == {"name": "changed", "phone": None}
    assert told[2]["after"] == {"name": "changed", "phone": "changed"}
    assert {one["actor"] for one in told} == {"key:1"}
    assert {(one["source"], one["ip"]) for one in told} == {("api", "127.0.0.0/24")}
    assert "petrova" not in json.dumps(told).casefold()


def test_a_look_at_people_is_told_after_the_answer_and_costs_no_write(
    api, entries, product
) -> None:
    member = api.post("/members", {"email": EMAIL, "first_name": "Ana"})["id"]
    with write(product.sessions):  # SQLite has one writer, and a look does not wait for it
        api.get(f"/members/{member}")
        api.get("/members", email=EMAIL)
        api.get("/members/search", q="ana")
        api.get("/members", match="everyone", limit=1)
        good(api.ask("GET", "/members/export"))
        api.get("/campaigns")
        refused(api.ask("GET", "/members/999"), 404)

    told = entries(action="read.")
    assert [(one["action"], one["target"], one["detail"]) for one in told] == [
        ("read.member.get", f"member:{member}", {"filters": []}),
        ("read.member.list", None, {"filters": ["email"], "rows": 1}),
        ("read.member.search", None, {"filters": ["q"], "rows": 1}),
        ("read.member.list", None, {"filters": ["limit", "match"], "rows": 1}),
        ("read.import.export", None, {"filters": []}),
    ]  # fmt: skip


def test_the_log_is_found_by_who_what_and_when(api, stranger, entries, clock) -> None:
    made = api.post("/segments", {"name": "Everyone", "text": "everyone"})
    clock.advance(hours=1)
    api.delete(f"/segments/{made['id']}")
    stranger.post("/segments", {"name": "Theirs", "text": "everyone"})
    target = f"segment:{made['id']}"

    assert [one["action"] for one in entries(target=target)] == ["segment.delete"]
    assert len(entries(action="segment.create")) == 1
    assert entries(actor="key:2") == []
    since = clock.now().isoformat()
    assert [one["action"] for one in entries(action="segment", **{"from": since})] == []
    assert [one["action"] for one in entries(to=since)] == ["segment.create"]


def test_the_chain_is_downloaded_and_proved(api, product, client_id) -> None:
    for name in ("A", "B"):
        api.post("/segments", {"name": name, "text": "everyone"})
    with write(product.sessions) as session:
        seal(session)

    lines = api.ask("GET", "/audit/export").get_data(as_text=True).splitlines()
    verdict = verify_lines(lines)
    assert (verdict.entries, verdict.problems) == (2, [])
    with read(product.sessions) as session:
        assert verify(session, client_id).hash == verdict.hash
        entry = session.scalars(select(AuditEntry)).first()
    assert (entry.seq, entry.hash) == (1, json.loads(lines[1])["hash"])


def test_a_batch_is_told_row_by_row_and_not_at_all_where_it_was_taken_back(api, entries) -> None:
    template = api.post("/templates", TEMPLATE)["id"]
    body = {"type": "email", "target_audience": {"rule": "everyone"}}
    variants = [{"channel": "email", "template_id": template}]
    tea, milk = (
        api.post("/campaigns", {"name": name, "variants": variants, **body})["id"]
        for name in ("Tea", "Milk")
    )
    change = {"ids": [tea, milk], "do": "update", "changes": {"priority": "urgent"}}
    api.patch(f"/campaigns/{tea}", {"priority": "high"})
    before = len(entries())

    api.post("/campaigns/batch", {**change, "dry_run": True})
    taken_back = {"ids": [tea, milk], "do": "archive", "all_or_nothing": True}
    api.post("/campaigns/batch", taken_back)
    api.post("/campaigns/batch", change)

    tried, undone, *done = entries()[before:]
    assert {one["action"] for one in (tried, undone)} == {"campaign.batch"}
    assert [one["before"] or one["after"] for one in (tried, undone)] == [None, None]
    assert [(one["target"], one["before"], one["after"]) for one in done] == [
        (f"campaign:{tea}", {"priority": "high"}, {"priority": "urgent"}),
        (f"campaign:{milk}", {"priority": "medium"}, {"priority": "urgent"}),
    ]


def test_the_page_names_every_write_as_the_log_does(app: Flask) -> None:
    document = app.test_client().get("/api/v1/openapi.json").get_json()
    page = PAGE.read_text("utf-8")
    table = re.search(r"\| action \| operation \|\n(?:\|.*\n)*", page)
    assert table is not None
    if os.environ.get("ECHELONX_TEST_WRITE"):
        PAGE.write_text(page.replace(table[0], reference(document)), "utf-8")
        return
    assert table[0] == reference(document), "ECHELONX_TEST_WRITE=1 writes the table anew"


def test_a_write_is_told_by_the_name_of_its_operation(app: Flask, api: Caller) -> None:
    for operations in api.get("/openapi.json")["paths"].values():
        for method, operation in operations.items():
            told = method != "parameters" and operation.get("x-audit")
            if told and told.replace(".", "_") != operation["operationId"]:
                assert (operation["operationId"], told) in OTHERWISE
    names = {deed_of(app, rule.endpoint) for rule in app.url_map.iter_rules()}
    assert names >= SHOWS_NOBODY | UNTOLD, "each names an operation"
