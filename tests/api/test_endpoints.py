"""Mirrors api/endpoints.py: from a URL to a verified webhook, by the reference library."""

import dataclasses
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import webhooks
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from accounts.news import News
from accounts.outbox import Fact, publish
from core.clock import ManualClock
from core.db import write
from core.http import Egress, Reply
from echelonx.outbound import Outbound
from echelonx.wiring import Services
from tests.api.caller import Caller, pointers, refused
from tests.channels.loopback import HttpServer, Request, answer, running, silence

PAGE = Path(__file__).parents[2] / "docs/reference/outbound-webhooks.md"
URL = "https://crm.example.com/hook"
PATH = "/webhook-endpoints"


class Near(Egress):
    """Finds crm.example.com on this machine."""

    def __init__(self, base: str, patience: float = 60.0) -> None:
        super().__init__(
            allow_private=True, read_timeout=patience, total_timeout=patience, max_body=4096
        )
        self._base = base

    def request(self, method: str, url: str, **rest: Any) -> Reply:
        return super().request(method, url.replace("https://crm.example.com", self._base), **rest)


@pytest.fixture
def crm() -> Iterator[HttpServer]:
    with running(HttpServer()) as server:
        yield server


@pytest.fixture
def near(product: Services, crm: HttpServer) -> Iterator[Services]:
    egress = Near(crm.url)
    yield dataclasses.replace(product, outbound=egress)
    egress.close()


def tell(services: Services, client_id: int, *objects: str) -> None:
    with write(services.sessions) as session:
        facts = [Fact(News.DELIVERED, one, services.clock.now(), {"id": 7}) for one in objects]
        publish(session, services.clock.now(), client_id=client_id, facts=facts)


def work(services: Services) -> None:
    unit = Outbound(services).unit
    while unit():
        pass


@pytest.fixture(autouse=True)
def receivers_go_by_the_clock(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference library reads the machine's clock; here it reads the test's."""

    class Moment(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return clock.now()

    monkeypatch.setattr(webhooks, "datetime", Moment)


def verified(secret: str, request: Request) -> Any:
    """What a receiver reads."""
    return Webhook(secret).verify(request.body, request.headers)


def test_what_happens_is_posted_signed_and_logged(
    api: Caller, near: Services, crm: HttpServer, clock: ManualClock, client_id: int
) -> None:
    made = api.post(PATH, {"url": URL, "types": ["communication.*"], "description": "CRM"})
    secret = api.post(f"{PATH}/{made['id']}/secret")["secret"]
    crm.script = [answer(503, b"busy" * 2000, Retry_After="60"), answer(204)]
    tell(near, client_id, "communication:7")
    work(near)
    clock.advance(seconds=61)
    work(near)

    first, second = crm.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert "." not in first.headers["webhook-id"]
    told = verified(secret, second)
    assert told == {
        "type": "communication.delivered",
        "timestamp": "2026-11-21T12:00:00Z",
        "data": {"id": 7},
    }
    (row,) = api.get(f"{PATH}/{made['id']}/deliveries")["data"]
    assert (row["state"], row["tries"], row["object"]) == ("delivered", 2, "communication:7")
    assert [one["status"] for one in row["attempts"]] == [503, 204]
    assert row["attempts"][0]["answer"] == "busy" * 125
    assert api.get(f"{PATH}/{made['id']}/deliveries", state="failed")["data"] == []
    assert api.get(f"{PATH}/{made['id']}")["last_success_at"] is not None


def test_after_a_rotation_both_secrets_sign_for_a_day(
    api: Caller, near: Services, crm: HttpServer, clock: ManualClock, client_id: int
) -> None:
    own = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    made = api.post(PATH, {"url": URL, "types": ["*"], "secret": own})
    path = f"{PATH}/{made['id']}"
    fresh = api.post(f"{path}/rotate", {})
    assert fresh["older"] == [own]

    api.post(f"{path}/test")
    work(near)
    assert verified(own, crm.requests[0]) == verified(fresh["secret"], crm.requests[0])
    clock.advance(hours=24)
    api.post(f"{path}/test")
    work(near)
    assert verified(fresh["secret"], crm.requests[1])
    with pytest.raises(WebhookVerificationError):
        verified(own, crm.requests[1])
    assert api.post(f"{path}/secret") == {"secret": fresh["secret"], "older": []}


def test_the_receiver_of_the_docs_understands_it(
    api: Caller, near: Services, crm: HttpServer, client_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = api.post(PATH, {"url": URL, "types": ["*"]})
    secret = api.post(f"{PATH}/{made['id']}/secret")["secret"]
    monkeypatch.setenv("SIGNING_SECRET", secret)
    (shown,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    receiver: dict[str, Any] = {"__name__": "receiver"}
    exec(shown, receiver)  # noqa: S102  (the page's example)
    web = receiver["app"].test_client()

    tell(near, client_id, "communication:7")
    work(near)
    (request,) = crm.requests
    for body, status in ((request.body, 204), (request.body, 204), (request.body + b" ", 403)):
        assert web.post("/hook", data=body, headers=request.headers).status_code == status
    assert [one["data"] for one in receiver["seen"].values()] == [{"id": 7}]


def test_the_page_lists_every_kind_of_news() -> None:
    table = PAGE.read_text("utf-8").partition("| type | when")[2].partition("*message* is")[0]
    assert set(re.findall(r"`(\w+\.\w+)`", table)) == {one.value for one in News}


def test_what_failed_is_replayed(
    api: Caller, near: Services, crm: HttpServer, clock: ManualClock, client_id: int
) -> None:
    path = f"{PATH}/{api.post(PATH, {'url': URL, 'types': ['*']})['id']}"
    crm.script = [answer(302, Location=crm.url), answer(410), answer(200)]
    tell(near, client_id, "communication:1")
    work(near)
    clock.advance(seconds=10)
    work(near)
    assert [one.path for one in crm.requests] == ["/hook", "/hook"], "redirects are not followed"
    gone = api.get(path)
    assert (gone["enabled"], gone["disabled_reason"]) == (False, "it answered 410 Gone")
    (row,) = api.get(f"{path}/deliveries", state="failed")["data"]
    again = f"{path}/deliveries/{row['id']}/replay"
    refused(api.ask("POST", again), 409)
    refused(api.ask("POST", f"{path}/test"), 409)

    api.patch(path, {"enabled": True})
    since = {"since": "2026-11-21T00:00:00Z"}
    assert api.post(f"{path}/replay", since) == {"replayed": 1, "more": False}
    refused(api.ask("POST", again), 409)
    work(near)
    assert api.post(f"{path}/replay", since) == {"replayed": 0, "more": False}
    assert api.post(again)["state"] == "waiting"
    work(near)
    assert len({one.headers["webhook-id"] for one in crm.requests}) == 1
    api.delete(path)
    refused(api.ask("GET", path), 404)


def test_one_that_does_not_answer_holds_up_nothing_but_itself(
    api: Caller, near: Services, crm: HttpServer, client_id: int
) -> None:
    mute = api.post(PATH, {"url": URL, "types": ["communication.*"]})
    crm.script = [silence]
    tell(near, client_id, *[f"communication:{number}" for number in range(20)])
    impatient = Near(crm.url, 0.5)
    work(dataclasses.replace(near, outbound=impatient))
    impatient.close()
    tried = api.get(f"{PATH}/{mute['id']}/deliveries")["data"]
    assert {one["problem"] for row in tried for one in row["attempts"]} == {"no answer in time"}
    assert 3 <= sum(row["tries"] for row in tried) < 20, "the rest of them wait for a better time"
    assert api.get(f"{PATH}/{mute['id']}")["rest_until"] is not None


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example.com/hook",
        "https://user:pass@crm.example.com/",
        "https://crm.example.com:6379/",
        "file:///etc/passwd",
        "gopher://crm.example.com/",
        "https:///hook",
        "https://127.0.0.1/hook",
        "https://[::1]/hook",
        "https://169.254.169.254/latest",
    ],
)
def test_a_url_that_must_not_be_called_is_refused(api: Caller, url: str) -> None:
    assert pointers(refused(api.ask("POST", PATH, {"url": url, "types": ["*"]}), 422)) == {"/url"}


def test_a_name_that_leads_inside_is_never_connected_to(
    api: Caller, product: Services, crm: HttpServer, client_id: int
) -> None:
    """B050, B051: the guard at the time of the post, whatever the name said before."""
    path = f"{PATH}/{api.post(PATH, {'url': 'https://localhost/hook', 'types': ['*']})['id']}"
    api.post(f"{path}/test")
    work(product)
    (row,) = api.get(f"{path}/deliveries")["data"]
    assert row["attempts"][0]["problem"] == "the host has a private address"
    assert crm.connections == 0


def test_a_secret_that_is_shown_again_is_audited_again(api: Caller) -> None:
    made = api.post(PATH, {"url": URL, "types": ["*"]})
    once = {"Idempotency-Key": "once"}

    shown = [api.ask("POST", f"{PATH}/{made['id']}/secret", headers=once) for _ in range(2)]

    assert shown[0].get_json() == shown[1].get_json()
    told = [one["action"] for one in api.get("/audit")["data"]]
    assert sum("secret" in action for action in told) == 2


def test_types_and_secrets_are_checked(api: Caller) -> None:
    unknown = {"url": URL, "types": ["member.created", "member.eaten"]}
    assert pointers(refused(api.ask("POST", PATH, unknown), 422)) == {"/types/1"}
    short = {"url": URL, "types": ["*"], "secret": "whsec_c2hvcnQ="}
    assert pointers(refused(api.ask("POST", PATH, short), 422)) == {"/secret"}
    made = api.post(PATH, {"url": URL, "types": ["*", "*"]})
    assert made["types"] == ["*"]
    assert api.patch(f"{PATH}/{made['id']}", {"types": ["journey.*"]})["types"] == ["journey.*"]
    off = api.patch(f"{PATH}/{made['id']}", {"enabled": False})
    assert off["disabled_reason"] == "disabled by hand"
