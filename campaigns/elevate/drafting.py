"""Drafting: a language model's answer becomes a new template, which nothing sends by itself.

The endpoint speaks OpenAI's chat completions; without one everything else works.
"""

import json
import re
from dataclasses import dataclass, field
from html import escape
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from campaigns.elevate.prompt import Prompt
from campaigns.template import Template, create_template
from channels.adapter import HttpClient
from channels.channel import Channel
from core.clock import Clock
from core.errors import UnavailableError

MAX_CHARS = 10_000
TITLED = (Channel.EMAIL, Channel.PUSH)
ORDER = (
    "You write marketing messages: short, plain, honest, without exaggeration or false urgency. "
    'Answer with a JSON object {"subject": …, "text": …} and nothing else. The text is plain, '
    "with empty lines between paragraphs. Write {{ first_name }} for the reader's name. "
    "Make up no facts, prices, numbers or links."
)
FOOTER = (
    "<p>{{ client.name }}{% if client.address %}, {{ client.address }}{% endif %} · "
    '<a href="{{ unsubscribe_url }}">Unsubscribe</a></p>'
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a language model answers."""

    url: str
    """Up to `/chat/completions`, such as `https://api.openai.com/v1`."""
    model: str
    key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Copy:
    """What was written."""

    subject: str
    text: str


def ask(http: HttpClient, endpoint: Endpoint, question: str) -> Copy:
    """Ask once for copy; no transaction may be open. Raises UnavailableError for no answer."""
    told = {
        "model": endpoint.model,
        "messages": [{"role": "system", "content": ORDER}, {"role": "user", "content": question}],
    }
    headers = {"Content-Type": "application/json"}
    if endpoint.key:
        headers["Authorization"] = f"Bearer {endpoint.key}"
    url = f"{endpoint.url.rstrip('/')}/chat/completions"
    reply = http.request("POST", url, headers=headers, body=json.dumps(told).encode())
    if reply.status != 200:
        raise UnavailableError(
            f"the language model does not answer: {reply.error or f'HTTP {reply.status}'}",
            remedy="look at ECHELONX_MODEL_URL, ECHELONX_MODEL_KEY and ECHELONX_MODEL_NAME",
        )
    return _copy(reply.body)


def keep(session: Session, clock: Clock, *, client_id: int, prompt: Prompt, copy: Copy) -> Template:
    """Make a new template of it. Raises TemplateError where the copy is no Liquid we know."""
    subject = copy.subject if prompt.channel in TITLED else None
    html = _html(copy.text) if prompt.channel is Channel.EMAIL else None
    return create_template(
        session,
        clock,
        client_id=client_id,
        name=_free_name(session, client_id, f"Draft {prompt.code}: {prompt.title}"),
        channel=prompt.channel,
        subject=(subject or prompt.title) if prompt.channel in TITLED else None,
        html=html,
        text=None if html else copy.text,
    )


def _copy(body: bytes) -> Copy:
    try:
        answer: Any = json.loads(body)
        content = str(answer["choices"][0]["message"]["content"])
    except (ValueError, LookupError, TypeError):
        raise UnavailableError(
            "the language model's answer cannot be read", remedy="look at ECHELONX_MODEL_URL"
        ) from None
    # Models like to put JSON into a fence of backticks.
    inside = re.sub(r"^```\w*\s*|\s*```$", "", content.strip())
    try:
        told: Any = json.loads(inside)
    except ValueError:
        told = None
    if not isinstance(told, dict) or not str(told.get("text") or "").strip():
        return Copy("", content.strip()[:MAX_CHARS])
    return Copy(str(told.get("subject") or "").strip()[:200], str(told["text"])[:MAX_CHARS])


def _html(text: str) -> str:
    paragraphs = (part.strip() for part in re.split(r"\n\s*\n", text))
    said = [f"<p>{escape(part, quote=False)}</p>" for part in paragraphs if part]
    return "\n".join([*said, FOOTER])


def _free_name(session: Session, client_id: int, name: str) -> str:
    query = select(Template.name).where(
        Template.client_id == client_id, Template.name.startswith(name, autoescape=True)
    )
    taken = set(session.scalars(query))
    names = [name, *(f"{name} {number}" for number in range(2, len(taken) + 2))]
    return next(one for one in names if one not in taken)
