"""Mirrors api/hardening.py: ASVS 3.3 and 3.4, and section 4.4 of the test plan, on every route.

The product runs as in production. Every route is asked by every method, with and without a key, so
that good answers, pages, redirects, 400 to 415 and 500 are all among what is looked at.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from core.clock import ManualClock
from core.settings import Settings
from echelonx.factory import create_app
from echelonx.wiring import Services, build
from tests.api.caller import Caller
from tests.api.people import PASSWORD, settled

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # either does

ALWAYS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
POLICY = ("default-src 'none'", "base-uri 'none'", "form-action ", "frame-ancestors 'none'")
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
ODD = (
    {"data": b"{", "content_type": "application/json"},
    {"data": b" " * (4 << 20 | 1), "content_type": "application/json"},
    {"data": b"x", "headers": {"Content-Encoding": "gzip"}},
)
NOWHERE = ("/", "/robots.txt", "/account/other", "/api/v2", "/webhooks/x", "/v1/x/y")
SHOWN_ELSEWHERE = re.compile(r"/o/|/v1/")
"""What pages of other sites load or post to."""
KEPT = re.compile(r"/api/docs|/api/v1/openapi\.json")
"""The same for everybody: may be kept, and asked for again."""


@pytest.fixture
def product(database_url: str, tmp_path: Path, clock: ManualClock) -> Iterator[Services]:
    """The services of a process in production."""
    services = build(_settings(database_url, tmp_path), clock)
    yield services
    services.close()


def _settings(database_url: str, folder: Path, **more: str) -> Settings:
    told = {
        "DATABASE_URL": database_url,
        "DATA_DIR": str(folder),
        "MODE": "production",
        "SECRET_KEY": "a key of tests that nobody else uses",
        "PUBLIC_URL": "https://mail.example.com",
        "RATE_LIMIT": "0",
    }
    return Settings.from_environment({f"ECHELONX_{k}": v for k, v in (told | more).items()})


@pytest.fixture
def app(product: Services) -> Flask:
    """The application, which tells nobody of its bugs."""
    made = create_app(product)
    made.add_url_rule("/bug", view_func=lambda: {}["a secret name"])
    return made


def paths(app: Flask) -> set[str]:
    """Every route's path with something in its places."""
    return {
        re.sub(
            r"<(?:any\((\w+)[^)]*\):|(int)\([^)]*\):|\w+:)?\w+>",
            lambda place: place[1] or (place[2] and "1") or "x",
            rule.rule,
        )
        for rule in app.url_map.iter_rules()
    }


def wrong(path: str, answer: TestResponse) -> set[str]:
    """Return the headers of an answer that are not as they must be."""
    told = dict(answer.headers)
    found = {name for name, value in ALWAYS.items() if told.get(name) != value}
    policy = told.get("Content-Security-Policy", "")
    if "unsafe" in policy or not all(part in policy for part in POLICY):
        found.add("Content-Security-Policy")
    if told.get("Cache-Control") not in ("no-store", "private, no-cache") and not KEPT.match(path):
        found.add("Cache-Control")
    reach = "cross-origin" if SHOWN_ELSEWHERE.match(path) else "same-origin"
    if told.get("Cross-Origin-Resource-Policy") not in (reach, "same-origin"):
        found.add("Cross-Origin-Resource-Policy")
    if answer.mimetype.startswith("text/") and "charset=utf-8" not in answer.content_type:
        found.add("Content-Type")
    return found | ({"Set-Cookie", "Server", "X-Powered-By"} & told.keys())


def test_every_answer_of_every_route_keeps_browsers_from_more_than_was_meant(
    app: Flask, api: Caller
) -> None:
    http = app.test_client()
    seen: set[int] = set()
    faults = {}

    for path in (*sorted(paths(app)), *NOWHERE, "/bug"):
        asked: list[dict[str, object]] = [{"method": method} for method in METHODS]
        asked += [{"method": "POST", **odd} for odd in ODD]
        for request in asked:
            for headers in ({}, api.headers) if path.startswith("/api/v1/") else ({},):
                told = {**headers, **request.get("headers", {})}  # type: ignore[dict-item]
                answer = http.open(path, **request | {"headers": told})  # type: ignore[arg-type]
                seen.add(answer.status_code)
                if found := wrong(path, answer):
                    faults[request["method"], path, answer.status_code] = found

    assert faults == {}
    assert {200, 204, 400, 401, 404, 405, 413, 415, 422, 500} <= seen


def test_a_bug_tells_nothing_of_itself(app: Flask) -> None:
    answer = app.test_client().get("/bug")

    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert answer.get_json()["detail"] == "this is our fault"
    assert "secret name" not in answer.get_data(as_text=True)


def test_what_other_sites_show_may_be_shown_there(app: Flask, product: Services) -> None:
    """The pixel, in the page of a mail reader; the collector, from a shop's own page."""
    http = app.test_client()

    collector = http.options("/v1/track", headers={"Origin": "https://shop.example"})
    assert collector.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert collector.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in collector.headers
    for path in ("/api/v1/me", "/api/v1/sign-in", "/account/reset", "/u/x"):
        answer = http.options(path, headers={"Origin": "https://shop.example"})
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]


def test_cookies_are_bound_to_this_host_and_to_tls(
    app: Flask, product: Services, clock: ManualClock, client_id: int
) -> None:
    """ASVS 3.3.1 to 3.3.4; where nothing is encrypted, a cookie that says so would be lost."""
    settled(product.sessions, clock, client_id)
    body = {"email": "ana@example.com", "password": PASSWORD, "cookie": True}

    given = Caller(app.test_client(), None).ask("POST", "/sign-in", body).headers["Set-Cookie"]

    assert given.startswith("__Host-")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax"} <= set(given.split("; "))
    assert "domain" not in given.casefold()


def test_without_tls_nothing_is_promised_of_it(
    database_url: str, tmp_path: Path, clock: ManualClock, client_id: int
) -> None:
    services = build(
        _settings(database_url, tmp_path, MODE="development", PUBLIC_URL="http://localhost:8000"),
        clock,
    )
    settled(services.sessions, clock, client_id)
    body = {"email": "ana@example.com", "password": PASSWORD, "cookie": True}

    answer = Caller(create_app(services).test_client(), None).ask("POST", "/sign-in", body)

    assert "Strict-Transport-Security" not in answer.headers
    assert re.match(r"echelonx=es_", answer.headers["Set-Cookie"])
    assert "Secure" not in answer.headers["Set-Cookie"]
    services.close()
