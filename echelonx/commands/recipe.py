"""`recipe`: ready-made journeys, and how one becomes a draft."""

from typing import Any

import click

from campaigns.journeys.english import summary
from campaigns.journeys.recipe import Recipe, install, preview, recipes
from campaigns.journeys.recipe import recipe as named
from core.db import read, write
from echelonx.commands.output import Group, answer, as_json, facts, table
from echelonx.commands.workspace import chosen, client_option, opened


@click.group(cls=Group)
def recipe() -> None:
    """Ready-made journeys with their templates. Installing one makes a draft and sends nothing."""


@recipe.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List them: the nine Elevate steps in their order, then the others."""
    found = [_told(one) for one in recipes()]
    rows = [(one["name"], one["title"], len(one["templates"]), one["about"]) for one in found]
    answer(found, table(("recipe", "journey", "templates", "about"), rows), as_json=as_json)


@recipe.command()
@click.argument("name")
@client_option
@as_json
def show(name: str, client_id: int | None, as_json: bool) -> None:
    """Show a recipe: its journey, and what it would say with your foundation."""
    found = named(name)
    with opened() as services, read(services.sessions) as session:
        faces = preview(session, chosen(session, client_id).id, name)
    said = [f"{title}\n{_wording(shown)}" for title, shown in faces.items()]
    head = {
        "about": found.about,
        "length": summary(found.journey),
        "events": ", ".join(found.events),
        "foundation": ", ".join(found.facts),
    }
    text = "\n\n".join([facts(head), found.text.strip(), *said])
    answer(_told(found) | {"text": found.text, "preview": faces}, text, as_json=as_json)


@recipe.command("install")
@click.argument("name")
@client_option
@as_json
def install_(name: str, client_id: int | None, as_json: bool) -> None:
    """Make a draft of it and the templates that are missing; what is there stays as it is."""
    with opened() as services, write(services.sessions) as session:
        client = chosen(session, client_id)
        made = install(session, services.clock, client_id=client.id, name=name)
        told = {
            "journey_id": made.journey.id,
            "journey": made.journey.name,
            "status": made.journey.status.value,
            "created": made.created,
            "templates": made.templates,
            "missing": made.missing,
            "unserved": [channel.value for channel in made.unserved],
        }
    answer(told, facts(told | {"templates": len(made.templates)}), as_json=as_json)


def _told(one: Recipe) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": one.title,
        "about": one.about,
        "stages": [stage.value for stage in one.stages],
        "channels": [channel.value for channel in one.channels],
        "events": one.events,
        "facts": list(one.facts),
        "templates": [template.name for template in one.templates],
    }


def _wording(faces: dict[str, str]) -> str:
    return "\n".join(f"  {line}" for face in _read(faces) for line in face.strip().splitlines())


def _read(faces: dict[str, str]) -> list[str]:
    """Return what a person reads: the plain text where there is HTML beside it."""
    return [text for face, text in faces.items() if face != "html"]
