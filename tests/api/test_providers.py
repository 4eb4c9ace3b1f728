"""Mirrors api/providers.py."""

from echelonx.wiring import Services
from scheduling.bell import LocalBell
from tests.api.caller import Caller, pointers, refused, remedies

SMTP = {
    "name": "Relay",
    "adapter": "smtp",
    "config": {
        "host": "127.0.0.1",
        "port": 2525,
        "tls": "none",
        "username": "shop",
        "password": "swordfish-and-more",
        "from_email": "shop@example.com",
    },
    "window": 100,
}
TWILIO = {
    "name": "Phone",
    "adapter": "twilio",
    "config": {
        "account_sid": "AC" + "0" * 32,
        "auth_token": "f" * 28 + "a1b2",
        "from_number": "+12015550100",
    },
}


def test_secrets_go_in_and_never_come_out(api: Caller) -> None:
    made = api.post("/providers", SMTP)

    assert made["config"]["password"] == "••••more"
    assert made["config"]["host"] == "127.0.0.1"
    assert (made["channel"], made["status"], made["window"]) == ("email", "active", 100)
    assert api.get(f"/providers/{made['id']}") == made
    assert api.get("/providers") == {"data": [made], "next_cursor": None}
    assert "swordfish" not in api.ask("GET", "/providers").get_data(as_text=True)


def test_a_short_secret_shows_nothing_of_itself(api: Caller) -> None:
    short = {**SMTP, "config": {**SMTP["config"], "password": "abcd"}}  # type: ignore[dict-item]

    assert api.post("/providers", short)["config"]["password"] == "••••"


def test_the_webhook_url_is_where_the_provider_posts(api: Caller) -> None:
    made = api.post("/providers", TWILIO)

    assert made["config"]["auth_token"] == "••••a1b2"
    assert made["config"]["account_sid"] == TWILIO["config"]["account_sid"]  # type: ignore[index]
    assert made["webhook_url"].startswith("https://mail.example.com/webhooks/twilio/")


def test_an_unknown_provider_is_refused_with_the_known_ones(api: Caller) -> None:
    problem = refused(api.ask("POST", "/providers", {**SMTP, "adapter": "pigeon"}), 422)

    assert pointers(problem) == {"/adapter"}
    assert "twilio" in remedies(problem)


def test_settings_that_its_adapter_cannot_use_are_refused_by_field(api: Caller) -> None:
    for changes in ({"host": None}, {"port": "x"}, {"nope": 1}, {"tls": "perhaps"}):
        body = {**SMTP, "config": {**SMTP["config"], **changes}}  # type: ignore[dict-item]
        problem = refused(api.ask("POST", "/providers", body), 422)
        assert {one.split("/")[-1] for one in pointers(problem)} == set(changes)
        assert "swordfish" not in str(problem)


def test_a_taken_name_is_a_conflict(api: Caller) -> None:
    api.post("/providers", SMTP)

    assert pointers(refused(api.ask("POST", "/providers", SMTP), 409)) == {"/name"}


def test_an_account_pauses_and_resumes(api: Caller, product: Services) -> None:
    made = api.post("/providers", SMTP)
    assert isinstance(product.bell, LocalBell)
    rung = product.bell.subscribe()

    assert api.post(f"/providers/{made['id']}/pause")["status"] == "paused"
    assert api.post(f"/providers/{made['id']}/pause")["status"] == "paused"
    assert not rung.is_set()
    assert api.post(f"/providers/{made['id']}/resume")["status"] == "active"
    assert rung.is_set()
