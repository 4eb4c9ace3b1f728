"""Mirrors api/sign_in_link.py and accounts/sign_in_link.py."""

import re

from flask import Flask

from accounts.recovery import set_password
from accounts.user import User, UserStatus
from core.clock import ManualClock
from core.db import Sessions, read, write
from tests.api.caller import Caller, refused
from tests.api.people import PASSWORD, Mailbox, counted, entered, with_mail
from tests.api.test_two_factor import turned_on

ASK, CONFIRM = "/sign-in/link", "/sign-in/link/confirm"
ANA = {"email": " ANA@example.com"}


def test_a_link_signs_in_once_and_only_where_it_was_mailed(
    app: Flask, ana: int, box: Mailbox, nobody: Caller, sessions: Sessions
) -> None:
    assert nobody.post(ASK, ANA) == {}
    (letter,) = box.letters
    assert letter.to == "ana@example.com"
    with read(sessions) as session:
        assert box.token not in str(session.get_one(User, ana).sign_in_token)

    for token in (box.token[:-1], box.token.swapcase(), "1"):
        refused(nobody.ask("POST", CONFIRM, {"token": token}), 422)
    made = nobody.post(CONFIRM, {"token": box.token})
    me = Caller(app.test_client(), made["token"]).get("/me")
    assert (me["actor"], me["user"]["email_verified"]) == (f"user:{ana}", True)
    refused(nobody.ask("POST", CONFIRM, {"token": box.token}), 422)


def test_a_link_ends_soon_with_the_next_with_the_password_and_with_the_account(
    ana: int, box: Mailbox, nobody: Caller, clock: ManualClock, sessions: Sessions
) -> None:
    def dead(token: str) -> None:
        refused(nobody.ask("POST", CONFIRM, {"token": token}), 422)

    nobody.post(ASK, ANA)
    first = box.token
    nobody.post(ASK, ANA)
    dead(first)
    for status in (UserStatus.SUSPENDED, UserStatus.ACTIVE):
        with write(sessions) as session:
            session.get_one(User, ana).status = status
        if status is UserStatus.SUSPENDED:
            dead(box.token)
    clock.advance(minutes=15)
    dead(box.token)
    clock.advance(hours=1)
    nobody.post(ASK, ANA)
    with write(sessions) as session:
        set_password(session, clock, session.get_one(User, ana), password_hash="x")
    dead(box.token)


def test_the_second_factor_is_asked_for_and_the_link_waits_for_it(
    app: Flask, ana: int, box: Mailbox, nobody: Caller, clock: ManualClock
) -> None:
    phone, _ = turned_on(entered(app), clock)
    nobody.post(ASK, ANA)
    problem = refused(nobody.ask("POST", CONFIRM, {"token": box.token}), 401)
    assert problem["type"].endswith(":two_factor_required")
    refused(nobody.ask("POST", CONFIRM, {"token": box.token, "code": "000000"}), 401)
    assert nobody.post(CONFIRM, {"token": box.token, "code": phone.code})["token"]


def test_nobody_learns_who_has_an_account(app: Flask, ana: int, nobody: Caller) -> None:
    """B037: the same answer and the same work, but for the letter, which leaves after it."""
    told = []
    for email in ("ana@example.com", "bo@example.com"):
        with counted(app) as work:
            answer = nobody.ask("POST", ASK, {"email": email})
        told.append((answer.status_code, answer.get_data(), work))
    assert [work.pop("letters") for _, _, work in told] == [1, 0]
    assert told[0] == told[1]
    box = with_mail(app)
    for _ in range(20):
        nobody.post(ASK, ANA)
    assert len(box.letters) <= 3


def test_where_no_letter_leaves_there_is_no_link(nobody: Caller) -> None:
    assert "mail server" in refused(nobody.ask("POST", ASK, ANA), 409)["detail"]


def test_a_page_without_scripts_asks_and_signs_the_browser_in(
    app: Flask, ana: int, box: Mailbox, nobody: Caller, clock: ManualClock
) -> None:
    phone, _ = turned_on(entered(app), clock)
    nobody.post(ASK, ANA)
    browser = app.test_client()
    shown = [browser.get("/account/sign-in", query_string={"token": box.token}) for _ in range(2)]
    html = shown[1].get_data(as_text=True)
    assert (shown[1].status_code, "<script" in html, 'name="code"' in html) == (200, False, True)
    assert "Set-Cookie" not in shown[1].headers, "a look changes nothing"
    hidden = re.search(r'name="token" value="([\w-]+)"', html)
    assert hidden is not None

    form = {"token": hidden[1], "code": phone.code}
    sandboxed = {"Origin": "null", "Sec-Fetch-Site": "cross-site"}
    for foreign in ({"Origin": "https://evil.example"}, {"Origin": "null"}, sandboxed):
        theirs = browser.post("/account/sign-in", data=form, headers=foreign)
        assert (theirs.status_code, "Set-Cookie" in theirs.headers) == (403, False)
    wrong = browser.post("/account/sign-in", data={**form, "code": "000000"})
    assert (wrong.status_code, 'role="alert"' in wrong.get_data(as_text=True)) == (401, True)
    ours = {"Origin": "null", "Sec-Fetch-Site": "same-origin"}  # the page hides its referrer
    done = browser.post("/account/sign-in", data=form, headers=ours)
    assert "You are signed in" in done.get_data(as_text=True)
    assert re.match(r"__Host-echelonx=es_\w{8}_[\w-]{43};.*HttpOnly", done.headers["Set-Cookie"])
    again = browser.post("/account/sign-in", data=form)
    assert again.status_code == 404
    assert (
        Caller(app.test_client(), None)
        .ask("POST", "/sign-in", {"email": "ana@example.com", "password": PASSWORD})
        .status_code
        == 401
    ), "the password goes on working, with its code"
