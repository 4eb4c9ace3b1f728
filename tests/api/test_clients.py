"""Mirrors api/clients.py."""

from tests.api.caller import Caller, pointers, refused


def test_a_client_says_where_its_mail_comes_from(api: Caller) -> None:
    changed = api.patch("/clients/me", {"address": "1 Main St", "timezone": "Europe/Berlin"})

    assert (changed["address"], changed["timezone"]) == ("1 Main St", "Europe/Berlin")
    assert api.get("/clients/me") == changed


def test_bad_details_are_refused_by_field(api: Caller) -> None:
    for field, value in {
        "timezone": "Mars/North",
        "country": "XX",
        "email": "nobody",
        "phone": "12",
        "company_size": "huge",
        "name": "",
        "status": "active",
        "total_revenue": 5,
    }.items():
        assert pointers(refused(api.ask("PATCH", "/clients/me", {field: value}), 422)) == {
            f"/{field}"
        }


def test_settings_are_set_one_by_one_and_taken_away(api: Caller) -> None:
    api.patch("/clients/me", {"settings": {"currency": "EUR", "attribution_days": 3}})
    changed = api.patch("/clients/me", {"settings": {"attribution_days": None}})

    assert changed["settings"] == {"currency": "EUR"}
    wrong = {"settings": {"currency": "euros"}}
    assert pointers(refused(api.ask("PATCH", "/clients/me", wrong), 422)) == {"/settings/currency"}
