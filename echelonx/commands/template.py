"""`template`: what is said, as files that are edited and added from the terminal."""

import json
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from accounts.audit import record
from campaigns.errors import TemplateNotFoundError
from campaigns.preview import preview as preview_of
from campaigns.queries import template_named, templates_page
from campaigns.template import (
    Template,
    TemplateVersion,
    create_template,
    latest_version,
    new_version,
)
from campaigns.template_file import Wording, channel_of, read_wording, write_wording
from channels.channel import Channel
from core.clock import Clock
from core.condition.check import nearest
from core.db import read, write
from core.errors import ConflictError, InvalidError
from echelonx.commands.output import Group, answer, as_json, facts, table
from echelonx.commands.whom import members_called
from echelonx.commands.workspace import chosen, client_option, opened

MOST = 1_000
CHANNELS = click.Choice([one.value for one in Channel])


@click.group(cls=Group)
def template() -> None:
    """Write, list and preview templates. NAME is a template's name."""


@template.command("list")
@click.option("--channel", type=CHANNELS, help="Only those of this channel.")
@client_option
@as_json
def list_(channel: str | None, client_id: int | None, as_json: bool) -> None:
    """List templates, newest first.

    \b
    echelonx template list --channel email
    """
    kind = Channel(channel) if channel else None
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        found = templates_page(session, client.id, channel=kind, limit=MOST)
    rows = [_told(one) for one in found]
    shown = table(("id", "name", "channel"), [list(row.values()) for row in rows])
    answer({"templates": rows}, shown, as_json=as_json)


@template.command()
@click.argument("name")
@click.option("--text", "only_text", is_flag=True, help="Print the wording alone, for a file.")
@client_option
@as_json
def show(name: str, only_text: bool, client_id: int | None, as_json: bool) -> None:
    """Show a template's newest wording.

    \b
    echelonx template show hello
    echelonx template show hello --text > hello.email
    """
    with opened() as services, read(services.sessions) as session:
        found = _named(session, chosen(session, client_id).id, name)
        newest = latest_version(session, found.client_id, found.id)
    said = write_wording(_wording(newest)).rstrip()
    values = _told(found) | {"version": newest.number, "fields": newest.fields}
    shown = said if only_text else f"{facts(values)}\n\n{said}"
    answer(values | {"text": said}, shown, as_json=as_json)


@template.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="The template's name; the file's without its ending.")
@click.option("--channel", type=CHANNELS, help="The channel; the file's ending.")
@client_option
@as_json
def add(
    file: Path, name: str | None, channel: str | None, client_id: int | None, as_json: bool
) -> None:
    """Make a template of a file, or give the one of its name a new version.

    An email or a push begins with the line `Subject: …` and an empty line. The same again changes
    nothing; what was sent keeps its wording.

    \b
    echelonx template add hello.email
    echelonx template add draft.html --name hello --channel email
    """
    kind = Channel(channel) if channel else channel_of(file.name)
    wording = read_wording(kind, _read(file))
    with opened() as services, write(services.sessions) as session:
        client = chosen(session, client_id)
        told: dict[str, Any] = {"client_id": client.id, "subject": wording.subject}
        told |= {"html": wording.html, "text": wording.text}
        found = template_named(session, client.id, name or file.stem)
        if found is None:
            made = create_template(
                session, services.clock, name=name or file.stem, channel=kind, **told
            )
            number = 1
            _note(session, services.clock, "template.create", made)
        else:
            made = _of_kind(found, kind)
            newest = latest_version(session, client.id, made.id)
            number = newest.number
            if not _says(newest, wording):
                number = new_version(session, services.clock, template_id=made.id, **told).number
                _note(session, services.clock, "template.new_version", made)
        values = _told(made) | {"version": number}
    answer(values, facts(values), as_json=as_json)


@template.command()
@click.argument("name")
@click.option("--member", "who", help="As this member gets it: a member_id, email or phone.")
@click.option("--sample", default="{}", help='JSON of values to try: {"first_name": "Ana"}.')
@client_option
@as_json
def preview(name: str, who: str | None, sample: str, client_id: int | None, as_json: bool) -> None:
    """Show a template filled with a member's values, or with values to try. Sends nothing.

    \b
    echelonx template preview hello --member ana@example.com
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        found = _named(session, client.id, name)
        faces = preview_of(
            session,
            client_id=client.id,
            template_id=found.id,
            member_id=members_called(session, client, who)[0].id if who else None,
            sample=_sample(sample),
        )
    shown = "\n\n".join(f"{face}:\n{text.strip()}" for face, text in faces.items())
    answer({"name": found.name, "faces": faces}, shown, as_json=as_json)


# ---- behind them


def _note(session: Session, clock: Clock, action: str, made: Template) -> None:
    target = f"template:{made.id}"
    record(session, clock, client_id=made.client_id, actor="cli", action=action, target=target)


def _named(session: Session, client_id: int, name: str) -> Template:
    found = template_named(session, client_id, name)
    if found is None:
        known = [one.name for one in templates_page(session, client_id, limit=MOST)]
        remedy = nearest(name, known) if known else "echelonx template add FILE"
        raise TemplateNotFoundError(f"there is no template “{name}”", field="name", remedy=remedy)
    return found


def _of_kind(found: Template, channel: Channel) -> Template:
    if found.channel is not channel:
        raise ConflictError(
            f"the template “{found.name}” is for {found.channel}, not {channel}",
            field="name",
            remedy="give another name with --name",
        )
    return found


def _says(version: TemplateVersion, wording: Wording) -> bool:
    """Say whether a version says this already; an email's text is made of its html."""
    told = version.subject, version.html
    if wording.html is not None:
        return told == (wording.subject, wording.html)
    return (*told, version.text) == (wording.subject, None, wording.text)


def _wording(version: TemplateVersion) -> Wording:
    return Wording(version.subject, version.html, version.text)


def _told(one: Template) -> dict[str, Any]:
    return {"id": one.id, "name": one.name, "channel": one.channel.value}


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise InvalidError(
            f"{file} is not UTF-8 text", field="file", remedy="save it as UTF-8"
        ) from None


def _sample(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidError(
            "--sample is no JSON object", field="sample", remedy='{"first_name": "Ana"}'
        )
    return found
