"""Hostile words: B015 to B018, and B087, B089 and B091 of the test plan, through the API.

What people and providers tell may be markup. It comes back as it came, inside JSON, and never as a
page of ours: whoever shows it has to escape it, and a browser that is led to such an answer shows
text. The few pages there are (unsubscribe, account) escape it: tests/webhooks/test_public.py.
"""

from typing import Any

import pytest
from flask import Flask

from echelonx.wiring import Services, applier
from tests.api.caller import Caller, good, pointers, refused
from tests.api.test_providers import SMTP
from tests.factories import Factory
from tests.webhooks.providers import SendGrid
from webhooks.apply import step

MARKUP = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<svg onload=alert(1)>",
    "<a oncontentvisibilityautostatechange=alert(1) style=display:block>",
    "<math><mtext><style><!--</style><img title='--&gt;<img src=1 onerror=alert(1)>'>",
    "</textarea><script>alert(1)</script>",
    "{{constructor.constructor('alert(1)')()}}",
]


def told(answer: Any) -> str:
    """Hold an answer to what keeps browsers from running it; return its text."""
    assert answer.mimetype in ("application/json", "application/problem+json"), answer.mimetype
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    return str(answer.get_data(as_text=True))


@pytest.mark.parametrize("text", MARKUP)
def test_markup_is_text_wherever_it_comes_back(
    app: Flask, api: Caller, make: Factory, text: str
) -> None:
    """B015 (content), B016 (names, UTM, Referer), B017 (a provider's error)."""
    html = {"name": "T", "channel": "email", "subject": "Hi", "html": f"<p>x</p>{text}"}
    if text.startswith("{{"):
        refused(api.ask("POST", "/templates", html), 422)
    else:
        template = api.post("/templates", html)["id"]
        preview = told(api.ask("POST", f"/templates/{template}/preview", {}))
        assert "<p>x" in preview
    member = api.post("/members", {"first_name": text, "attributes": {"utm_source": text}})["id"]
    api.post(f"/members/{member}/notes", {"text": text})
    api.post("/segments", {"name": text, "text": "everyone"})
    api.post("/providers", {**SMTP, "name": text})
    message = make.message(member, to_address="ana@example.com", error_message=text)
    hook = {"url": "https://crm.example.com/hook", "types": ["*"], "description": text}
    api.post("/webhook-endpoints", hook)
    for path in (
        "/members", f"/members/{member}", f"/members/{member}/notes", "/segments", "/providers",
        "/communications", f"/communications/{message}", "/webhook-endpoints",
    ):  # fmt: skip
        answer = api.ask("GET", path, headers={"Referer": f"https://x.example/?{text}"})
        assert text in str(good(answer)), path
        told(answer)
    for path in (f"/members?match={text}", f"/members?sort={text}", f"/{text}", f"/members/{text}"):
        told(api.ask("GET", path))


@pytest.mark.parametrize("text", MARKUP)
def test_what_a_webhook_says_is_text(
    app: Flask, api: Caller, make: Factory, product: Services, text: str
) -> None:
    """B018: its reason, in the story of the message."""
    message = make.message()
    account = SendGrid(make, app.test_client())
    event = {
        "event": "bounce", "type": "bounce", "sg_event_id": "e1", "timestamp": 1795262400,
        "email": "a@b.co", "reason": text, "status": text,
        "ex_ref": product.references.make(message, 1),
    }  # fmt: skip
    assert account.post(event).status_code == 204
    while step(product.sessions, product.clock, applier(product), limit=50):
        pass
    story = api.ask("GET", f"/communications/{message}")
    assert text in str(good(story))
    told(story)


def test_what_a_member_does_not_have_is_left_out_or_said_otherwise(api: Caller) -> None:
    """B089: never “Dear None”, nor “Dear null”."""
    member = api.post("/members", {"email": "ana@example.com", "attributes": {"city": None}})["id"]
    text = "Dear {{ first_name }}{{ member.attributes.city }}{{ attributes.none }}!"
    for body, said in (
        (text, "Dear !"),
        ("Dear {{ first_name | default: 'friend' }}", "Dear friend"),
    ):
        made = api.post("/templates", {"name": said, "channel": "sms", "text": body})["id"]
        for sample in ({"member_id": member}, {}, {"sample": {"first_name": None}}):
            assert api.post(f"/templates/{made}/preview", sample)["faces"] == {"body": said}


def test_media_are_not_fetched_for_nobody_can_name_any(api: Caller) -> None:
    """B087: no adapter carries them yet."""
    body = {"member_id": 1, "channel": "mms", "text": "x"}
    for name in ("media_url", "media", "image"):
        wrong = {**body, name: "http://169.254.169.254/x.png"}
        assert pointers(refused(api.ask("POST", "/communications", wrong), 422)) == {f"/{name}"}


def test_one_message_goes_to_one_member(api: Caller) -> None:
    """B088: not to a thousand, nor to an address."""
    body = {"channel": "sms", "text": "x"}
    many = {**body, "member_id": list(range(1, 1001))}
    assert pointers(refused(api.ask("POST", "/communications", many), 422)) == {"/member_id"}
    for name in ("to", "cc", "bcc", "to_email"):
        wrong = {**body, "member_id": 1, name: ["a@example.com"] * 1000}
        assert pointers(refused(api.ask("POST", "/communications", wrong), 422)) == {f"/{name}"}
    long = {"name": "T", "channel": "email", "subject": "x" * 10_000, "html": "<p>x</p>"}
    assert pointers(refused(api.ask("POST", "/templates", long), 422)) == {"/subject"}


NO_TIMES = [
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2027-02-29T10:00:00Z", "2027-01-01T25:00:00Z",
    "2027-01-01T00:00:00", "2027-01-01T00:00:00+25:00", "* * * * *", "tomorrow", "", 1e18, -1, True,
]  # fmt: skip


@pytest.mark.parametrize("at", NO_TIMES)
def test_a_time_that_cannot_be_is_refused_where_times_are_told(api: Caller, at: object) -> None:
    """B091; one that has passed is blocked at launch (tests/campaigns/test_preflight.py)."""
    draft = {"name": "C", "type": "sms", "target_audience": {"rule": "everyone"}}
    planned = {**draft, "schedule_type": "scheduled", "scheduled_at": at}
    message = {"member_id": 1, "channel": "sms", "text": "x", "not_before": at}
    for path, body, name in (
        ("/campaigns", planned, "scheduled_at"),
        ("/communications", message, "not_before"),
        ("/api-keys", {"name": "k", "expires_at": at}, "expires_at"),
    ):
        assert pointers(refused(api.ask("POST", path, body), 422)) == {f"/{name}"}


def test_schedules_that_cannot_be_are_refused(api: Caller) -> None:
    """B091: no cron, no zone that is none, no end before the start."""
    draft = {"name": "C", "type": "sms", "target_audience": {"rule": "everyone"}}
    for kind in ("recurring", "* * * * *", "triggered"):
        wrong = {**draft, "schedule_type": kind}
        assert pointers(refused(api.ask("POST", "/campaigns", wrong), 422)) == {"/schedule_type"}
    for zone in ("Mars/Base", "../../etc/passwd", "UTC+25", "", "x" * 65):
        told = api.ask("PATCH", "/clients/me", {"timezone": zone})
        assert pointers(refused(told, 422)) == {"/timezone"}
    for line in ("when every day at 09:00 in Mars/Base", "when every minute at 25:00"):
        made = api.post("/journeys", {"text": f'journey "{line}"\n  {line}\n  wait 1d\n'})
        assert made["problem"]["line"] == 2
        refused(api.ask("POST", f"/journeys/{made['id']}/publish"), 422)
