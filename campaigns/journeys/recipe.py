"""Recipe: ready-made journeys with their templates. Installing one makes a draft, no more.

A recipe is `recipes/<name>.journey` with a folder of templates beside it: `gift.email` of the
recipe nurture is the template “nurture gift email”. Emails and pushes begin with their subject;
emails are set into `recipes/layout.html`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from sqlalchemy import select
from sqlalchemy.orm import Session

from accounts.client import Client
from campaigns.errors import RecipeNotFoundError
from campaigns.journeys.ast import Elevate, Journey
from campaigns.journeys.journey import Journey as StoredJourney
from campaigns.journeys.journey import journey_named
from campaigns.journeys.listening import names_of
from campaigns.journeys.program import each_condition, program
from campaigns.journeys.publish import create_journey
from campaigns.journeys.text import parse
from campaigns.preview import shown
from campaigns.template import Template, create_template
from campaigns.template_file import channel_of, read_wording
from channels.channel import Channel
from channels.names import FOUNDATION
from channels.template import CompiledTemplate, compile_template
from communications.account import active_account
from core.clock import Clock
from core.condition.ast import Did, each_leaf
from core.condition.check import nearest
from members.signal import EVENT

FOLDER = files("campaigns.journeys") / "recipes"
SUFFIX = ".journey"


@dataclass(frozen=True, slots=True)
class RecipeTemplate:
    """One template that a recipe brings."""

    name: str
    channel: Channel
    subject: str | None
    html: str | None
    text: str | None

    def compiled(self) -> CompiledTemplate:
        """Return it ready to be filled."""
        return compile_template(self.channel, subject=self.subject, html=self.html, text=self.text)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A journey that ships with the product."""

    name: str
    text: str
    journey: Journey
    templates: tuple[RecipeTemplate, ...]
    facts: tuple[str, ...]
    """The facts of the foundation that its templates show: `offer`, `offer_url`."""

    @property
    def title(self) -> str:
        """The name of the journey it makes."""
        return self.journey.name

    @property
    def about(self) -> str:
        """What it is for, in a sentence."""
        return self.journey.comments[0]

    @property
    def stages(self) -> list[Elevate]:
        """The Elevate steps it goes through."""
        return program(self.journey).stages()

    @property
    def channels(self) -> list[Channel]:
        """What it sends by."""
        return sorted({one.channel for one in self.templates})

    @property
    def events(self) -> list[str]:
        """The events that it must be told of."""
        return sorted(_events(self.journey))


@dataclass(frozen=True, slots=True)
class Installed:
    """What became of an installation."""

    journey: StoredJourney
    created: bool
    """False: a journey of this name was there, and was left alone."""
    templates: list[str]
    """The templates it made; those that were there stay as they are."""
    missing: list[str]
    """Facts that its templates show and the client's foundation does not have."""
    unserved: list[Channel]
    """Channels that no active provider account carries: publishing needs one for each."""


def recipes() -> list[Recipe]:
    """Return every recipe: those of one Elevate step in their order, then the others by name."""
    names = [
        entry.name.removesuffix(SUFFIX) for entry in FOLDER.iterdir() if entry.name.endswith(SUFFIX)
    ]
    order = [stage.casefold() for stage in Elevate]
    return [recipe(name) for name in [*order, *sorted(set(names) - set(order))]]


@cache
def recipe(name: str) -> Recipe:
    """Return a recipe. Raises RecipeNotFoundError with the nearest name."""
    known = [entry.name for entry in FOLDER.iterdir()]
    if f"{name}{SUFFIX}" not in known:
        names = [one.removesuffix(SUFFIX) for one in known if one.endswith(SUFFIX)]
        raise RecipeNotFoundError(
            f"there is no recipe “{name[:40]}”", field="recipe", remedy=nearest(name, names)
        )
    text = (FOLDER / f"{name}{SUFFIX}").read_text(encoding="utf-8")
    templates = tuple(_templates(name))
    fields = {field for one in templates for field in one.compiled().fields}
    prefix = f"{FOUNDATION}."
    facts = sorted(field.removeprefix(prefix) for field in fields if field.startswith(prefix))
    return Recipe(name, text, parse(text), templates, tuple(facts))


def preview(session: Session, client_id: int, name: str) -> dict[str, dict[str, str]]:
    """Return each template of a recipe as the client's foundation fills it, face by face.

    Nothing is stored. Raises RecipeNotFoundError.
    """
    client = session.get_one(Client, client_id)
    facts = client.settings.get(FOUNDATION, {})
    merge = {f"{FOUNDATION}.{fact}": value for fact, value in facts.items()}
    told = {"name": client.name, "address": client.address}
    return {one.name: shown(one.compiled(), merge, told) for one in recipe(name).templates}


def install(session: Session, clock: Clock, *, client_id: int, name: str) -> Installed:
    """Make a draft of a recipe, and the templates that are missing. Publishes and sends nothing.

    What is there by its name stays as it is, so installing twice changes nothing. Raises
    RecipeNotFoundError.
    """
    wanted = recipe(name)
    found = journey_named(session, client_id, wanted.title)
    query = select(Template.name).where(Template.client_id == client_id)
    held = set(session.scalars(query))
    new = [one for one in wanted.templates if one.name not in held]
    for one in new:
        create_template(
            session, clock, client_id=client_id, name=one.name, channel=one.channel,
            subject=one.subject, html=one.html, text=one.text,
        )  # fmt: skip
    made = found or create_journey(session, clock, client_id=client_id, text=wanted.text)
    facts = session.get_one(Client, client_id).settings.get(FOUNDATION, {})
    return Installed(
        journey=made,
        created=found is None,
        templates=[one.name for one in new],
        missing=[fact for fact in wanted.facts if fact not in facts],
        unserved=[
            channel
            for channel in wanted.channels
            if active_account(session, client_id, channel) is None
        ],
    )


def _templates(name: str) -> Iterator[RecipeTemplate]:
    for entry in sorted((FOLDER / name).iterdir(), key=lambda entry: entry.name):
        stem, channel = entry.name.rpartition(".")[0], channel_of(entry.name)
        said = read_wording(channel, entry.read_text(encoding="utf-8"))
        full = f"{name} {stem} {channel}"
        yield RecipeTemplate(full, channel, said.subject, said.html, said.text)


def _events(journey: Journey) -> set[str]:
    listened = names_of(journey, {})
    asked = {
        leaf.event
        for _, condition in each_condition(journey)
        for leaf in each_leaf(condition)
        if isinstance(leaf, Did)
    }
    return asked | {name.removeprefix(EVENT) for name in listened if name.startswith(EVENT)}
