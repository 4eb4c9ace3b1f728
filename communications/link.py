"""Link: a URL of a template version, stored so that a click can only go where the message said."""

from sqlalchemy import ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core.db import Base, BigId, Id


class Link(Base):
    """One tracked URL. It may hold Liquid; the click renders it with the message's own values."""

    __tablename__ = "links"
    __table_args__ = (UniqueConstraint("template_version_id", "position"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    template_version_id: Mapped[int] = mapped_column(BigId)
    position: Mapped[int]
    """0, 1, … in the order of the template."""
    url: Mapped[str] = mapped_column(Text)
