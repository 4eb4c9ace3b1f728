"""Mirrors api/rate.py."""

import dataclasses

import pytest
from flask import Flask

from core.clock import ManualClock
from echelonx.factory import create_app
from echelonx.wiring import Services
from tests.api.caller import Caller, good, pointers, refused
from tests.api.conftest import CallerOf


@pytest.fixture
def app(product: Services) -> Flask:
    """The application, with a limit that is soon reached."""
    settings = dataclasses.replace(product.settings, rate_limit=2, rate_burst=3)
    made = create_app(dataclasses.replace(product, settings=settings))
    made.testing = True
    return made


def test_whoever_asks_too_often_is_told_when_to_come_back(
    api: Caller, stranger: Caller, clock: ManualClock
) -> None:
    told = [api.ask("GET", "/members").headers["RateLimit-Remaining"] for _ in range(3)]
    assert told == ["2", "1", "0"]

    late = api.ask("POST", "/members", {"member_id": "ana"})
    problem = refused(late, 429)
    assert problem["type"] == "urn:echelonx:problem:rate_limited"
    assert late.headers["Retry-After"] == "1"
    assert (late.headers["RateLimit-Limit"], late.headers["RateLimit-Reset"]) == ("3", "2")
    assert good(stranger.ask("GET", "/members")) == {"data": [], "next_cursor": None}

    clock.advance(seconds=1)
    assert good(api.ask("GET", "/members"))["data"] == []


def test_a_key_can_have_a_rate_of_its_own(
    api: Caller, caller_of: CallerOf, client_id: int, clock: ManualClock
) -> None:
    fast = caller_of(client_id, rate=50)
    for _ in range(3):
        fast.get("/members")
    clock.advance(seconds=0.1)
    assert [fast.ask("GET", "/members").status_code for _ in range(4)] == [200, 200, 200, 429]

    faster = {"name": "shop", "rate": 3}
    assert pointers(refused(api.ask("POST", "/api-keys", faster), 422)) == {"/rate"}
    assert api.post("/api-keys", faster | {"rate": 1})["rate"] == 1


def test_somebody_unknown_is_counted_by_their_address(app: Flask) -> None:
    nobody = Caller(app.test_client(), None)

    seen = [nobody.ask("GET", "/openapi.json").status_code for _ in range(4)]

    assert seen == [200, 200, 200, 429]


def test_keys_are_guessed_no_faster_than_strangers_may_ask(app: Flask, api: Caller) -> None:
    guesser = Caller(app.test_client(), "ex_0a1b2c3d_notakeynotakeynotakeynotakeynotakey")

    seen = [guesser.ask("GET", "/members").status_code for _ in range(4)]

    assert seen == [401, 401, 401, 429]
    assert api.get("/members")["data"] == []


def test_what_one_may_not_do_is_counted_too(caller_of: CallerOf, client_id: int) -> None:
    reader = caller_of(client_id, scopes=["read"])

    seen = [reader.ask("POST", "/members", {}).status_code for _ in range(4)]

    assert seen == [403, 403, 403, 429]


@pytest.mark.parametrize(("proxies", "last"), [(0, 429), (1, 200), (2, 429)])
def test_behind_proxies_strangers_are_told_apart_by_who_the_proxies_say_they_are(
    product: Services, proxies: int, last: int
) -> None:
    settings = dataclasses.replace(
        product.settings, rate_limit=2, rate_burst=3, trusted_proxies=proxies
    )
    http = create_app(dataclasses.replace(product, settings=settings)).test_client()

    def asked(by: str) -> int:
        forwarded = {"X-Forwarded-For": f"203.0.113.9, {by}"}
        return http.get("/api/v1/openapi.json", headers=forwarded).status_code

    assert [asked("198.51.100.1") for _ in range(4)] == [200, 200, 200, 429]
    assert asked("198.51.100.2") == last
