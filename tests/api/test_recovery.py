"""Mirrors api/recovery.py."""

from flask import Flask

from accounts.user import User, UserStatus
from core.clock import ManualClock
from core.db import Sessions, read, write
from tests.api.caller import Caller, refused
from tests.api.people import PASSWORD, Mailbox, counted, entered

NEW = "seven new words nobody has"


def test_a_link_sets_a_password_once_and_ends_what_was_open(
    app: Flask, ana: int, box: Mailbox, nobody: Caller, sessions: Sessions
) -> None:
    """B034, B036, and B024: whatever host the request names."""
    old = entered(app)
    evil = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    body = {"email": " ANA@example.com"}
    assert nobody.ask("POST", "/password-resets", body, headers=evil).status_code == 202
    (letter,) = box.letters
    assert letter.to == "ana@example.com"
    assert "evil." not in letter.text
    with read(sessions) as session:
        assert box.token not in str(session.get_one(User, ana).password_reset_token)

    wrong = (box.token[:-1], box.token[:-1] + "A" * 2, box.token.swapcase(), "1")
    for token in wrong:
        refused(
            nobody.ask("POST", "/password-resets/confirm", {"token": token, "password": NEW}), 422
        )
    weak = {"token": box.token, "password": "short"}
    refused(nobody.ask("POST", "/password-resets/confirm", weak), 422)
    for status in (204, 422):
        confirm = {"token": box.token, "password": NEW}
        answer = nobody.ask("POST", "/password-resets/confirm", confirm)
        assert answer.status_code == status
    refused(old.ask("GET", "/me"), 401)
    refused(nobody.ask("POST", "/sign-in", {**body, "password": PASSWORD}), 401)
    assert nobody.post("/sign-in", {**body, "password": NEW})


def test_a_link_ends_after_an_hour_with_the_next_one_and_with_the_account(
    ana: int, box: Mailbox, nobody: Caller, clock: ManualClock, sessions: Sessions
) -> None:
    def dead(token: str) -> None:
        body = {"token": token, "password": NEW}
        refused(nobody.ask("POST", "/password-resets/confirm", body), 422)

    ask = {"email": "ana@example.com"}
    nobody.ask("POST", "/password-resets", ask)
    first = box.token
    nobody.ask("POST", "/password-resets", ask)
    dead(first)
    with write(sessions) as session:
        session.get_one(User, ana).status = UserStatus.SUSPENDED
    dead(box.token)
    with write(sessions) as session:
        session.get_one(User, ana).status = UserStatus.ACTIVE
    clock.advance(hours=1)
    dead(box.token)


def test_asking_for_a_link_is_the_same_work_for_everybody(
    app: Flask, ana: int, nobody: Caller
) -> None:
    """B037: but for the letter, which leaves after the answer."""
    told = []
    for email in ("ana@example.com", "bo@example.com"):
        with counted(app) as work:
            nobody.post("/password-resets", {"email": email})
        told.append(work)
    assert [work.pop("letters") for work in told] == [1, 0]
    assert told[0] == told[1]
    assert told[0]["passwords"] == 0


def test_nobody_learns_who_has_an_account(
    ana: int, box: Mailbox, nobody: Caller, clock: ManualClock
) -> None:
    """B035 and B037."""
    answers = {
        (answer.status_code, answer.get_data())
        for email in ("ana@example.com", "bo@example.com", "ana@example.com,bo@example.com", "?")
        for answer in [nobody.ask("POST", "/password-resets", {"email": email})]
    }

    assert len(answers) == 1
    assert [letter.to for letter in box.letters] == ["ana@example.com"]
    many = {"email": ["ana@example.com", "bo@example.com"]}
    refused(nobody.ask("POST", "/password-resets", many), 422)
    form = nobody.http.post("/api/v1/password-resets", data={"email": "ana@example.com"})
    assert form.status_code == 415
    for _ in range(20):
        nobody.ask("POST", "/password-resets", {"email": "ana@example.com"})
    assert len(box.letters) <= 3
