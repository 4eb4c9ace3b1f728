"""MemberNote: what a colleague wrote about a member, with name and time."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.clock import Clock
from core.db import Base, BigId, Id
from members.errors import MemberInvalidError, NoteNotFoundError
from members.queries import member

MAX_NOTE = 10_000
"""Characters of one note."""


class MemberNote(Base):
    """One note about one member."""

    __tablename__ = "member_notes"
    __table_args__ = (Index(None, "client_id", "member_id", "id"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))
    author: Mapped[str] = mapped_column(String(100))
    """`key:3`, `user:7` or `cli`."""
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


def write_note(
    session: Session, clock: Clock, *, client_id: int, member_id: int, author: str, text: str
) -> MemberNote:
    """Write a note about a member.

    Raises MemberNotFoundError, MemberInvalidError for a text that is empty or longer than 10,000.
    """
    found = member(session, client_id, member_id)
    text = text.strip()
    if not 1 <= len(text) <= MAX_NOTE or "\x00" in text:
        raise MemberInvalidError(
            "a note has 1 to 10,000 characters",
            field="text",
            remedy="write something, or part it into several",
        )
    note = MemberNote(
        client_id=client_id,
        member_id=found.id,
        author=author[:100],
        text=text,
        created_at=clock.now(),
    )
    session.add(note)
    session.flush()
    return note


def delete_note(
    session: Session, clock: Clock, *, client_id: int, member_id: int, note_id: int
) -> None:
    """Take a note off the member's page; it stays in the database. Raises NoteNotFoundError."""
    note = session.scalar(
        select(MemberNote).where(
            MemberNote.client_id == client_id,
            MemberNote.member_id == member_id,
            MemberNote.id == note_id,
            MemberNote.deleted_at.is_(None),
        )
    )
    if note is None:
        raise NoteNotFoundError(f"no note {note_id}")
    note.deleted_at = clock.now()
    session.flush()


def notes_page(
    session: Session,
    client_id: int,
    member_id: int,
    *,
    before: int | None = None,
    limit: int = 50,
) -> list[MemberNote]:
    """Return up to `limit` notes about a member, newest first, older than id `before`."""
    query = select(MemberNote).where(
        MemberNote.client_id == client_id,
        MemberNote.member_id == member_id,
        MemberNote.deleted_at.is_(None),
    )
    if before is not None:
        query = query.where(MemberNote.id < before)
    return list(session.scalars(query.order_by(MemberNote.id.desc()).limit(limit)))
