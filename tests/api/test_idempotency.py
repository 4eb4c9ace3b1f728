"""Mirrors api/idempotency.py: B090, and a process that dies at the worst moment."""

import io
import os
from threading import Thread
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event
from werkzeug.test import TestResponse

from core.clock import ManualClock
from echelonx.factory import create_app
from echelonx.wiring import Services, build
from tests.api.caller import Caller, good, pointers, refused
from tests.api.conftest import CallerOf
from tests.factories import Factory

KEY = {"Idempotency-Key": "order 17"}
ANA = {"member_id": "ana", "first_name": "Ana"}


def test_a_write_that_is_sent_again_is_answered_again(api: Caller, clock: ManualClock) -> None:
    first = api.ask("POST", "/members", ANA, KEY)
    again = api.ask("POST", "/members", ANA, KEY)

    assert (again.status_code, again.get_data()) == (201, first.get_data())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.mimetype == "application/json"
    assert "Idempotent-Replayed" not in first.headers
    assert len(api.get("/members")["data"]) == 1
    clock.advance(hours=24)
    refused(api.ask("POST", "/members", ANA, KEY), 409)


def test_one_key_is_for_one_request(api: Caller, caller_of: CallerOf, client_id: int) -> None:
    good(api.ask("POST", "/members", ANA, KEY))
    for method, path, body in (
        ("POST", "/members", ANA | {"first_name": "Bo"}),
        ("POST", "/members?x=1", ANA),
        ("PATCH", "/members/1", ANA),
    ):
        problem = refused(api.ask(method, path, body, KEY), 422)
        assert problem["type"] == "urn:echelonx:problem:idempotency_key_reused"
        assert pointers(problem) == {"header:/Idempotency-Key"}

    other = caller_of(client_id).ask("POST", "/members", {"member_id": "bo"}, KEY)
    assert other.status_code == 201


def test_what_was_refused_is_refused_again_unless_the_moment_was_to_blame(api: Caller) -> None:
    for _ in range(2):
        answer = api.ask("POST", "/members", {"gender": 7}, KEY)
        refused(answer, 422)
    assert answer.headers["Idempotent-Replayed"] == "true"

    key = {"Idempotency-Key": "another"}
    api.post("/members", ANA)
    refused(api.ask("POST", "/members", ANA, key), 409)
    api.delete("/members/1")
    assert api.ask("POST", "/members", ANA, key).status_code == 201


def test_a_key_is_printable_and_short(api: Caller) -> None:
    for key in ("", "x" * 256, "é", "a\tb"):
        problem = refused(api.ask("POST", "/members", ANA, {"Idempotency-Key": key}), 422)
        assert pointers(problem) == {"header:/Idempotency-Key"}
    assert api.ask("GET", "/members", headers={"Idempotency-Key": ""}).status_code == 200
    assert api.ask("POST", "/members", ANA, {"Idempotency-Key": "x" * 255}).status_code == 201


def test_a_file_is_told_from_another_whatever_its_boundary(api: Caller) -> None:
    first = good(sent(api, b"email\nbo@example.com\n"))

    again = sent(api, b"email\nbo@example.com\n")

    assert good(again) == first
    assert again.headers["Idempotent-Replayed"] == "true"
    refused(sent(api, b"email\nba@example.com\n"), 422)
    assert len(api.get("/imports")["data"]) == 1


def test_a_key_is_shown_again_to_whoever_made_it_and_to_nobody_else(
    api: Caller, stranger: Caller
) -> None:
    body = {"name": "shop", "scopes": ["read"]}
    made = good(api.ask("POST", "/api-keys", body, KEY))

    assert good(api.ask("POST", "/api-keys", body, KEY))["key"] == made["key"]
    assert good(stranger.ask("POST", "/api-keys", body, KEY))["key"] != made["key"]


@pytest.mark.parametrize(("moment", "written"), [("commit", 0), ("answer", 1)])
def test_a_crash_leaves_both_the_change_and_its_answer_or_neither(
    api: Caller, product: Services, clock: ManualClock, moment: str, written: int
) -> None:
    """The process dies right before the request's commit, or right after it."""
    # The key's use is noted now, not by the request that dies. A look at people would be noted
    # by a thread, whose lock on SQLite's file the process would inherit and never give back.
    api.get("/api-keys")
    assert died(product, clock, api, moment)

    assert len(api.get("/members")["data"]) == written
    if not written:
        busy = api.ask("POST", "/members", ANA, KEY)
        refused(busy, 409)
        assert busy.headers["Retry-After"] == "1"
        clock.advance(minutes=1)
    answer = api.ask("POST", "/members", ANA, KEY)
    assert answer.status_code == 201
    assert answer.headers.get("Idempotent-Replayed") == ("true" if written else None)
    assert len(api.get("/members")["data"]) == 1


def died(product: Services, clock: ManualClock, api: Caller, moment: str) -> bool:
    """Send the request in a process that dies at `moment`; say whether it did."""
    product.engine.dispose()
    child = os.fork()
    if child == 0:
        try:
            services = build(product.settings, clock)
            app = create_app(services)
            commits: list[Any] = []

            @event.listens_for(services.engine, "commit")
            def commit(connection: object) -> None:
                commits.append(connection)
                if moment == "commit" and len(commits) == 2:  # the first took the key
                    os._exit(9)

            Caller(app.test_client(), api.headers["Authorization"].split()[1]).ask(
                "POST", "/members", ANA, KEY
            )
            os._exit(9 if moment == "answer" and len(commits) == 2 else 1)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def sent(api: Caller, text: bytes) -> TestResponse:
    form = {"file": (io.BytesIO(text), "people.csv"), "options": "{}"}
    return api.http.post("/api/v1/imports", data=form, headers={**api.headers, **KEY})


def test_whoever_lost_the_key_undoes_what_they_wrote(
    api: Caller, app: Flask, clock: ManualClock, make: Factory
) -> None:
    """The first try outlives its lease: the second is done, the first leaves nothing."""
    path = f"/members/{make.member()}/notes"
    others = iter([Thread(target=lambda: good(api.ask("POST", path, {"text": "Tea"}, KEY)))])

    @app.before_request
    def meanwhile() -> None:
        for other in others:  # the first try, which has its key by now
            clock.advance(minutes=1)
            other.start()
            other.join()

    refused(api.ask("POST", path, {"text": "Tea"}, KEY), 409)

    assert [note["text"] for note in api.get(path)["data"]] == ["Tea"]
