"""Mirrors api/providers.py."""

from communications.account import ProviderAccount, account_config
from core.db import read
from echelonx.wiring import Services
from scheduling.bell import LocalBell
from tests.api.caller import Caller, good, pointers, refused, remedies

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
        assert pointers(problem) == {f"/config/{name}" for name in changes}
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


def test_what_is_given_of_an_account_is_changed_and_the_rest_stays(
    api: Caller, product: Services
) -> None:
    made = api.post("/providers", SMTP)
    path = f"/providers/{made['id']}"
    assert isinstance(product.bell, LocalBell)
    rung = product.bell.subscribe()

    changed = api.patch(path, {"name": "Other", "window": None, "config": {"from_name": "Shop"}})

    assert (changed["name"], changed["window"]) == ("Other", None)
    assert changed["config"] == {**made["config"], "from_name": "Shop"}
    assert changed["webhook_url"] == made["webhook_url"]
    assert api.get(path) == changed
    assert rung.is_set()
    with read(product.sessions) as session:
        row = session.get_one(ProviderAccount, made["id"])
        assert account_config(product.vault, row)["password"] == SMTP["config"]["password"]  # type: ignore[index]


def test_a_secret_is_replaced_and_told_to_nobody(api: Caller) -> None:
    made = api.post("/providers", SMTP)
    path = f"/providers/{made['id']}"

    changed = api.patch(path, {"config": {"password": "anchovies-and-more-of-them"}})

    assert changed["config"]["password"] == "••••them"
    entry = api.get("/audit")["data"][0]
    assert (entry["action"], entry["target"]) == ("provider.change", f"provider:{made['id']}")
    assert entry["detail"] == {"settings": ["password"]}
    assert entry["after"] == {"config": "changed"}
    assert "anchovies" not in api.ask("GET", "/audit").get_data(as_text=True)


def test_no_secret_is_sent_to_another_server_by_who_does_not_know_it(api: Caller) -> None:
    secured = {**SMTP, "config": {**SMTP["config"], "tls": "starttls"}}  # type: ignore[dict-item]
    path = f"/providers/{api.post('/providers', secured)['id']}"
    for config in ({"host": "evil.example"}, {"port": 26}, {"tls": "tls"}):
        problem = refused(api.ask("PATCH", path, {"config": config}), 422)
        assert pointers(problem) == {"/config/password"}
        assert "once more" in remedies(problem)

    moved = {"host": "mail.example", "password": "anchovies-and-more"}
    assert api.patch(path, {"config": moved})["config"]["host"] == "mail.example"
    assert api.patch(path, {"config": {"host": "mail.example"}})["config"]["port"] == 2525


def test_a_setting_is_taken_out_by_null(api: Caller) -> None:
    path = f"/providers/{api.post('/providers', SMTP)['id']}"

    changed = api.patch(path, {"config": {"username": None, "password": None}})

    assert "username" not in changed["config"]


def test_a_change_that_cannot_be_used_changes_nothing(api: Caller) -> None:
    made = api.post("/providers", SMTP)
    api.post("/providers", {**SMTP, "name": "Other"})
    path = f"/providers/{made['id']}"
    for body, status, pointer in (
        ({"config": {"host": None}}, 422, "/config/host"),
        ({"config": {"nope": 1}}, 422, "/config/nope"),
        ({"config": {"password": made["config"]["password"]}}, 422, "/config/password"),
        ({"window": 0}, 422, "/window"),
        ({"adapter": "twilio"}, 422, "/adapter"),
        ({"status": "paused"}, 422, "/status"),
        ({"name": "Other"}, 409, "/name"),
    ):
        problem = refused(api.ask("PATCH", path, body), status)
        assert pointers(problem) == {pointer}
        assert remedies(problem)
    assert api.get(path) == made
    assert good(api.ask("PATCH", path, {"name": "Relay"})) == made
