"""Mirrors accounts/news.py: each kind of news is told where it happens."""

import io
from typing import Any

import pytest

from campaigns.fan_out import step
from campaigns.finish import finish_runs
from core.clock import ManualClock
from core.db import write
from echelonx.journeys import Moving
from echelonx.tracking import Tracking
from echelonx.wiring import Services
from tests.api.caller import Caller, good
from tests.api.test_providers import SMTP
from tests.api.test_templates import EMAIL

YES = [{"channel": "email", "state": "granted"}]


class Ear:
    """An endpoint that listens for something, and what it is to be told."""

    def __init__(self, api: Caller, *types: str) -> None:
        self._api = api
        body = {"url": "https://crm.example.com/hook", "types": types}
        self._path = f"/webhook-endpoints/{api.post('/webhook-endpoints', body)['id']}/deliveries"

    def heard(self) -> list[tuple[str, dict[str, Any]]]:
        rows = self._api.get(self._path)["data"]
        return [(row["type"].partition(".")[2], row["data"]) for row in reversed(rows)]

    def names(self) -> list[str]:
        return [name for name, _ in self.heard()]


def test_of_members(api: Caller, stranger: Caller) -> None:
    ear, deaf = Ear(api, "member.*"), Ear(stranger, "*")
    ana = api.post("/members", {"email": "ana@example.com", "first_name": "Ana", "consents": YES})
    path = f"/members/{ana['id']}"
    api.patch(path, {"first_name": "Anna", "tier": "elite"})
    for state in ("withdrawn", "withdrawn", "granted", "granted"):
        api.post(f"{path}/consents", {"channel": "email", "state": state})
    twin = api.post("/members", {"email": "ana2@example.com"})["id"]
    api.post("/merges", {"survivor_id": ana["id"], "absorbed_id": twin})
    api.delete(path)

    heard = ear.heard()
    assert [name for name, _ in heard] == [
        "created", "updated", "unsubscribed", "resubscribed", "created", "deleted", "updated",
        "deleted",
    ]  # fmt: skip
    assert {"first_name", "tier"} <= set(heard[1][1]["changed"])
    assert heard[2][1] == {"id": ana["id"], "channel": "email"}
    assert heard[5][1] == {"id": twin, "merged_into": ana["id"]}
    assert "ana" not in str(heard).lower(), "ids and facts, no names and no addresses"
    assert deaf.names() == []


def test_of_segments(api: Caller, product: Services, clock: ManualClock) -> None:
    def look() -> None:
        tracking = Tracking(product.sessions, clock)
        while tracking.unit():
            pass

    ear = Ear(api, "segment.*")
    api.post("/members", {"member_id": "old", "tags": ["vip"]})
    segment = api.post("/segments", {"name": "A", "text": 'has tag "vip"', "tracked": True})["id"]
    look()
    new = api.post("/members", {"member_id": "new", "tags": ["vip"]})["id"]
    look()
    clock.advance(minutes=1)
    api.post(f"/members/{new}/tags", {"remove": ["vip"]})
    look()
    data = {"segment_id": segment, "member_id": new}
    assert ear.heard() == [("joined", data), ("left", data)]


def test_of_campaigns_and_who_is_left_out(
    api: Caller, product: Services, clock: ManualClock
) -> None:
    ear, skips = Ear(api, "campaign.*"), Ear(api, "communication.skipped")
    template = api.post("/templates", EMAIL)
    api.post("/providers", SMTP)
    api.post("/members", {"email": "ana@example.com", "consents": YES})
    mute = api.post("/members", {"email": "bo@example.com"})["id"]
    body = {
        "name": "C",
        "type": "email",
        "target_audience": {"rule": "everyone"},
        "variants": [{"channel": "email", "template_id": template["id"]}],
    }
    path = f"/campaigns/{api.post('/campaigns', body)['id']}"
    api.post(f"{path}/launch")
    while step(product.sessions, clock):
        pass
    assert [(one["member_id"], one["reason"]) for _, one in skips.heard()] == [(mute, "no_consent")]
    for deed in ("pause", "pause", "resume", "cancel"):
        api.post(f"{path}/{deed}")
    with write(product.sessions) as session:
        finish_runs(session, clock)
    assert ear.names() == ["launched", "paused", "resumed", "finished"]
    assert skips.names() == ["skipped", "skipped"]


@pytest.mark.parametrize(
    ("ending", "heard"), [('exit "over"', "exited"), ('goal first_name = "Ana"\n  wait 1d', "goal")]
)
def test_of_journeys(api: Caller, product: Services, ending: str, heard: str) -> None:
    ear = Ear(api, "journey.*")
    ana = api.post("/members", {"member_id": "a", "first_name": "Ana"})["id"]
    text = f'journey "J"\n  when asked\n  {ending}\n'
    journey = api.post("/journeys", {"text": text})["id"]
    api.post(f"/journeys/{journey}/publish")
    api.post(f"/journeys/{journey}/enrolments", {"members": [ana]})
    while Moving(product, held=lambda: False).unit():
        pass
    assert ear.names() == ["entered", heard]
    assert ear.heard()[1][1]["member_id"] == ana


def test_of_who_is_taken_out_by_hand(api: Caller) -> None:
    ear = Ear(api, "journey.exited")
    ana = api.post("/members", {"member_id": "a"})["id"]
    journey = api.post("/journeys", {"text": 'journey "J"\n  when asked\n  wait 1d\n'})["id"]
    api.post(f"/journeys/{journey}/publish")
    api.post(f"/journeys/{journey}/enrolments", {"members": [ana]})
    api.post(f"/journeys/{journey}/interventions", {"do": "exit", "which": {}})
    assert ear.names() == ["exited"]


def test_of_imports(api: Caller) -> None:
    ear = Ear(api, "import.finished", "member.created")
    file = io.BytesIO(b"email\nana@example.com\nnobody\n")
    job = good(api.send_file("/imports", file=(file, "people.csv")))
    assert ear.names() == ["created", "finished"]
    told = ear.heard()[1][1]
    assert (told["id"], told["status"], told["created"], told["rejected"]) == (
        job["id"], "done", 1, 1,
    )  # fmt: skip
