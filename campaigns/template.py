"""Template and TemplateVersion: what is said; a version never changes.

Invariants
    1. What is stored compiles: an unknown variable is refused when saved, with its place.
    2. A wording is changed by a new version; whoever was promised the old one gets the old one.
    3. Every link of a version is stored with it, so a click leads only where the message said.
"""

from datetime import datetime

from sqlalchemy import (
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.client import Client
from campaigns.errors import NameTakenError, TemplateNotFoundError
from campaigns.field import name_of, one_of
from channels.channel import Channel
from channels.links import to_text
from channels.template import CompiledTemplate, TemplateError, compile_template
from channels.wording import refuse
from communications.content import VersionContent
from communications.link import Link
from core.clock import Clock
from core.db import Base, Id


class Template(Base):
    """A named piece of content for one channel."""

    __tablename__ = "templates"
    __table_args__ = (UniqueConstraint("client_id", "name"), Index(None, "client_id", "id"))

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    name: Mapped[str] = mapped_column(String(200))
    channel: Mapped[Channel]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class TemplateVersion(Base):
    """One immutable wording of a template, in Liquid."""

    __tablename__ = "template_versions"
    __table_args__ = (UniqueConstraint("template_id", "number"), Index(None, "client_id", "id"))

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    template_id: Mapped[int] = mapped_column(ForeignKey("templates.id"))
    number: Mapped[int]
    """1, 2, … within the template."""
    subject: Mapped[str | None] = mapped_column(Text)
    """Email subject, or push title."""
    html: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    """The SMS or push text; for email the plain part, made from the HTML when none was given."""
    fields: Mapped[list[str]] = mapped_column(default=list)
    """Member fields the wording uses (`first_name`, `attributes.city`): what fan-out copies."""
    created_at: Mapped[datetime]


def create_template(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    name: str,
    channel: Channel | str,
    subject: str | None = None,
    html: str | None = None,
    text: str | None = None,
) -> Template:
    """Create a template with its version 1.

    An email needs a subject and html or text, a push a subject (its title) and a text, any other
    channel a text. Raises TemplateError with the place of what is wrong, or NameTakenError.
    """
    name = name_of(name)
    kind = one_of(Channel, channel, "channel")
    compiled = _compiled(kind, subject, html, text)
    refuse_taken(session, client_id, name)
    now = clock.now()
    template = Template(
        client_id=client_id, name=name, channel=kind, created_at=now, updated_at=now
    )
    session.add(template)
    session.flush()
    _add_version(session, clock, template, 1, compiled, subject, html, text)
    return template


def new_version(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    template_id: int,
    subject: str | None = None,
    html: str | None = None,
    text: str | None = None,
) -> TemplateVersion:
    """Give a template a new wording; campaigns launched before keep the old one.

    Raises TemplateNotFoundError or TemplateError.
    """
    found = template(session, client_id, template_id)
    compiled = _compiled(found.channel, subject, html, text)
    # The update locks the template, so that two new versions do not get one number.
    session.execute(
        update(Template).where(Template.id == template_id).values(updated_at=clock.now())
    )
    query = select(func.max(TemplateVersion.number))
    last = session.scalar(query.where(TemplateVersion.template_id == template_id)) or 0
    return _add_version(session, clock, found, last + 1, compiled, subject, html, text)


def refuse_taken(session: Session, client_id: int, name: str) -> None:
    """Raise NameTakenError for a name that a template of the client has."""
    taken = select(Template.id).where(Template.client_id == client_id, Template.name == name)
    if session.scalar(taken) is not None:
        raise NameTakenError(
            f"a template named “{name}” exists",
            field="name",
            remedy="choose another name, or save a new version of that template",
        )


def _compiled(
    channel: Channel, subject: str | None, html: str | None, text: str | None
) -> CompiledTemplate:
    compiled = compile_template(channel, subject=subject, html=html, text=text)
    for field in compiled.fields:
        if '"' in field or "\\" in field:
            raise TemplateError(
                f"the attribute {field.partition('.')[2]} has a quotation mark or backslash",
                remedy="rename the attribute",
            )
    refuse(compiled.skeleton, subject=subject, html=html, text=text)
    return compiled


def _add_version(
    session: Session,
    clock: Clock,
    template: Template,
    number: int,
    compiled: CompiledTemplate,
    subject: str | None,
    html: str | None,
    text: str | None,
) -> TemplateVersion:
    """Store a wording that compiles, and its links."""
    html = html if html and html.strip() else None
    version = TemplateVersion(
        client_id=template.client_id,
        template_id=template.id,
        number=number,
        subject=subject,
        html=html,
        text=text if text and text.strip() else to_text(html or ""),
        fields=list(compiled.fields),
        created_at=clock.now(),
    )
    session.add(version)
    session.flush()
    if compiled.links:
        session.execute(
            insert(Link),
            [
                {
                    "client_id": template.client_id,
                    "template_version_id": version.id,
                    "position": position,
                    "url": url,
                }
                for position, url in enumerate(compiled.links)
            ],
        )
    return version


def template(session: Session, client_id: int, template_id: int) -> Template:
    """Return the client's template. Raises TemplateNotFoundError."""
    found = session.scalar(
        select(Template).where(
            Template.client_id == client_id,
            Template.id == template_id,
            Template.deleted_at.is_(None),
        )
    )
    if found is None:
        raise TemplateNotFoundError(f"no template {template_id}", field="template_id")
    return found


def versions(session: Session, client_id: int, template_id: int) -> list[TemplateVersion]:
    """Return a template's versions, newest first. Raises TemplateNotFoundError."""
    template(session, client_id, template_id)
    query = select(TemplateVersion).where(TemplateVersion.template_id == template_id)
    return list(session.scalars(query.order_by(TemplateVersion.number.desc())))


def latest_version(session: Session, client_id: int, template_id: int) -> TemplateVersion:
    """Return the wording a campaign launched now would use. Raises TemplateNotFoundError."""
    template(session, client_id, template_id)
    query = select(TemplateVersion).where(TemplateVersion.template_id == template_id)
    return session.scalars(query.order_by(TemplateVersion.number.desc()).limit(1)).one()


def has_unsubscribe(version: TemplateVersion, channel: Channel) -> bool:
    """Say whether a wording shows `{{ unsubscribe_url }}`."""
    compiled = compile_template(
        channel, subject=version.subject, html=version.html, text=version.text
    )
    return compiled.has_unsubscribe


def load_content(session: Session, template_version_id: int) -> VersionContent:
    """Return what a version says, and what it may say about its client.

    The loader that communications.content.ContentStore is given; a version that does not exist is
    a bug and raises NoResultFound.
    """
    row = session.execute(
        select(TemplateVersion, Template.channel, Client.name, Client.address)
        .join(Template, Template.id == TemplateVersion.template_id)
        .join(Client, Client.id == TemplateVersion.client_id)
        .where(TemplateVersion.id == template_version_id)
    ).one()
    version = row.TemplateVersion
    return VersionContent(
        client_id=version.client_id,
        channel=row.channel,
        subject=version.subject,
        html=version.html,
        text=version.text,
        client={"name": row.name, "address": row.address},
    )
