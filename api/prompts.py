"""/prompts: copy that a language model drafts from the foundation, where one is configured."""

from typing import Any

from accounts.client import client
from api.context import audit, client_id, clock, db, release, services
from api.openapi import Resource
from api.schemas.elevate import DraftedSchema, DraftQuery, PromptsSchema
from campaigns.elevate.drafting import Endpoint, ask, keep
from campaigns.elevate.prompt import PROMPTS, filled, missing, prompt
from channels.names import FOUNDATION
from core.errors import UnavailableError

bp = Resource("prompts", about="Copy drafted from the foundation by a language model")


@bp.get("/prompts")
@bp.response(200, PromptsSchema)
def list_prompts() -> dict[str, Any]:
    """List the prompts, what each still needs, and whether there is a model to ask."""
    facts = _facts()
    return {
        "configured": _endpoint() is not None,
        "prompts": [
            {
                "code": one.code,
                "step": one.step,
                "title": one.title,
                "channel": one.channel,
                "text": one.text,
                "needs": one.needs,
                "missing": missing(one, facts),
            }
            for one in PROMPTS.values()
        ],
    }


@bp.post("/prompts/draft")
@bp.arguments(DraftQuery)
@bp.response(201, DraftedSchema)
def draft(data: dict[str, Any]) -> dict[str, Any]:
    """Have copy drafted into a new template. Nothing sends it until somebody uses it."""
    wanted = prompt(data["code"])
    question = filled(wanted, _facts())
    endpoint = _endpoint()
    if endpoint is None:
        raise UnavailableError(
            "no language model is configured; everything else works without one",
            remedy="set ECHELONX_MODEL_URL and ECHELONX_MODEL_NAME, or write the template yourself",
        )
    release()
    copy = ask(services().egress, endpoint, question)
    made = keep(db(), clock(), client_id=client_id(), prompt=wanted, copy=copy)
    audit(f"template:{made.id}")
    return {"template_id": made.id, "name": made.name, "channel": made.channel.value}


def _facts() -> dict[str, Any]:
    facts: dict[str, Any] = client(db(), client_id()).settings.get(FOUNDATION, {})
    return facts


def _endpoint() -> Endpoint | None:
    settings = services().settings
    if settings.model_url is None or settings.model_name is None:
        return None
    key = settings.model_key.reveal() if settings.model_key else ""
    return Endpoint(settings.model_url, settings.model_name, key)
