"""Mirrors api/prompts.py."""

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from core.http import Egress, Reply
from echelonx.wiring import Services
from tests.api.caller import Caller, good, refused

FACTS = {
    "offer": "The course",
    "value_proposition": "More leads",
    "brand_voice_adjectives": ["dry"],
}


def test_without_a_model_prompts_are_listed_and_drafting_says_what_to_do(api: Caller) -> None:
    good(api.ask("PUT", "/foundation", {"foundation": FACTS}))
    found = api.get("/prompts")

    assert not found["configured"]
    missing = {one["code"]: one["missing"] for one in found["prompts"]}
    assert missing["S2"] == []
    assert "gift" in missing["G1"]
    told = refused(api.ask("POST", "/prompts/draft", {"code": "S2"}), 503)
    assert "no language model" in told["detail"]
    refused(api.ask("POST", "/prompts/draft", {"code": "G1"}), 422)
    refused(api.ask("POST", "/prompts/draft", {"code": "X9"}), 404)


def test_with_a_model_a_draft_becomes_a_template(
    app: Flask, api: Caller, product: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def answer(self: Egress, method: str, url: str, **told: Any) -> Reply:
        asked.append(url)
        return Reply(
            200, body=b'{"choices": [{"message": {"content": "Take it, {{ first_name }}"}}]}'
        )

    monkeypatch.setattr(Egress, "request", answer)
    model = {"model_url": "https://model.example/v1", "model_name": "small"}
    app.extensions["echelonx"] = replace(product, settings=replace(product.settings, **model))
    good(api.ask("PUT", "/foundation", {"foundation": FACTS}))

    made = api.post("/prompts/draft", {"code": "S2"})
    assert asked == ["https://model.example/v1/chat/completions"]
    assert api.get("/prompts")["configured"]
    template = api.get(f"/templates/{made['template_id']}")
    assert (template["channel"], template["version"]["text"]) == (
        "sms",
        "Take it, {{ first_name }}",
    )
    assert api.get("/campaigns")["data"] == []
