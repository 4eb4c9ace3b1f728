"""Template and TemplateVersion: what is said; a version never changes."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from channels.channel import Channel
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
