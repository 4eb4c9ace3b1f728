"""Mirrors api/suppressions.py."""

from communications.queries import communication
from communications.status import Status
from core.db import Sessions, read
from tests.api.caller import Caller, pointers, refused
from tests.factories import Factory

ANA = {"channel": "email", "address": "Ana@Example.com"}


def test_a_suppressed_address_is_only_shown_masked(api: Caller) -> None:
    for _ in range(2):
        assert api.ask("POST", "/suppressions", ANA).status_code == 204

    (one,) = api.get("/suppressions")["data"]
    assert (one["channel"], one["scope"], one["reason"]) == ("email", "all", "manual")
    assert "ana" not in one["masked"]
    assert one["evidence"].startswith("key:")
    assert api.get("/suppressions", channel="sms")["data"] == []


def test_a_number_is_read_as_dialled_in_the_clients_country(api: Caller) -> None:
    phone = {"channel": "sms", "address": "(201) 555-0123"}

    assert api.ask("POST", "/suppressions", phone).status_code == 204
    lifted = api.post("/suppressions/lift", {"channel": "sms", "address": "+12015550123"})

    assert lifted == {"lifted": 1}


def test_what_is_queued_to_it_is_skipped(api: Caller, make: Factory, sessions: Sessions) -> None:
    made = make.message(
        make.member(), to_address="ana@example.com", status=Status.QUEUED, rank=0, sent_at=None
    )

    api.ask("POST", "/suppressions", ANA)

    with read(sessions) as session:
        row = communication(session, make.client_id, made)
        assert (row.status, row.reason) == ("skipped", "suppressed")


def test_an_address_can_be_allowed_again(api: Caller) -> None:
    api.ask("POST", "/suppressions", ANA)

    assert api.post("/suppressions/lift", ANA) == {"lifted": 1}
    assert api.post("/suppressions/lift", ANA) == {"lifted": 0}
    assert api.get("/suppressions")["data"] == []


def test_what_is_no_address_is_refused(api: Caller) -> None:
    for body in ({**ANA, "address": "nobody"}, {"channel": "sms", "address": "12"}):
        for path in ("/suppressions", "/suppressions/lift"):
            assert pointers(refused(api.ask("POST", path, body), 422)) == {"/address"}
    assert pointers(refused(api.ask("POST", "/suppressions", {**ANA, "channel": "fax"}), 422)) == {
        "/channel"
    }
