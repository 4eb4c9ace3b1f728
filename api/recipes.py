"""/recipes, /foundation: ready-made journeys, and the brand facts that fill their templates."""

from typing import Any

from accounts.client import client, update_client
from accounts.foundation import FOUNDATION, checked_foundation
from api.context import audit, client_id, clock, db
from api.openapi import Resource
from api.schemas.elevate import (
    FoundationSchema,
    FoundationShownSchema,
    InstalledSchema,
    RecipePreviewSchema,
    RecipeQuery,
    RecipesSchema,
)
from campaigns.journeys.english import summary
from campaigns.journeys.recipe import Recipe, install, preview, recipes

bp = Resource("recipes", about="Ready-made journeys, and the facts that fill their templates")
SETTING = "foundation"


@bp.get("/recipes")
@bp.response(200, RecipesSchema)
def list_recipes() -> dict[str, Any]:
    """List the recipes: the nine Elevate steps in their order, then the others."""
    return {"data": [_shown(one) for one in recipes()]}


@bp.get("/recipes/preview")
@bp.arguments(RecipeQuery, location="query")
@bp.response(200, RecipePreviewSchema)
def show_preview(query: dict[str, Any]) -> dict[str, Any]:
    """Show what a recipe would say with the client's foundation. Stores nothing."""
    return {"templates": preview(db(), client_id(), query["name"])}


@bp.post("/recipes/install")
@bp.action("journeys:write")
@bp.arguments(RecipeQuery)
@bp.response(200, InstalledSchema)
def install_recipe(data: dict[str, Any]) -> dict[str, Any]:
    """Make a draft of a recipe and the templates that are missing; twice changes nothing."""
    made = install(db(), clock(), client_id=client_id(), name=data["name"])
    if made.created:
        audit(f"journey:{made.journey.id}")
    return {
        "journey_id": made.journey.id,
        "name": made.journey.name,
        "status": made.journey.status.value,
        "created": made.created,
        "templates": made.templates,
        "missing": made.missing,
        "unserved": made.unserved,
    }


@bp.get("/foundation")
@bp.response(200, FoundationShownSchema)
def get_foundation() -> dict[str, Any]:
    """Show the client's brand facts, and which there may be."""
    return _facts()


@bp.put("/foundation")
@bp.action("foundation:write")
@bp.arguments(FoundationSchema)
@bp.response(200, FoundationShownSchema)
def put_foundation(data: dict[str, Any]) -> dict[str, Any]:
    """Set the brand facts, all of them; those that are not named are taken away."""
    told = {SETTING: checked_foundation(data["foundation"])}
    update_client(db(), clock(), client_id=client_id(), settings=told)
    audit(f"client:{client_id()}")
    return _facts()


def _facts() -> dict[str, Any]:
    held = client(db(), client_id()).settings.get(SETTING, {})
    return {"foundation": held, "groups": FOUNDATION}


def _shown(one: Recipe) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": one.title,
        "about": one.about,
        "summary": summary(one.journey),
        "stages": one.stages,
        "channels": one.channels,
        "events": one.events,
        "facts": one.facts,
        "templates": [template.name for template in one.templates],
        "text": one.text,
    }
