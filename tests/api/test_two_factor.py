"""Mirrors api/two_factor.py."""

import base64

import pytest
from flask import Flask

from accounts import totp
from accounts.two_factor import RecoveryCode
from accounts.user import User
from core.clock import ManualClock
from core.db import Sessions, read
from tests.api.caller import Caller, good, refused
from tests.api.people import PASSWORD, entered, settled

SIGN_IN = {"email": "ana@example.com", "password": PASSWORD}


class App:
    """Somebody's authenticator app."""

    def __init__(self, secret: str, clock: ManualClock) -> None:
        self.secret = base64.b32decode(secret)
        self.clock = clock

    @property
    def code(self) -> str:
        """What it shows now."""
        return self._codes[1]

    @property
    def wrong(self) -> str:
        """What it does not show about now."""
        return next(
            code for code in ("000000", "1" * 6, "2" * 6, "3" * 6) if code not in self._codes
        )

    @property
    def _codes(self) -> list[str]:
        step = int(self.clock.now().timestamp()) // 30
        return [totp.code(self.secret, near) for near in (step - 1, step, step + 1)]


@pytest.fixture
def nobody(app: Flask, sessions: Sessions, clock: ManualClock, client_id: int) -> Caller:
    """Nobody yet; there is an admin, ana."""
    settled(sessions, clock, client_id)
    return Caller(app.test_client(), None)


def turned_on(caller: Caller, clock: ManualClock) -> tuple[App, list[str]]:
    """Turn two-factor on for a caller."""
    made = caller.post("/me/two-factor", {"password": PASSWORD})
    assert f"secret={made['secret']}" in made["uri"]
    phone = App(made["secret"], clock)
    codes = caller.post("/me/two-factor/confirm", {"code": phone.code})["recovery_codes"]
    clock.advance(seconds=60)
    return phone, codes


def test_a_code_is_asked_for_and_good_once(
    app: Flask, nobody: Caller, clock: ManualClock, sessions: Sessions
) -> None:
    other, caller = entered(app), entered(app)
    phone, codes = turned_on(caller, clock)
    refused(other.ask("GET", "/me"), 401)
    assert caller.get("/me")["user"]["two_factor_enabled"]

    problem = refused(nobody.ask("POST", "/sign-in", SIGN_IN), 401)
    assert problem["type"].endswith(":two_factor_required")
    refused(nobody.ask("POST", "/sign-in", {**SIGN_IN, "code": phone.wrong}), 401)
    with_code = {**SIGN_IN, "code": phone.code}
    assert nobody.post("/sign-in", with_code)
    again = refused(nobody.ask("POST", "/sign-in", with_code), 401)
    assert "good once" in again["errors"][0]["remedy"]
    for code, status in ((codes[0].upper(), 200), (codes[0], 401), (codes[1], 200)):
        answer = nobody.ask("POST", "/sign-in", {**SIGN_IN, "code": code})
        assert answer.status_code == status
    with read(sessions) as session:
        kept = session.query(RecoveryCode).all()
        secret = session.query(User.two_factor_secret).scalar()
    assert len(set(codes)) == len(kept) == 10
    assert not {one.code_hash for one in kept} & set(codes)
    assert phone.secret not in base64.b64decode(secret)


def test_a_thousand_guesses_are_not_evaluated(
    app: Flask, nobody: Caller, clock: ManualClock
) -> None:
    """B033: the right password does not give back tries of the second factor."""
    phone, _ = turned_on(entered(app), clock)
    statuses = []
    for _ in range(60):
        for code in (phone.wrong, "not-a-recovery-code"):
            answer = nobody.ask("POST", "/sign-in", {**SIGN_IN, "code": code})
            statuses.append(answer.status_code)
        clock.advance(minutes=1)

    assert set(statuses) == {401, 429}
    assert 5 <= statuses.count(401) <= 10
    clock.advance(hours=1)
    assert nobody.post("/sign-in", {**SIGN_IN, "code": phone.code})


def test_turning_it_off_takes_password_and_code(
    app: Flask, nobody: Caller, clock: ManualClock
) -> None:
    """B038."""
    caller = entered(app)
    phone, codes = turned_on(caller, clock)

    for body in ({}, {"password": PASSWORD}, {"code": phone.code}, {"password": "x", "code": "1"}):
        refused(caller.ask("POST", "/me/two-factor/disable", body), 403)
    assert caller.get("/me")["user"]["two_factor_enabled"]
    fresh = {"password": PASSWORD, "code": codes[0]}
    assert len(good(caller.ask("POST", "/me/two-factor/recovery-codes", fresh))) == 1
    body = {"password": PASSWORD, "code": phone.code}
    assert caller.ask("POST", "/me/two-factor/disable", body).status_code == 204
    assert nobody.post("/sign-in", SIGN_IN)


def test_it_is_turned_on_with_the_password_and_a_code_only(
    app: Flask, nobody: Caller, clock: ManualClock
) -> None:
    caller = entered(app)

    refused(caller.ask("POST", "/me/two-factor/confirm", {"code": "000000"}), 409)
    refused(caller.ask("POST", "/me/two-factor", {}), 403)
    phone = App(caller.post("/me/two-factor", {"password": PASSWORD})["secret"], clock)
    refused(caller.ask("POST", "/me/two-factor/confirm", {"code": phone.wrong}), 403)
    assert nobody.post("/sign-in", SIGN_IN)
    turned_on(caller, clock)
    refused(caller.ask("POST", "/me/two-factor", {"password": PASSWORD}), 409)
