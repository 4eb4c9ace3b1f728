"""Mirrors api/invitations.py."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from accounts.client import Client, ClientStatus
from accounts.invitation import accept
from accounts.throttle import Limit
from accounts.user import Role, User, create_user
from core.clock import ManualClock
from core.db import Sessions, write
from core.errors import InvalidError
from tests.api.caller import Caller, refused
from tests.api.conftest import CallerOf
from tests.api.people import PASSWORD, counted, entered, settled, with_mail


def token_of(made: dict[str, Any]) -> str:
    """The text of a link that was shown."""
    start, _, token = made["link"].partition("?token=")
    assert start == "https://mail.example.com/account/invitation"
    return str(token)


def test_an_invitation_makes_an_account_with_its_role(
    app: Flask, api: Caller, nobody: Caller, client_id: int
) -> None:
    made = api.post(
        "/invitations", {"email": "Bo@Example.com", "role": "manager", "referral_code": "SPRING"}
    )
    accept = {"token": token_of(made), "password": PASSWORD, "first_name": "Bo"}
    refused(nobody.ask("POST", "/invitations/accept", {**accept, "password": "password"}), 422)

    assert nobody.post("/invitations/accept", accept) == {
        "email": "bo@example.com", "client_id": client_id, "role": "manager",
    }  # fmt: skip

    me = entered(app, "bo@example.com").get("/me")
    assert (me["role"], me["client_id"]) == ("manager", client_id)
    assert (me["user"]["first_name"], me["user"]["email_verified"]) == ("Bo", False)
    refused(nobody.ask("POST", "/invitations/accept", accept), 422)
    (row,) = api.get("/invitations")["data"]
    assert (row["status"], row["referral_code"]) == ("accepted", "SPRING")
    assert "link" not in row
    refused(api.ask("POST", "/invitations", {"email": "bo@example.com"}), 409)


def test_links_lead_to_the_configured_host_whatever_the_request_names(
    app: Flask, api: Caller
) -> None:
    """B024: shown and mailed."""
    evil = {
        "Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http",
        "Forwarded": "host=evil.example;proto=http", "X-Original-URL": "https://evil.example/",
    }  # fmt: skip
    shown = api.ask("POST", "/invitations", {"email": "bo@example.com"}, headers=evil)
    assert token_of(shown.get_json())
    box = with_mail(app)
    api.ask("POST", "/invitations", {"email": "cy@example.com"}, headers=evil)
    assert box.token
    assert "evil." not in box.letters[-1].text


def test_a_link_that_was_mailed_is_not_shown_and_proves_the_address(
    app: Flask, api: Caller, nobody: Caller
) -> None:
    box = with_mail(app)

    assert api.post("/invitations", {"email": "bo@example.com"})["link"] is None
    assert box.letters[0].to == "bo@example.com"
    nobody.post("/invitations/accept", {"token": box.token, "password": PASSWORD})

    assert entered(app, "bo@example.com").get("/me")["user"]["email_verified"]


def test_a_link_ends_by_time_by_hand_by_the_next_and_with_its_client(
    api: Caller, nobody: Caller, clock: ManualClock, sessions: Sessions, client_id: int
) -> None:
    def dead(made: dict[str, Any]) -> None:
        body = {"token": token_of(made), "password": PASSWORD}
        refused(nobody.ask("POST", "/invitations/accept", body), 422)

    ask = {"email": "bo@example.com"}
    first, second = api.post("/invitations", ask), api.post("/invitations", ask)
    dead(first)
    api.delete(f"/invitations/{second['id']}")
    dead(second)
    third = api.post("/invitations", ask)
    with write(sessions) as session:
        session.get_one(Client, client_id).status = ClientStatus.SUSPENDED
    dead(third)
    with write(sessions) as session:
        session.get_one(Client, client_id).status = ClientStatus.ACTIVE
    clock.advance(days=7)
    dead(third)
    assert {row["status"] for row in api.get("/invitations")["data"]} == {"revoked", "expired"}


def test_nobody_invites_above_themselves(
    app: Flask, api: Caller, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    refused(api.ask("POST", "/invitations", {"email": "a@example.com", "role": "super_admin"}), 422)
    settled(sessions, clock, client_id, role=Role.MANAGER)
    with write(sessions) as session:
        session.execute(
            User.metadata.tables["client_roles"].update().values(permissions=["users:write"])
        )
    manager = entered(app)

    refused(manager.ask("POST", "/invitations", {"email": "a@example.com", "role": "admin"}), 403)
    assert manager.post("/invitations", {"email": "a@example.com", "role": "manager"})


def test_a_key_invites_to_no_role_that_may_more_than_the_key(
    caller_of: CallerOf, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    for owner in (None, settled(sessions, clock, client_id)):
        key = caller_of(client_id, scopes=["users:write"], user_id=owner)
        for role in ("admin", "user"):
            ask = {"email": "a@example.com", "role": role}
            refused(key.ask("POST", "/invitations", ask), 403)


def test_an_account_of_another_client_keeps_its_password(
    app: Flask, api: Caller, stranger: Caller, nobody: Caller, sessions: Sessions,
    clock: ManualClock, client_id: int,
) -> None:  # fmt: skip
    """B041: a link for one client gives nothing at another, and takes over no account."""
    settled(sessions, clock, client_id)
    made = stranger.post("/invitations", {"email": "ana@example.com", "role": "user"})
    theirs = stranger.get("/me")["client_id"]
    body = {"token": token_of(made)}

    refused(nobody.ask("POST", "/invitations/accept", {**body, "password": "an intruder's"}), 403)
    wrong = {**body, "password": PASSWORD, "client_id": client_id}
    refused(nobody.ask("POST", "/invitations/accept", wrong), 422)
    accepted = nobody.post("/invitations/accept", {**body, "password": PASSWORD})

    assert accepted["client_id"] == theirs
    places = {one["client_id"]: one["role"] for one in entered(app).get("/me")["clients"]}
    assert places == {client_id: "admin", theirs: "user"}
    own = api.post("/invitations", {"email": "bo@example.com"})
    refused(stranger.ask("DELETE", f"/invitations/{own['id']}"), 404)
    assert [row["id"] for row in stranger.get("/invitations")["data"]] == [made["id"]]


def test_a_link_that_was_shown_opens_no_account_that_waits_for_its_owner(
    app: Flask, stranger: Caller, nobody: Caller, sessions: Sessions, clock: ManualClock,
    client_id: int,
) -> None:  # fmt: skip
    """The inviter holds such a link, and would hold all that others gave that account."""

    def pending(email: str, role: Role) -> None:
        with write(sessions) as session:
            create_user(session, clock, email=email, role=role, client_id=client_id)

    def dead(made: dict[str, Any]) -> None:
        body = {"token": token_of(made), "password": PASSWORD}
        refused(nobody.ask("POST", "/invitations/accept", body), 422)
        refused(nobody.ask("POST", "/sign-in", {"email": made["email"], "password": PASSWORD}), 401)

    pending("boss@example.com", Role.ADMIN)
    dead(stranger.post("/invitations", {"email": "boss@example.com"}))
    early = stranger.post("/invitations", {"email": "root@example.com"})
    pending("root@example.com", Role.SUPER_ADMIN)
    dead(early)

    box = with_mail(app)
    stranger.post("/invitations", {"email": "boss@example.com"})
    nobody.post("/invitations/accept", {"token": box.token, "password": PASSWORD})
    places = entered(app, "boss@example.com").get("/me")["clients"]
    assert {one["role"] for one in places} == {"admin", "user"}


def test_inviting_is_the_same_work_for_everybody(
    app: Flask, api: Caller, stranger: Caller, sessions: Sessions, clock: ManualClock
) -> None:
    """B037."""
    there = stranger.get("/clients/me")["id"]
    settled(sessions, clock, there, email="bo@example.com")
    api.get("/me")  # that the key is used is noted once a minute
    told = []
    for email in ("bo@example.com", "nobody@example.com"):
        with counted(app) as work:
            answer = api.post("/invitations", {"email": email})
        told.append((work, answer.keys(), answer["status"]))
    assert told[0] == told[1]
    assert told[0][0]["letters"] == 1


def test_no_client_keeps_an_address_from_the_others(
    app: Flask,
    api: Caller,
    stranger: Caller,
    nobody: Caller,
    sessions: Sessions,
    clock: ManualClock,
) -> None:
    box = with_mail(app)
    there = stranger.get("/clients/me")["id"]
    with write(sessions) as session:
        taken = create_user(session, clock, email="bo@example.com", client_id=there).id
    stranger.patch(f"/users/{taken}", {"status": "suspended"})

    api.post("/invitations", {"email": "bo@example.com"})
    nobody.post("/invitations/accept", {"token": box.token, "password": PASSWORD})
    assert len(entered(app, "bo@example.com").get("/me")["clients"]) == 1
    stranger.patch(f"/users/{taken}", {"status": "active"})
    assert len(entered(app, "bo@example.com").get("/me")["clients"]) == 2


def test_of_two_first_passwords_one_holds(
    app: Flask, api: Caller, sessions: Sessions, clock: ManualClock
) -> None:
    box = with_mail(app)
    api.post("/invitations", {"email": "bo@example.com"})
    with sessions() as session:
        made = create_user(session, clock, email="bo@example.com")
        session.refresh(made)
        theirs = update(User).where(User.id == made.id).values(password_hash="another")
        session.execute(theirs.execution_options(synchronize_session=False))
        assert made.password_hash is None, "read before it was set"

        with pytest.raises(InvalidError, match="not good any more"):
            accept(session, clock, text=box.token, password_hash="mine")


def test_many_are_invited_at_once_and_each_is_answered_for(
    api: Caller, sessions: Sessions, clock: ManualClock, client_id: int
) -> None:
    settled(sessions, clock, client_id)
    emails = ["bo@example.com", "no address", "ana@example.com", "cy@example.com"]

    results = api.post("/invitations/bulk", {"invitations": [{"email": one} for one in emails]})

    states = [one["status"] for one in results["results"]]
    assert states == ["invited", "failed", "failed", "invited"]
    nobody, known = (one["error"] for one in results["results"][1:3])
    assert (nobody["pointer"], known["code"]) == ("/invitations/1/email", "conflict")
    assert all(nobody.values())
    assert len(api.get("/invitations")["data"]) == 2
    many = {"invitations": [{"email": f"{n}@example.com"} for n in range(201)]}
    refused(api.ask("POST", "/invitations/bulk", many), 422)


def test_an_address_gets_few_letters_and_stands_once_in_a_bulk(
    app: Flask, api: Caller, stranger: Caller, clock: ManualClock
) -> None:
    box = with_mail(app)
    bo, cy = {"email": "bo@example.com"}, {"email": "cy@example.com"}
    refused(
        api.ask("POST", "/invitations/bulk", {"invitations": [bo, {"email": "BO@example.com"}]}),
        422,
    )

    for caller in (api, stranger, api):
        caller.post("/invitations", bo)
    refused(stranger.ask("POST", "/invitations", bo), 429)
    results = api.post("/invitations/bulk", {"invitations": [bo, cy]})["results"]

    assert [(one["status"], (one.get("error") or {}).get("code")) for one in results] == [
        ("failed", "rate_limited"), ("invited", None)
    ]  # fmt: skip
    assert [one.to for one in box.letters] == ["bo@example.com"] * 3 + ["cy@example.com"]
    clock.advance(days=1)
    api.post("/invitations", bo)


def test_a_client_mails_so_many_invitations_a_day(
    app: Flask, api: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_mail(app)
    monkeypatch.setattr("api.attempts.INVITING", Limit("inviting", 4, timedelta(days=1)))
    for n in range(2):
        api.post("/invitations", {"email": f"{n}@example.com"})

    refused(api.ask("POST", "/invitations", {"email": "3@example.com"}), 429)


def test_only_who_may_write_users_invites(caller_of: CallerOf, client_id: int) -> None:
    writer = caller_of(client_id, scopes=["read", "write"])

    refused(writer.ask("POST", "/invitations", {"email": "a@example.com"}), 403)
    refused(writer.ask("GET", "/invitations"), 403)
