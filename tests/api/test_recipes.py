"""Mirrors api/recipes.py."""

from tests.api.caller import Caller, good, refused, remedies


def test_a_recipe_is_seen_previewed_and_installed(api: Caller) -> None:
    found = api.get("/recipes")["data"]
    (nurture,) = [one for one in found if one["name"] == "nurture"]
    assert [one["name"] for one in found][:2] == ["hook", "gift"]
    assert nurture["stages"] == ["Gift", "Identify", "Engage", "Sell", "Nurture"]
    assert "33 steps" in nurture["summary"]

    good(api.ask("PUT", "/foundation", {"foundation": {"gift": "The checklist"}}))
    said = api.get("/recipes/preview", name="nurture")["templates"]
    assert said["nurture gift email"]["subject"] == "Here is The checklist"
    assert api.get("/templates")["data"] == []

    first = api.post("/recipes/install", {"name": "nurture"})
    again = api.post("/recipes/install", {"name": "nurture"})
    assert (first["created"], first["status"], again["created"]) == (True, "draft", False)
    assert "offer" in first["missing"]
    assert "gift" not in first["missing"]
    assert len(first["templates"]) == len(nurture["templates"])
    assert again["templates"] == []
    assert first["unserved"] == ["email", "push", "sms"], "there is no provider account yet"
    refused(api.ask("POST", "/recipes/install", {"name": "nurtur"}), 404)
    refused(api.ask("GET", "/recipes/preview", name="nurtur"), 404)


def test_the_foundation_is_set_as_a_whole_and_checked(api: Caller) -> None:
    facts = {"offer": "The course", "pains": ["no time"]}
    assert api.get("/foundation")["foundation"] == {}
    assert api.get("/foundation")["groups"]["customer"]["pains"] == "list"

    assert good(api.ask("PUT", "/foundation", {"foundation": facts}))["foundation"] == facts
    wrong = refused(api.ask("PUT", "/foundation", {"foundation": {"ofer": "x"}}), 422)
    assert api.get("/foundation")["foundation"] == facts
    assert wrong["errors"] == [
        {
            "pointer": "/foundation/ofer",
            "detail": "there is no fact “ofer”",
            "remedy": "did you mean “offer”?",
        }
    ]
    bad = refused(api.ask("PUT", "/foundation", {"foundation": {"gift_url": "shop"}}), 422)
    assert "begins with https://" in remedies(bad)
    good(api.ask("PUT", "/foundation", {"foundation": {"offer": "New"}}))
    assert api.get("/clients/me")["settings"]["foundation"] == {"offer": "New"}
