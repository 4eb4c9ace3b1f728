"""Mirrors echelonx/commands/recipe.py."""

from typing import Any

from tests.echelonx.conftest import Call


def test_recipes_are_listed_in_the_order_of_the_steps(call: Call, shop: dict[str, Any]) -> None:
    told = call("recipe", "list", "--json").json
    text = call("recipe", "list").out

    assert [one["name"] for one in told][:3] == ["hook", "gift", "identify"]
    (nurture,) = [one for one in told if one["name"] == "nurture"]
    assert nurture["channels"] == ["email", "push", "sms"]
    assert "opted_in" in nurture["events"]
    assert "offer_url" in nurture["facts"]
    assert "abandoned-cart" in text


def test_a_recipe_is_shown_with_what_it_would_say(call: Call, shop: dict[str, Any]) -> None:
    told = call("recipe", "show", "gift", "--json").json
    text = call("recipe", "show", "gift").out

    assert told["preview"]["gift deliver email"]["subject"] == "Here is your guide"
    assert 'journey "Gift"' in text
    assert "Here is your guide" in text
    assert "<p>" not in text


def test_installing_makes_a_draft_once(call: Call, shop: dict[str, Any]) -> None:
    first = call("recipe", "install", "nurture", "--json").json
    again = call("recipe", "install", "nurture", "--json").json
    told = call("recipe", "install", "nurture").out

    assert (first["status"], first["created"], again["created"]) == ("draft", True, False)
    assert len(first["templates"]) > 15
    assert again["templates"] == []
    assert again["journey_id"] == first["journey_id"]
    assert "offer_url" in first["missing"]
    assert "Nurture" in told


def test_an_unknown_recipe_names_the_nearest(call: Call, shop: dict[str, Any]) -> None:
    result = call("recipe", "show", "nurtur")

    assert result.code == 1
    assert "nurture" in result.err
