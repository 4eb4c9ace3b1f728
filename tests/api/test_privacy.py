"""Mirrors api/privacy.py: RELIABILITY's export, ledger and preview, by the API."""

import csv
import io
import json
import zipfile

from communications.dossier import FOUND, SECTIONS
from core.db import write
from members.suppression import Scope, SuppressionReason, suppress
from tests.api.caller import refused


def test_a_member_gets_everything_that_is_kept(api, stranger, make, product) -> None:
    member = api.post(
        "/members", {"email": "ana@example.com", "first_name": "Ana", "attributes": {"pet": "cat"}}
    )
    path = f"/members/{member['id']}"
    api.post(f"{path}/consents", {"channel": "email", "state": "granted", "wording": "Write me"})
    api.post(f"{path}/notes", {"text": "=likes tea"})
    make.message(member["id"], to_address="ana@example.com", subject="Hi", content="Hello Ana")
    with write(product.sessions) as session:
        suppress(
            session, product.clock, client_id=make.client_id, channel="email",
            address_hash=make.hash("email", "ana@example.com"), masked="a***", scope=Scope.ALL,
            reason=SuppressionReason.BOUNCED,
        )  # fmt: skip

    told = api.get(f"{path}/export")
    assert told["member_id"] == member["id"]
    sections = told["sections"]
    assert sections.keys() == {one.table for one in SECTIONS} | set(FOUND)
    assert sections["members"][0]["attributes"] == {"pet": "cat"}
    assert sections["addresses"][0]["value"] == "ana@example.com"
    assert sections["consents"][0]["wording"] == "Write me"
    assert sections["communications"][0]["said"] == {"subject": "Hi", "text": "Hello Ana"}
    assert sections["suppressions"][0]["reason"] == "bounced"
    assert {one["action"] for one in sections["audit_log"]} >= {"member.add_note"}
    archive = zipfile.ZipFile(io.BytesIO(api.ask("GET", f"{path}/export", format="csv").get_data()))
    [note] = csv.DictReader(io.StringIO(archive.read("member_notes.csv").decode()))
    assert note["text"] == "'=likes tea"
    refused(stranger.ask("GET", f"{path}/export"), 404)
    product.witness.flush()
    assert len(api.get("/audit", action="read.privacy.export_member")["data"]) == 2


def test_who_may_not_see_people_gets_no_file_of_them_either(api, caller_of, client_id) -> None:
    member = api.post("/members", {"member_id": "ana", "email": "ana@example.com"})
    blind = caller_of(client_id, scopes=["exports:read", "exports:write"])
    paths = [f"/members/{member['id']}/export", f"/members/{member['id']}/consents/export"]
    for path in [*paths, "/consents/export"]:
        assert "members:read" in refused(blind.ask("GET", path), 403)["detail"]
    sees = caller_of(client_id, scopes=["exports:write", "members:read"])
    assert "audit_log" not in sees.get(paths[0])["sections"]
    assert "audit_log" in api.get(paths[0])["sections"]


def test_the_ledger_shows_every_word_and_its_proof(api) -> None:
    ids = [api.post("/members", {"member_id": name})["id"] for name in ("ana", "bo")]
    for number, state in ((0, "granted"), (1, "granted"), (0, "withdrawn")):
        api.post(f"/members/{ids[number]}/consents", {"channel": "email", "state": state})

    def words(path: str) -> list[tuple[int, str, str]]:
        lines = api.ask("GET", path).get_data(as_text=True).splitlines()
        return [(one["member_id"], one["state"], one["source"]) for one in map(json.loads, lines)]

    assert words("/consents/export") == [
        (ids[0], "granted", "api"), (ids[1], "granted", "api"), (ids[0], "withdrawn", "api")
    ]  # fmt: skip
    assert len(words(f"/members/{ids[0]}/consents/export")) == 2
    answer = api.ask("GET", "/consents/export", format="csv")
    assert "Content-Length" not in answer.headers, "it is sent as it is read"
    text = answer.get_data(as_text=True)
    assert [row["state"] for row in csv.DictReader(io.StringIO(text))][-1] == "withdrawn"


def test_what_is_about_to_be_forgotten_is_told(api) -> None:
    api.patch("/clients/me", {"settings": {"audit_days_kept": 365}})
    due = {one["name"]: (one["days"], one["rows"]) for one in api.get("/retention/preview")["data"]}
    assert due == {
        "raw_webhooks": (30, 0), "message_content": (180, 0), "events": (730, 0), "audit": (365, 0)
    }  # fmt: skip
