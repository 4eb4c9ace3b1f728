"""Mirrors api/account.py."""

import re

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from accounts.audit import AuditEntry
from accounts.recovery import ask_verification
from accounts.user import User
from core.clock import ManualClock
from core.db import Sessions, read, write
from tests.api.caller import Caller, refused
from tests.api.people import PASSWORD, Mailbox, entered, settled
from webhooks.public import HEADERS

NEW = "seven new words nobody has"


def followed(nobody: Caller, kind: str, token: str, status: int = 200) -> str:
    """Open a link as a browser does; hold the page to what every such page keeps."""
    return _page(nobody.http.get(f"/account/{kind}", query_string={"token": token}), status)


def sent(nobody: Caller, kind: str, shown: str, status: int = 200, **filled: str) -> str:
    """Send the form that a page shows."""
    hidden = re.search(r'name="token" value="([\w-]+)"', shown)
    assert hidden is not None
    assert f'<form method="post" action="{kind}">' in shown
    answer = nobody.http.post(f"/account/{kind}", data={"token": hidden[1], **filled})
    return _page(answer, status)


def _page(answer: TestResponse, status: int) -> str:
    html = answer.get_data(as_text=True)
    assert answer.status_code == status, html
    assert answer.content_type == "text/html; charset=utf-8"
    assert HEADERS.items() <= dict(answer.headers).items()
    assert "Set-Cookie" not in answer.headers
    assert "<script" not in html
    return html


def test_a_password_is_set_by_the_link_of_a_letter(
    app: Flask, box: Mailbox, nobody: Caller, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    ana = settled(sessions, clock, client_id)
    old = entered(app)
    nobody.ask("POST", "/password-resets", {"email": "ana@example.com"})

    shown = [followed(nobody, "reset", box.token) for _ in range(2)][1]
    assert old.get("/me")  # a look changes nothing
    assert 'value="ana@example.com"' in shown
    assert "8 characters or more" in sent(nobody, "reset", shown, 422, password="short")
    for wrong in ({}, {"password": "x" * 2000}, {"password": "nul\0nul\0nul"}):
        assert 'role="alert"' in sent(nobody, "reset", shown, 422, **wrong)
    assert "Your password is set" in sent(nobody, "reset", shown, password=NEW)
    refused(old.ask("GET", "/me"), 401)
    assert nobody.post("/sign-in", {"email": "ana@example.com", "password": NEW})
    assert "not good any more" in sent(nobody, "reset", shown, 404, password=NEW + NEW)
    assert "not good any more" in followed(nobody, "reset", box.token, 404)
    with read(sessions) as session:
        told = session.execute(select(AuditEntry.action, AuditEntry.actor)).all()
    assert ("user.reset", f"user:{ana}") in [tuple(one) for one in told]


def test_an_invitation_is_accepted_by_new_people_and_by_those_with_an_account(
    api: Caller, stranger: Caller, box: Mailbox, nobody: Caller
) -> None:
    api.post("/invitations", {"email": "bo@example.com", "role": "manager"})
    shown = followed(nobody, "invitation", box.token)
    assert 'name="first_name"' in shown
    assert "bo@example.com" in sent(nobody, "invitation", shown, 422, password="bo@example.com")
    assert "Welcome" in sent(nobody, "invitation", shown, password=PASSWORD, first_name="Bo & Co")
    assert "not good any more" in followed(nobody, "invitation", box.token, 404)

    stranger.post("/invitations", {"email": "bo@example.com"})
    shown = followed(nobody, "invitation", box.token)
    assert 'autocomplete="current-password"' in shown
    assert 'name="first_name"' not in shown
    assert "another password" in sent(nobody, "invitation", shown, 403, password=NEW)
    assert "Welcome" in sent(nobody, "invitation", shown, password=PASSWORD)

    text = nobody.post("/sign-in", {"email": "bo@example.com", "password": PASSWORD})["token"]
    me = Caller(nobody.http, text).get("/me")
    assert me["user"]["first_name"] == "Bo & Co"
    assert [one["role"] for one in me["clients"]] == ["manager", "user"]


def test_what_is_wrong_with_a_field_is_said_in_our_words_with_what_to_do(
    api: Caller, box: Mailbox, nobody: Caller
) -> None:
    api.post("/invitations", {"email": "bo@example.com"})
    shown = followed(nobody, "invitation", box.token)
    for filled, told in (
        ({}, ("password is missing", "give password")),
        ({"password": "x" * 2000}, ("password is too long", "give at most 1024 characters")),
        (
            {"password": PASSWORD, "first_name": "x" * 101},
            ("first name is too long", "give at most 100 characters"),
        ),
    ):
        html = sent(nobody, "invitation", shown, 422, **filled)
        assert f"That did not work: {told[0]}." in html
        assert f"What to do: {told[1]}." in html


def test_an_address_is_confirmed(
    nobody: Caller, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    """Opening the link confirms nothing."""
    ana = settled(sessions, clock, client_id)
    with write(sessions) as session:
        text = ask_verification(session, clock, session.get_one(User, ana))

    def confirmed() -> bool:
        with read(sessions) as session:
            return session.get_one(User, ana).email_verified

    shown = followed(nobody, "verify", text)
    assert not confirmed()
    assert "is confirmed" in sent(nobody, "verify", shown)
    assert confirmed()
    assert "not good any more" in sent(nobody, "verify", shown, 404)


@pytest.mark.parametrize("kind", ["invitation", "reset", "sign-in", "verify"])
def test_a_guess_teaches_nothing(nobody: Caller, kind: str) -> None:
    answers = {
        nobody.http.post(f"/account/{kind}", data=data).get_data()
        for data in ({}, {"token": "x", "password": NEW}, {"token": "x" * 200, "password": NEW})
    }
    answers |= {followed(nobody, kind, one, 404).encode() for one in ("", "x" * 200)}
    assert len(answers) == 1
    assert nobody.http.post(f"/account/{kind}", data={"token": "x" * 99_999}).status_code == 413
    assert nobody.http.get("/account/other?token=x").status_code == 404
