"""Mirrors api/etag.py."""

from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from api.etag import EDITABLE, SINGLE
from core.clock import ManualClock
from core.db import Sessions, write
from members.bulk import advance_bulk
from members.member import Member
from tests.api.caller import Caller, good, pointers, refused, remedies
from tests.api.test_providers import SMTP
from tests.api.test_templates import EMAIL
from tests.conftest import only_postgresql
from tests.factories import Factory
from tests.waiting import until_waiting

TEXT = 'journey "J"\n  when asked\n  wait 1d\n'
CAMPAIGN = {"name": "C", "type": "email", "target_audience": {"rule": "everyone"}}
HOOK = {"url": "https://crm.example.com/hook", "types": ["*"]}
THINGS: dict[str, tuple[str, Any, str, str, Any]] = {
    "member_id": ("/members", {"email": "ana@example.com"}, "PATCH", "", {"last_name": "Li"}),
    "segment_id": ("/segments", {"name": "A", "text": "everyone"}, "PATCH", "", {"name": "B"}),
    "template_id": ("/templates", EMAIL, "PATCH", "", {"name": "B"}),
    "campaign_id": ("/campaigns", CAMPAIGN, "PATCH", "", {"name": "D"}),
    "journey_id": ("/journeys", {"text": TEXT}, "PATCH", "", {"text": TEXT + "  wait 2d\n"}),
    "provider_id": ("/providers", SMTP, "PATCH", "", {"window": 7}),
    "key_id": ("/api-keys", {"name": "shop"}, "PATCH", "", {"name": "front"}),
    "user_id": ("/users", {"email": "max@example.com"}, "PATCH", "", {"first_name": "Max"}),
    "client_id": ("/clients", None, "PATCH", "", {"website": "https://example.com"}),
    "endpoint_id": ("/webhook-endpoints", HOOK, "PATCH", "", {"types": ["member.*"]}),
}
"""How each is made, and an edit of it."""


def test_whoever_has_not_seen_an_edit_changes_nothing(
    top: Caller, clock: ManualClock, client_id: int
) -> None:
    assert THINGS.keys() == EDITABLE.keys()
    for name, (room, body, method, deed, edit) in THINGS.items():
        path = f"{room}/{top.post(room, body)['id'] if body else client_id}"
        stale = {"If-Match": '"0"'}
        seen = refused_with_etag(top, method, f"{path}{deed}", edit, stale)
        assert top.ask("GET", path).headers["ETag"].startswith(f"{seen[:-1]}-")

        clock.advance(seconds=1)
        assert top.ask(method, f"{path}{deed}", edit, {"If-Match": seen}).status_code < 300, name

        assert refused_with_etag(top, method, f"{path}{deed}", edit, {"If-Match": seen}) != seen


def refused_with_etag(api: Caller, method: str, path: str, body: Any, headers: Any) -> str:
    answer = api.ask(method, path, body, headers)
    assert pointers(refused(answer, 412)) == {"header:/If-Match"}
    return answer.headers["ETag"]


ONES: dict[str, tuple[str, Any]] = {
    "/clients/me": ("PATCH", {"website": "https://example.com"}),
    "/foundation": ("PUT", {"foundation": {"offer": "Tea"}}),
    "/me": ("PATCH", {"first_name": "Ana"}),
    "/tiers": ("PUT", {"rules": [{"tier": "elite", "text": "total_spend > 100"}]}),
}
"""What there is one of, and an edit of it."""


def test_what_there_is_one_of_has_a_version_too(top: Caller, clock: ManualClock) -> None:
    assert {f"/api/v1{path}" for path in ONES} == SINGLE.keys()
    for path, (method, body) in ONES.items():
        clock.advance(seconds=1)
        seen = top.ask("GET", path).headers["ETag"]
        first = top.ask(method, path, body, {"If-Match": seen})
        assert first.status_code == 200, path
        refused_with_etag(top, method, path, body, {"If-Match": seen})
        assert top.ask(method, path, body, {"If-Match": first.headers["ETag"]}).status_code == 200


def test_every_edit_there_is_asks_whether_its_thing_was_seen(top: Caller, client_id: int) -> None:
    ids = {name: top.post(room, body)["id"] for name, (room, body, *_) in THINGS.items() if body}
    ids["client_id"] = client_id
    tried = 0
    for path, operations in top.get("/openapi.json")["paths"].items():
        for method in operations.keys() & {"patch", "put"}:
            taken = operations[method]["parameters"]
            assert {"$ref": "#/components/parameters/If-Match"} in taken, (method, path)
            which = path.removeprefix("/api/v1").format(**ids)
            problem = refused(top.ask(method.upper(), which, {}, {"If-Match": '"0"'}), 412)
            assert pointers(problem) == {"header:/If-Match"}, (method, path)
            assert remedies(problem), (method, path)
            tried += 1
    assert tried >= 16


def test_a_precondition_is_read_as_http_says(api: Caller) -> None:
    path = f"/members/{api.post('/members', {'member_id': 'ana'})['id']}"
    tag = api.ask("GET", path).headers["ETag"]
    edit = {"last_name": "Li"}
    for wrong in ("yesterday", '"-1"', '""', '"' + "9" * 30 + '"', '"0", "-2"'):
        refused_with_etag(api, "PATCH", path, edit, {"If-Match": wrong})
    refused(api.ask("PATCH", "/members/99", edit, {"If-Match": tag}), 404)
    problem = refused(api.ask("POST", "/members", {}, {"If-Match": "*"}), 412)
    assert remedies(problem) == "send it without If-Match"

    good(api.ask("PATCH", path, edit, {"If-Match": "*"}))
    # A proxy that compresses makes tags weak.
    several = f'"0", W/{api.ask("GET", path).headers["ETag"]}'
    good(api.ask("PATCH", path, edit, {"If-Match": several}))


def test_what_the_reader_has_is_not_sent_again(api: Caller, make: Factory) -> None:
    member = make.member()
    for path in ("/members", f"/members/{member}", "/segments/vocabulary"):
        first = api.ask("GET", path)
        tag = {"If-None-Match": first.headers["ETag"]}

        same = api.ask("GET", path, headers=tag)
        assert (same.status_code, same.get_data()) == (304, b"")
        assert same.headers["ETag"] == first.headers["ETag"]

        api.post(f"/members/{member}/tags", {"add": [path.replace("/", "")]})
        api.post("/segments", {"name": path, "text": "everyone"})
        assert api.ask("GET", path, headers=tag).get_json() != first.get_json()


def test_nobody_comes_between_the_look_and_the_write(
    api: Caller, app: Flask, make: Factory
) -> None:
    """The first stops after its version was compared; the second then writes, or has to wait."""
    path = f"/members/{make.member()}"
    answers: list[int] = []

    def second() -> None:
        edit = {"last_name": "Second"}
        answers.append(api.ask("PATCH", path, edit, {"If-Match": '"1"'}).status_code)

    waiting = [Thread(target=second)]
    others = iter(waiting)

    @app.before_request
    def between() -> None:
        for other in others:
            other.start()
            other.join(0.5)  # as long as the mistake would take; what is asserted is no time

    edit = {"last_name": "First"}
    first = api.ask("PATCH", path, edit, {"If-Match": '"1"'})
    waiting[0].join()

    assert (first.status_code, answers) == (200, [412])
    assert api.get(path)["last_name"] == "First"


@only_postgresql
def test_an_edit_of_one_and_an_edit_of_many_wait_for_each_other(
    api: Caller, make: Factory, sessions: Sessions, clock: ManualClock
) -> None:
    path = f"/members/{make.member()}"
    api.post("/bulk-edits", {"text": "everyone", "changes": {"location": "Bonn"}})

    def many() -> bool:
        with write(sessions) as session:
            return advance_bulk(session, clock)

    with ThreadPoolExecutor(2) as pool:
        with write(sessions) as session:
            session.execute(select(Member.id).with_for_update()).all()
            edit = ("PATCH", path, {"last_name": "Li"}, {"If-Match": '"1"'})
            one = pool.submit(api.ask, *edit)
            until_waiting(session, one)
            both = [one, pool.submit(many)]
            until_waiting(session, *both)
        assert (one.result().status_code, both[1].result()) == (200, True)
    found = api.get(path)
    assert (found["last_name"], found["location"]) == ("Li", "Bonn")


@pytest.fixture(autouse=True)
def used(api: Caller) -> None:
    """The key's use is noted at its first request, in a write that would wait for the others."""
