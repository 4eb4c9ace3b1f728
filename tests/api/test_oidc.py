"""Mirrors api/oidc.py, accounts/issuer.py, accounts/identity.py and accounts/sign_in_state.py."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask

from accounts.audit import AuditEntry
from accounts.identity import UserIdentity
from accounts.session import FRESH, UserSession
from accounts.sign_in_state import SignInState
from accounts.user import User, UserStatus
from core.clock import ManualClock
from core.db import Sessions, read, write
from core.settings import Settings
from echelonx.wiring import Services, build
from tests.api.caller import Caller, good, refused, remedies
from tests.api.issuer import CLIENT, SECRET, LocalIssuer
from tests.api.people import settled

OURS = "https://mail.example.com"


@pytest.fixture
def issuer(clock: ManualClock) -> Iterator[LocalIssuer]:
    made = LocalIssuer(clock)
    yield made
    made.close()


@pytest.fixture
def product(
    database_url: str, tmp_path: Path, clock: ManualClock, issuer: LocalIssuer
) -> Iterator[Services]:
    """The services of a process that has an identity provider."""
    settings = Settings.from_environment(
        {
            "ECHELONX_DATABASE_URL": database_url,
            "ECHELONX_DATA_DIR": str(tmp_path),
            "ECHELONX_SECRET_KEY": "a key of tests that nobody else uses",
            "ECHELONX_PUBLIC_URL": OURS,
            "ECHELONX_RATE_LIMIT": "0",
            "ECHELONX_ALLOW_PRIVATE_EGRESS": "true",
            "ECHELONX_OIDC_ISSUER": issuer.url,
            "ECHELONX_OIDC_CLIENT_ID": CLIENT,
            "ECHELONX_OIDC_CLIENT_SECRET": SECRET,
            "ECHELONX_OIDC_NAME": "Shop & Co <login>",
        }
    )
    assert SECRET not in repr(settings)
    services = build(settings, clock)
    yield services
    services.close()


@pytest.fixture
def nobody(app: Flask) -> Caller:
    """Somebody who is not signed in."""
    return Caller(app.test_client(), None)


def came_back(nobody: Caller, issuer: LocalIssuer, **signed: Any) -> dict[str, str]:
    """Begin and let the issuer agree; return what a program sends to finish."""
    begun = nobody.post("/sign-in/oidc", {})
    return {**issuer.approve(begun["authorization_url"], **signed), "binding": begun["binding"]}


def finish(nobody: Caller, sent: dict[str, str]) -> Any:
    return nobody.ask("POST", "/sign-in/oidc/callback", sent)


def count(sessions: Sessions, *models: type) -> list[int]:
    with read(sessions) as session:
        return [session.query(model).count() for model in models]


def test_a_program_signs_in_and_the_link_outlives_the_address(
    app: Flask, nobody: Caller, issuer: LocalIssuer, ana: int, sessions: Sessions,
    clock: ManualClock, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    made = good(finish(nobody, came_back(nobody, issuer)))

    me = Caller(app.test_client(), made["token"]).get("/me")
    assert (me["actor"], me["role"]) == (f"user:{ana}", "admin")
    with write(sessions) as session:
        who = session.get_one(User, ana)
        assert (who.login_count, who.last_login, who.email_verified) == (1, clock.now(), True)
        who.email = "ana@elsewhere.example"
        told = [(row.action, row.actor) for row in session.query(AuditEntry).all()]
        assert told == [("user.link", f"user:{ana}"), ("user.sign_in", f"user:{ana}")]
    assert finish(nobody, came_back(nobody, issuer)).status_code == 200
    assert count(sessions, UserIdentity, UserSession, SignInState) == [1, 2, 0]
    assert SECRET not in caplog.text


def test_who_has_a_password_is_unlinked_and_somebody_else_may_be_linked(
    app: Flask, nobody: Caller, issuer: LocalIssuer, ana: int, sessions: Sessions,
    clock: ManualClock,
) -> None:  # fmt: skip
    now = int(clock.now().timestamp())
    made = good(finish(nobody, came_back(nobody, issuer, auth_time=now)))
    me = Caller(app.test_client(), made["token"])
    (held,) = me.get("/me/identities")["data"]
    assert held["issuer"] == issuer.url
    path = f"/me/identities/{held['id']}"
    with write(sessions) as session:
        kept, session.get_one(User, ana).password_hash = (
            session.get_one(User, ana).password_hash, None,
        )  # fmt: skip
    assert "only way in" in refused(me.ask("DELETE", path), 409)["detail"]
    with write(sessions) as session:
        session.get_one(User, ana).password_hash = kept
    refused(finish(nobody, came_back(nobody, issuer, sub="another")), 401)

    me.delete(path)
    refused(me.ask("DELETE", path), 404)
    assert finish(nobody, came_back(nobody, issuer, sub="another")).status_code == 200
    assert count(sessions, UserIdentity) == [1]


def test_a_page_keeps_its_binding_in_a_cookie_no_other_browser_has(
    app: Flask, nobody: Caller, issuer: LocalIssuer, ana: int
) -> None:
    answer = nobody.ask("POST", "/sign-in/oidc", {"cookie": True})
    begun, cookie = good(answer), answer.headers["Set-Cookie"]
    assert begun.keys() == {"name", "authorization_url"}
    assert cookie.startswith("__Host-echelonx-oidc=")
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=Lax", "Max-Age=600"} <= set(
        cookie.split("; ")
    )
    back = {**issuer.approve(begun["authorization_url"]), "cookie": True}

    other = Caller(app.test_client(), None)
    other.ask("POST", "/sign-in/oidc", {"cookie": True})
    refused(other.ask("POST", "/sign-in/oidc/callback", back), 401)
    foreign = {"Origin": "https://evil.example"}
    for path, body in (("/sign-in/oidc", {}), ("/sign-in/oidc/callback", back)):
        refused(nobody.ask("POST", path, body, headers=foreign), 403)
    answer = nobody.ask("POST", "/sign-in/oidc/callback", back)

    assert good(answer).keys() == {"csrf_token", "expires_at"}
    gone = [text for text in answer.headers.getlist("Set-Cookie") if "-oidc=;" in text]
    assert len(gone) == 1
    assert nobody.get("/me")["user"]["id"] == ana


def test_a_sign_in_comes_back_once_within_ten_minutes_to_who_began(
    nobody: Caller, issuer: LocalIssuer, ana: int, clock: ManualClock, sessions: Sessions
) -> None:
    long = int(clock.now().timestamp()) + 3600
    mine, late = came_back(nobody, issuer), came_back(nobody, issuer, exp=long)
    stolen = came_back(nobody, issuer)
    for wrong in ({"binding": mine["binding"]}, {"binding": ""}, {"state": mine["state"]}):
        refused(finish(nobody, {**stolen, **wrong}), 401)
    assert finish(nobody, mine).status_code == 200
    refused(finish(nobody, mine), 401)
    refused(finish(nobody, {**stolen, "code": "made up"}), 401)
    refused(finish(nobody, stolen), 401)
    clock.advance(minutes=10)

    refused(finish(nobody, late), 401)

    assert count(sessions, UserSession) == [1]
    nobody.post("/sign-in/oidc", {})
    assert count(sessions, SignInState) == [1]


def test_a_token_that_is_not_for_this_sign_in_opens_nothing(
    nobody: Caller, issuer: LocalIssuer, ana: int, sessions: Sessions, clock: ManualClock
) -> None:
    now = int(clock.now().timestamp())
    pem = issuer.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    jwt_hmac = jwt.algorithms.HMACAlgorithm
    wrong: dict[str, dict[str, Any]] = {
        "nonce": {"nonce": "of another"},
        "no nonce": {"nonce": None},
        "audience": {"aud": "another"},
        "several audiences": {"aud": [CLIENT, "another"]},
        "party": {"azp": "another"},
        "issuer": {"iss": "https://evil.example"},
        "expired": {"exp": now - 60},
        "no end": {"exp": None},
        "text for a time": {"exp": "9999999999"},
        "not a number": {"exp": float("nan")},
        "later": {"iat": now + 61},
        "not yet": {"nbf": now + 61},
        "signed in later": {"auth_time": now + 61},
        "no subject": {"sub": ""},
        "unverified": {"email_verified": False},
        "verified in words": {"email_verified": "true"},
        "no word on it": {"email_verified": None},
        "no address": {"email": None},
        "unsigned": {"alg": "none"},
        "weaker": {"alg": "RS512"},
        "unknown key": {"kid": "two"},
        "no key": {"kid": None},
        "forged": {"key": rsa.generate_private_key(65537, 2048)},
        "other kind": {"alg": "ES256", "key": ec.generate_private_key(ec.SECP256R1())},
    }
    for what, signed in wrong.items():
        answer = finish(nobody, came_back(nobody, issuer, **signed))
        assert answer.status_code == 401, f"{what}: {answer.get_data(as_text=True)}"
    with pytest.MonkeyPatch.context() as patch:  # the library does not let us forge this one
        patch.setattr(jwt_hmac, "prepare_key", lambda self, key: key)
        confused = came_back(nobody, issuer, alg="HS256", key=pem)
    refused(finish(nobody, confused), 401)

    assert count(sessions, UserSession, UserIdentity) == [0, 0]
    near: dict[str, Any] = {"exp": now - 59, "iat": now + 60, "aud": [CLIENT, "b"], "azp": CLIENT}
    assert finish(nobody, came_back(nobody, issuer, **near)).status_code == 200


def test_keys_that_change_are_asked_for_at_once_and_others_kept(
    nobody: Caller, issuer: LocalIssuer, ana: int, clock: ManualClock
) -> None:
    for _ in range(2):
        good(finish(nobody, came_back(nobody, issuer)))
    assert len(issuer.asked) == 2
    issuer.keys = {"two": issuer.ec}
    issuer.methods = ["client_secret_post"]
    clock.advance(minutes=10)

    good(finish(nobody, came_back(nobody, issuer, kid="two", alg="ES256", key=issuer.ec)))
    issuer.keys = {"three": issuer.rsa}
    good(finish(nobody, came_back(nobody, issuer, kid="three")))

    refused(finish(nobody, came_back(nobody, issuer, kid="two", alg="ES256", key=issuer.ec)), 401)


@pytest.mark.parametrize("what", ["unknown", "suspended", "pending", "deleted", "passed on"])
def test_who_has_no_account_that_is_open_gets_none(
    nobody: Caller, issuer: LocalIssuer, ana: int, sessions: Sessions, clock: ManualClock,
    what: str,
) -> None:  # fmt: skip
    """An address that passed to somebody else does not take the account along."""
    if what != "unknown":
        good(finish(nobody, came_back(nobody, issuer)))
    before = count(sessions, UserSession, UserIdentity, User)
    with write(sessions) as session:
        who = session.get_one(User, ana)
        if what in ("suspended", "pending"):
            who.status = UserStatus(what)
        elif what == "deleted":
            who.deleted_at = clock.now()
    claims = {"unknown": {"email": "bo@example.com"}, "passed on": {"sub": "somebody else"}}

    problem = refused(finish(nobody, came_back(nobody, issuer, **claims.get(what, {}))), 401)

    assert problem["detail"] == "nobody here signs in as this person"
    assert count(sessions, UserSession, UserIdentity, User) == before


def test_an_issuer_that_is_away_or_another_is_said_so(
    nobody: Caller, issuer: LocalIssuer, ana: int, sessions: Sessions
) -> None:
    issuer.named = "https://evil.example"
    refused(nobody.ask("POST", "/sign-in/oidc", {}), 503)
    issuer.close()

    refused(nobody.ask("POST", "/sign-in/oidc", {}), 503)


def test_the_page_posts_what_came_back_and_runs_only_our_script(
    nobody: Caller, issuer: LocalIssuer, sessions: Sessions
) -> None:
    page = nobody.http.get("/account/oidc?state=s&code=<script>")
    script = nobody.http.get("/account/oidc.js")

    assert (page.status_code, script.status_code) == (200, 200)
    assert "Sign in with Shop &amp; Co &lt;login&gt;" in page.text
    assert '<script src="/account/oidc.js" defer>' in page.text
    assert "<script>" not in page.text
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert '"/callback"' in script.text
    assert count(sessions, SignInState) == [0]


PROOF = "/me/proof/oidc"


def query_of(begun: dict[str, str]) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(begun["authorization_url"]).query))


def is_fresh(caller: Caller) -> bool:
    """Whether a caller may do what asks for a fresh proof; a 404 says that they might."""
    return bool(caller.ask("DELETE", "/me/identities/4711").status_code == 404)


@pytest.mark.parametrize("ago", [None, "now", -1, 601, 600, 599, 0, -60])
def test_a_sign_in_is_a_proof_of_when_the_provider_was_signed_in_to(
    app: Flask, nobody: Caller, issuer: LocalIssuer, ana: int, clock: ManualClock, ago: Any
) -> None:
    at = int(clock.now().timestamp()) - ago if isinstance(ago, int) else ago

    made = good(finish(nobody, came_back(nobody, issuer, auth_time=-1 if ago == -1 else at)))

    me = Caller(app.test_client(), made["token"])
    assert is_fresh(me) == (ago in (599, 0, -60))
    clock.advance(minutes=10)
    assert not is_fresh(me), "a clock ahead of ours makes no proof longer"


def test_who_has_neither_password_nor_code_proves_it_with_the_provider(
    app: Flask, nobody: Caller, issuer: LocalIssuer, ana: int, sessions: Sessions,
    clock: ManualClock,
) -> None:  # fmt: skip
    me = Caller(app.test_client(), good(finish(nobody, came_back(nobody, issuer)))["token"])
    with write(sessions) as session:
        session.get_one(User, ana).password_hash = None
    assert PROOF in remedies(refused(me.ask("DELETE", "/me/identities/4711"), 403))

    begun = me.post(PROOF, {})
    asked = query_of(begun)
    assert (asked["max_age"], asked["prompt"]) == ("0", "login")
    assert not {"max_age", "prompt"} & query_of(nobody.post("/sign-in/oidc", {})).keys()
    now = int(clock.now().timestamp())
    back = issuer.approve(begun["authorization_url"], auth_time=now)
    answer = me.ask("POST", f"{PROOF}/callback", {**back, "binding": begun["binding"]})

    assert (answer.status_code, is_fresh(me)) == (204, True)
    assert "user.prove" in {one["action"] for one in me.get("/audit")["data"]}
    refused(me.ask("POST", f"{PROOF}/callback", {**back, "binding": begun["binding"]}), 401)
    clock.advance(seconds=FRESH.total_seconds())
    assert not is_fresh(me)


@pytest.mark.parametrize(
    "signed",
    [{"auth_time": None}, {"auth_time": "old"}, {"sub": "bo-1", "email": "bo@example.com"}],
)
def test_a_provider_that_kept_somebody_signed_in_or_names_another_proves_nothing(
    app: Flask, nobody: Caller, issuer: LocalIssuer, ana: int, client_id: int,
    sessions: Sessions, clock: ManualClock, signed: dict[str, Any],
) -> None:  # fmt: skip
    settled(sessions, clock, client_id, email="bo@example.com")
    me = Caller(app.test_client(), good(finish(nobody, came_back(nobody, issuer)))["token"])
    now = int(clock.now().timestamp())
    told = {"auth_time": now, **signed}
    told |= {"auth_time": now - 600} if told["auth_time"] == "old" else {}
    begun = me.post(PROOF, {})
    back = issuer.approve(begun["authorization_url"], **told)

    problem = refused(
        me.ask("POST", f"{PROOF}/callback", {**back, "binding": begun["binding"]}), 403
    )

    assert "POST /" in remedies(problem)
    assert not is_fresh(me)
    assert count(sessions, UserIdentity) == [1], "nobody is linked by a proof that failed"


def test_what_began_for_one_session_proves_nothing_for_another_and_signs_nobody_in(
    app: Flask, nobody: Caller, issuer: LocalIssuer, ana: int, sessions: Sessions,
    clock: ManualClock,
) -> None:  # fmt: skip
    mine, other = (
        Caller(app.test_client(), good(finish(nobody, came_back(nobody, issuer)))["token"])
        for _ in range(2)
    )
    now = int(clock.now().timestamp())
    begun = mine.post(PROOF, {})
    back = issuer.approve(begun["authorization_url"], auth_time=now)
    sent = {**back, "binding": begun["binding"]}

    refused(finish(nobody, sent), 401)
    refused(other.ask("POST", f"{PROOF}/callback", sent), 401)
    signing_in = came_back(nobody, issuer, auth_time=now)
    refused(mine.ask("POST", f"{PROOF}/callback", signing_in), 401)
    assert not is_fresh(mine)
    assert not is_fresh(other)
    assert count(sessions, UserSession) == [2]
    assert mine.ask("POST", f"{PROOF}/callback", sent).status_code == 204


def test_a_page_proves_it_by_cookie_and_knows_from_the_state_what_came_back(
    nobody: Caller, issuer: LocalIssuer, ana: int, clock: ManualClock
) -> None:
    begun = good(nobody.ask("POST", "/sign-in/oidc", {"cookie": True}))
    back = {**issuer.approve(begun["authorization_url"]), "cookie": True}
    csrf = {"X-CSRF-Token": good(finish(nobody, back))["csrf_token"]}
    assert "proof." not in back["state"]
    refused(nobody.ask("POST", PROOF, {"cookie": True}), 403)

    begun = good(nobody.ask("POST", PROOF, {"cookie": True}, headers=csrf))
    assert "binding" not in begun
    back = issuer.approve(begun["authorization_url"], auth_time=int(clock.now().timestamp()))
    assert back["state"].startswith("proof.")
    answer = nobody.ask("POST", f"{PROOF}/callback", {**back, "cookie": True}, headers=csrf)

    assert (answer.status_code, "-oidc=;" in str(answer.headers)) == (204, True)
    assert nobody.ask("DELETE", "/me/identities/4711", headers=csrf).status_code == 404
