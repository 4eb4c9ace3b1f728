"""Owned: one thing of each kind, by the name it has in routes."""

import io
from typing import Any

from sqlalchemy import select

from accounts.user import create_user
from core.db import write
from tests.api.caller import Caller, good
from tests.api.test_providers import SMTP
from tests.api.test_templates import EMAIL
from tests.factories import Factory
from webhooks.collected import Collected, sealed, store
from webhooks.inbox import InboxState
from webhooks.write_key import WriteKey

NAME = "Ana Petrova"
"""Of its people; no random token has a space."""


def one_of_each(api: Caller, make: Factory) -> dict[str, Any]:
    """One thing of each kind, by the name it has in routes."""
    member = api.post("/members", {"email": "ana@example.com", "first_name": NAME})
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
        make.address(make.member(first_name=NAME), "sms", "+12015550199")
    api.post("/duplicates/search", {})
    pair = api.get("/duplicates")["data"][0]
    edit = api.post("/bulk-edits", {"ids": [member["id"]], "changes": {"tier": "elite"}})
    order = {"member_id": member["id"], "order_id": "A-1", "amount": "5", "currency": "EUR"}
    api.post("/orders", order)
    with write(make.sessions) as session:
        user_id = create_user(
            session, make.clock, email="max@example.com", client_id=make.client_id
        ).id
    hook = {"url": "https://crm.example.com/hook", "types": ["*"]}
    endpoint = api.post("/webhook-endpoints", hook)["id"]
    return {
        "stuck_id": _stuck(make),
        "endpoint_id": endpoint,
        "delivery_id": api.post(f"/webhook-endpoints/{endpoint}/test")["id"],
        "order_id": "A-1",
        "user_id": user_id,
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
        "job_id": f"import-{job['id']}",
        "export_id": api.post("/exports", {"of": "members"})["id"],
        "communication_id": make.message(member["id"], to_address="ana@example.com"),
        "key_id": api.get("/api-keys")["data"][0]["id"],
        "invitation_id": api.post("/invitations", {"email": "new@example.com"})["id"],
        "session_id": 1,
        "identity_id": 1,
    }


def _stuck(make: Factory) -> int:
    key = WriteKey(1, make.client_id, None, trusted=True, rate=None)
    row = sealed(make.clock, make.vault, key=key, body=b"{}", kind="track", events=1)
    with write(make.sessions) as session:
        store(session, [{**row, "state": InboxState.DEAD}])
        return session.scalars(select(Collected.id)).one()
