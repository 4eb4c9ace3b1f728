"""F39 for accounts, keys and webhooks: no secret and no name in a log, no secret in the database.

Everything is logged that can be, by the product and by the libraries below it, while sign-ins,
letters, keys, endpoints, providers, collectors, imports, exports and workers do their work, well
and badly. tests/faults/test_control_races.py asks the same of sending under faults.
"""

import io
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request
from sqlalchemy import select
from werkzeug.test import TestResponse

from accounts.mailer import Letter
from communications.account import ProviderAccount
from core.clock import ManualClock
from core.db import read
from core.settings import Settings
from echelonx.factory import create_app
from echelonx.runner import Role, Runner
from echelonx.tables import METADATA
from echelonx.wiring import Services, build
from tests.api.caller import Caller, good
from tests.api.issuer import CLIENT, SECRET, LocalIssuer
from tests.api.people import PASSWORD, Mailbox, settled
from tests.api.test_exports import fetch
from tests.api.test_providers import SMTP, TWILIO
from tests.api.test_two_factor import App
from tests.channels.loopback import HttpServer, answer, running
from tests.core.test_log import configured

__all__ = ["configured"]
ANA, BO = "ana@example.com", "bo.planted@example.com"
PHONE = "+12015550123"
NEW = "seven planted words nobody has"
GUESS = "a planted guess of hers"
TEXT = "planted words of a message"
MAIL_PASSWORD, MASTER = "planted-mail-password", "a planted key of tests nobody else uses"
WHSEC = "whsec_cGxhbnRlZC1zaWduaW5nLXNlY3JldC1vZi1vdXJz"
STRIPE = "whsec_planted_of_stripe"
PATIENCE = 120.0
NAMES = {ANA, BO, PHONE, PHONE[1:], TEXT, "planted"}
"""What the database has to know."""


class Planted(set[str]):
    """What must not be read anywhere."""

    def of(self, answer: TestResponse, *names: str) -> Any:
        """Plant what an answer tells under these names; return its JSON."""
        told = good(answer)
        for name in names:
            value = told[name]
            self.update(value if isinstance(value, list) else [value])
        return told


class CopyingMailer(Mailbox):
    """Keeps a copy of each letter, and hands it to the real mailer."""

    def __init__(self, real: Any) -> None:
        super().__init__()
        self.real = real

    def send(self, letter: Letter) -> None:
        super().send(letter)
        self.real.send(letter)


@pytest.fixture
def issuer(clock: ManualClock) -> Iterator[LocalIssuer]:
    made = LocalIssuer(clock)
    yield made
    made.close()


@pytest.fixture
def product(
    database_url: str, tmp_path: Path, clock: ManualClock, issuer: LocalIssuer, configured: Any
) -> Iterator[Services]:
    """The services of a process that logs all it can, and whose mail server is away."""
    settings = Settings.from_environment(
        {
            "ECHELONX_DATABASE_URL": database_url,
            "ECHELONX_DATA_DIR": str(tmp_path),
            "ECHELONX_SECRET_KEY": MASTER,
            "ECHELONX_PUBLIC_URL": "https://mail.example.com",
            "ECHELONX_RATE_LIMIT": "0",
            "ECHELONX_PUMP_SECONDS": "0.05",
            "ECHELONX_ALLOW_PRIVATE_EGRESS": "true",
            "ECHELONX_ALLOW_HTTP_ENDPOINTS": "true",
            "ECHELONX_MAIL_URL": f"smtp://shop:{MAIL_PASSWORD}@127.0.0.1:1",
            "ECHELONX_MAIL_FROM": "shop@example.com",
            "ECHELONX_OIDC_ISSUER": issuer.url,
            "ECHELONX_OIDC_CLIENT_ID": CLIENT,
            "ECHELONX_OIDC_CLIENT_SECRET": SECRET,
            "ECHELONX_OIDC_NAME": "Shop",
        }
    )
    services = build(settings, clock)
    yield services
    services.close()


@pytest.fixture
def app(product: Services) -> Flask:
    """The application, with a bug that has all of a request in its message."""
    made = create_app(product)

    def bug() -> str:
        raise RuntimeError(f"{dict(request.headers)} {request.url}")

    made.add_url_rule("/account/bug", view_func=bug, methods=["POST"])
    return made


@pytest.mark.parametrize("kind", ["json", "console"])
def test_nothing_that_proves_or_names_somebody_is_logged(
    kind: str, configured: Any, app: Flask, product: Services, clock: ManualClock,
    client_id: int, issuer: LocalIssuer,
) -> None:  # fmt: skip
    written = configured(kind, level="DEBUG")
    planted = Planted({ANA, BO, PHONE, PHONE[1:], PASSWORD, NEW, GUESS, TEXT, MASTER})
    planted |= {MAIL_PASSWORD, SECRET, WHSEC, STRIPE, "planted"}
    settled(product.sessions, clock, client_id)
    with running(HttpServer(answer(500, f"{BO} {TEXT}".encode()))) as crm:
        ana = signed_in(app, clock, planted)
        by_page(app, ana, planted)
        letters(app, product, ana, planted)
        by_issuer(app, issuer, planted)
        ana = Caller(app.test_client(), ana.post("/api-keys", {"name": "k"})["key"])
        planted.add(ana.headers["Authorization"].split()[1])
        programs(app, ana, planted)
        endpoints(ana, crm, planted)
        accounts(app, ana, planted)
        people(ana, planted)
        workers(product, ana)
    product.mailer.close()  # type: ignore[attr-defined]

    said = written()
    assert not [secret for secret in planted if secret in said]
    for event in (
        "oidc refused", "events dropped", "webhook refused", "letter was not handed over",
        "endpoint failed", "export downloaded", "on /account/bug",
    ):  # fmt: skip
        assert event in said, f"{event} was not heard"
    stored = at_rest(product)
    assert not [secret for secret in planted - NAMES if secret in stored]


def at_rest(product: Services) -> str:
    """Return what somebody reads who has the database, but for providers' webhook addresses."""
    with read(product.sessions) as session:
        tables = [session.execute(table.select()).all() for table in METADATA.sorted_tables]
        addresses = session.scalars(select(ProviderAccount.token)).all()
    said = str([[str(value) for value in row] for rows in tables for row in rows])
    for one in addresses:
        said = said.replace(one, "")
    return said


def signed_in(app: Flask, clock: ManualClock, planted: Planted) -> Caller:
    """Sign in in every way that there is, and turn two-factor on."""
    nobody = Caller(app.test_client(), None)
    body = {"email": ANA, "password": PASSWORD}
    nobody.ask("POST", "/sign-in", body | {"password": GUESS})
    nobody.ask("POST", "/sign-in", {"email": BO, "password": GUESS})
    nobody.ask("POST", f"/sign-in?password={GUESS}", body)
    first = planted.of(nobody.ask("POST", "/sign-in", body), "token")
    caller = Caller(app.test_client(), first["token"])
    made = planted.of(caller.ask("POST", "/me/two-factor", {"password": PASSWORD}), "secret", "uri")
    phone = App(made["secret"], clock)
    codes = planted.of(
        caller.ask("POST", "/me/two-factor/confirm", {"code": phone.code}), "recovery_codes"
    )["recovery_codes"]
    for code in ("000000", codes[0], codes[0]):
        nobody.ask("POST", "/sign-in", body | {"code": code})
    last = planted.of(nobody.ask("POST", "/sign-in", body | {"code": codes[1]}), "token")
    caller.ask("GET", f"/members?token={last['token']}")
    caller = Caller(app.test_client(), last["token"])
    caller.ask("POST", "/me/two-factor/disable", {"password": PASSWORD, "code": codes[2]})
    last = planted.of(nobody.ask("POST", "/sign-in", body), "token")
    return Caller(app.test_client(), last["token"])


def by_page(app: Flask, ana: Caller, planted: Planted) -> None:
    """Sign in by cookie, prove it badly, and run into a bug."""
    page = Caller(app.test_client(), None)
    answer = page.ask("POST", "/sign-in", {"email": ANA, "password": PASSWORD, "cookie": True})
    proof = planted.of(answer, "csrf_token")["csrf_token"]
    cookie = re.match(r"[^=]+=([^;]+)", answer.headers["Set-Cookie"])
    assert cookie is not None
    planted.add(cookie[1])
    page.ask("PATCH", "/me", {"first_name": "Ana"}, headers={"X-CSRF-Token": proof[::-1]})
    for caller in (page, ana):
        told = {**caller.headers, "X-CSRF-Token": proof}
        broken = caller.http.post(f"/account/bug?token={proof}", headers=told)
        assert broken.status_code == 500


def letters(app: Flask, product: Services, ana: Caller, planted: Planted) -> None:
    """Ask for every kind of link, follow it, and follow it wrongly."""
    box = CopyingMailer(product.mailer)
    nobody = Caller(app.test_client(), None)
    whole = app.extensions["echelonx"]
    app.extensions["echelonx"] = Overlaid(whole, box)
    nobody.ask("POST", "/password-resets", {"email": ANA})
    planted.add(box.token)
    nobody.ask("POST", "/password-resets/confirm", {"token": box.token[::-1], "password": NEW})
    nobody.http.get(f"/account/reset?token={box.token}")
    ana.ask("POST", "/me/email-verification")
    planted.add(box.token)
    nobody.ask("POST", "/email-verifications", {"token": box.token + "x"})
    nobody.ask("POST", "/email-verifications", {"token": box.token})
    nobody.post("/sign-in/link", {"email": ANA})
    planted.add(box.token)
    nobody.http.get(f"/account/sign-in?token={box.token}")
    nobody.ask("POST", "/sign-in/link/confirm", {"token": box.token[::-1]})
    planted.of(nobody.ask("POST", "/sign-in/link/confirm", {"token": box.token}), "token")
    ana.post("/invitations", {"email": BO})
    planted.add(box.token)
    nobody.http.post("/account/invitation", data={"token": box.token, "password": "short"})
    nobody.post("/invitations/accept", {"token": box.token, "password": NEW})
    app.extensions["echelonx"] = whole


class Overlaid:
    """Services with another mailer."""

    def __init__(self, whole: Services, mailer: Mailbox) -> None:
        self._whole, self.mailer = whole, mailer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)


def by_issuer(app: Flask, issuer: LocalIssuer, planted: Planted) -> None:
    """Sign in by the identity provider: well, twice with one code, and with a forged token."""
    nobody = Caller(app.test_client(), None)
    for signed, status in (({}, 200), ({"nonce": "planted nonce"}, 401), ({"exp": 1}, 401)):
        begun = planted.of(nobody.ask("POST", "/sign-in/oidc", {}), "binding", "authorization_url")
        back = issuer.approve(begun["authorization_url"], **signed)
        planted |= {*back.values(), *[code.token for code in issuer.codes.values()]}
        for once in (status, 401):
            told = {**back, "binding": begun["binding"]}
            answer = nobody.ask("POST", "/sign-in/oidc/callback", told)
            assert answer.status_code == once
            planted |= {answer.get_json().get("token", SECRET)}
        nobody.http.get("/account/oidc", query_string=back)


def programs(app: Flask, ana: Caller, planted: Planted) -> None:
    """Use keys, write keys too, well and badly."""
    key = planted.of(ana.ask("POST", "/api-keys", {"name": "p", "scopes": ["read"]}), "key")["key"]
    program = Caller(app.test_client(), key)
    program.get("/members")
    program.ask("POST", "/members", {"email": BO})
    program.ask("GET", f"/members?key={key}")
    Caller(app.test_client(), f"{key}x").ask("GET", "/members")
    scopes = {"name": "w", "scopes": ["events:write"]}
    write_key = planted.of(ana.ask("POST", "/api-keys", scopes), "key")["key"]
    event = {"event": TEXT, "userId": BO, "properties": {"phone": PHONE}, "messageId": "m1"}
    for text in (write_key, f"{write_key}x", key):
        ana.http.post("/v1/track", json={**event, "writeKey": text})
        ana.http.post("/v1/t", data=f'{{"writeKey": "{text}", "userId": "{BO}"')
        ana.http.post("/v1/track", json={"userId": [BO]}, auth=(text, ""))


def endpoints(ana: Caller, crm: HttpServer, planted: Planted) -> None:
    """Let an endpoint be told of things; it answers with what is nobody's business."""
    body = {"url": f"{crm.url}/hook?token=planted-in-a-url", "types": ["*"], "secret": WHSEC}
    made = ana.post("/webhook-endpoints", body)
    path = f"/webhook-endpoints/{made['id']}"
    planted.of(ana.ask("POST", f"{path}/rotate", {}), "secret", "older")
    planted.of(ana.ask("POST", f"{path}/secret"), "secret")
    ana.post(f"{path}/test")


def accounts(app: Flask, ana: Caller, planted: Planted) -> None:
    """Add providers with their credentials; strangers post to their URLs."""
    stripe = {"name": "Pay", "adapter": "stripe", "config": {"signing_secret": STRIPE}}
    for provider in (SMTP, TWILIO, stripe):
        made = ana.post("/providers", provider)
        config: dict[str, Any] = provider["config"]  # type: ignore[assignment]
        planted |= {str(config[name]) for name in ("password", "auth_token") if name in config}
        planted.add(made["webhook_url"].rpartition("/")[2])
        path = made["webhook_url"].removeprefix("https://mail.example.com")
        bad = {"Stripe-Signature": f"t=1,v1={STRIPE}", "X-Twilio-Signature": "planted-signature"}
        ana.http.post(path, data={"From": PHONE, "Body": TEXT}, headers=bad)
    ana.ask("POST", "/providers", {**SMTP, "config": {"password": [MAIL_PASSWORD]}})


def people(ana: Caller, planted: Planted) -> None:
    """Tell of people, well and badly, and carry them in and out."""
    member = ana.post("/members", {"email": BO, "phone": PHONE, "first_name": "planted"})
    ana.ask("POST", "/members", {"email": BO, "phone": "planted"})
    ana.ask("GET", "/members", email=f"{BO}\x00")
    ana.ask("POST", "/members", {"email": [BO]})
    file = f"email,first_name\n{BO},planted\nplanted\x00,=planted\n".encode()
    ana.send_file("/imports", file=(io.BytesIO(file), "planted.csv"))
    message = {"member_id": member["id"], "channel": "sms", "text": TEXT, "transactional": True}
    ana.ask("POST", "/communications", message)
    ana.post("/exports", {"of": "members"})


def workers(product: Services, ana: Caller) -> None:
    """Let workers do all of it; then fetch what they wrote."""
    runner = Runner(product, set(Role))
    runner.start()
    give_up = time.monotonic() + PATIENCE
    tried: Any = []
    while not (tried and ana.get("/exports")["data"][0]["status"] == "done"):
        assert time.monotonic() < give_up
        time.sleep(0.05)
        (endpoint,) = ana.get("/webhook-endpoints")["data"]
        deliveries = ana.get(f"/webhook-endpoints/{endpoint['id']}/deliveries")["data"]
        tried = [one for row in deliveries for one in row["attempts"]]
    runner.stop()
    link = ana.get(f"/exports/{ana.get('/exports')['data'][0]['id']}")["link"]
    fetch(ana, link)
    ana.http.get(link[:-1])
