"""Own: whether all the members that a request names are the client's."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.rows import among
from members.errors import MemberNotFoundError
from members.member import Member


def require_members(
    session: Session, client_id: int, member_ids: Collection[int], *, field: str
) -> None:
    """Raise MemberNotFoundError, naming the first, unless all are the client's own members."""
    query = select(Member.id).where(
        Member.client_id == client_id,
        Member.deleted_at.is_(None),
        among(session, Member.id, list(member_ids)),
    )
    missing = set(member_ids).difference(session.scalars(query))
    if missing:
        raise MemberNotFoundError(f"no member {min(missing)}", field=field)
