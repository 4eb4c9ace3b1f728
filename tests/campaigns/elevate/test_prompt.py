"""Mirrors campaigns/elevate/prompt.py and drafting.py."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from accounts.foundation import FACTS, Kind
from campaigns.elevate.drafting import Copy, Endpoint, ask, keep
from campaigns.elevate.prompt import PROMPTS, Prompt, filled, missing, prompt
from campaigns.errors import PromptNotFoundError
from campaigns.journeys.ast import Elevate
from campaigns.preview import preview
from channels.channel import Channel
from channels.template import TemplateError
from core.db import read, write
from core.errors import InvalidError, UnavailableError
from core.http import Reply
from tests.campaigns.journeys.conftest import Shop

FULL = {
    name: ["one", "two"] if kind is Kind.LIST else f"<{name}>"
    for name, kind in FACTS.items()
    if kind in (Kind.LIST, Kind.TEXT)
}
ENDPOINT = Endpoint("https://model.example/v1/", "small", "secret")


class Model:
    """Answers as told, and remembers what it was asked."""

    def __init__(self, status: int | None, body: bytes) -> None:
        self.reply = Reply(status, body=body, error=None if status else "no answer")
        self.asked: list[tuple[str, str, Any, Any]] = []

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        self.asked.append((method, url, headers, json.loads(body or b"")))
        return self.reply


def said(content: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


def test_every_step_has_a_prompt_made_of_facts() -> None:
    assert len(PROMPTS) >= 10
    assert {one.step for one in PROMPTS.values()} == set(Elevate)


@pytest.mark.parametrize("one", PROMPTS.values(), ids=PROMPTS)
def test_a_prompt_is_filled_with_the_facts_it_needs_or_names_them(one: Prompt) -> None:
    assert one.needs
    text = filled(one, FULL)
    for fact in one.needs:
        assert str(FULL[fact]) in text or "one; two" in text or "one, two" in text
    with pytest.raises(InvalidError) as caught:
        filled(one, {})
    assert missing(one, {}) == list(one.needs)
    assert all(fact in str(caught.value) for fact in one.needs)


def test_an_unknown_prompt_is_refused() -> None:
    with pytest.raises(PromptNotFoundError):
        prompt("X9")


@pytest.mark.parametrize(
    ("content", "copy"),
    [
        ('{"subject": " Hi ", "text": "A\\n\\nB"}', Copy("Hi", "A\n\nB")),
        ('```json\n{"subject": "Hi", "text": "A"}\n```', Copy("Hi", "A")),
        ("Just text", Copy("", "Just text")),
        ('["no"]', Copy("", '["no"]')),
        ('{"text": ""}', Copy("", '{"text": ""}')),
    ],
)
def test_an_answer_is_read_leniently(content: str, copy: Copy) -> None:
    model = Model(200, said(content))

    assert ask(model, ENDPOINT, "Write.") == copy
    ((method, url, headers, body),) = model.asked
    assert (method, url) == ("POST", "https://model.example/v1/chat/completions")
    assert headers["Authorization"] == "Bearer secret"
    assert (body["model"], body["messages"][1]["content"]) == ("small", "Write.")
    assert "secret" not in repr(ENDPOINT)


@pytest.mark.parametrize(
    ("status", "body"),
    [(None, b""), (401, b"{}"), (500, b""), (200, b"<html>"), (200, b"{}"), (200, b"[1]")],
)
def test_no_answer_is_said_so(status: int | None, body: bytes) -> None:
    with pytest.raises(UnavailableError):
        ask(Model(status, body), ENDPOINT, "Write.")


def test_a_draft_is_a_new_template_each_time(shop: Shop) -> None:
    copy = Copy("For {{ first_name }}", "Dear <you>,\n\nHello {{ first_name }}")
    with write(shop.sessions) as session:
        told = {"client_id": shop.client_id, "prompt": PROMPTS["S1"], "copy": copy}
        first = keep(session, shop.clock, **told)
        second = keep(session, shop.clock, **told)
    with read(shop.sessions) as session:
        faces = preview(
            session, client_id=shop.client_id, template_id=first.id, sample={"first_name": "Ana"}
        )

    assert (first.name, second.name) == ("Draft S1: The offer", "Draft S1: The offer 2")
    assert first.channel is Channel.EMAIL
    assert faces["subject"] == "For Ana"
    assert "<p>Dear &lt;you&gt;,</p>\n<p>Hello Ana</p>" in faces["html"]
    assert "unsubscribe" in faces["html"]


def test_copy_that_is_no_template_of_ours_is_refused(shop: Shop) -> None:
    copy = Copy("", "Hello {{ password }}")
    with write(shop.sessions) as session, pytest.raises(TemplateError):
        keep(session, shop.clock, client_id=shop.client_id, prompt=PROMPTS["S2"], copy=copy)
