"""Figures: which figures of large clients workers count beforehand."""

from sqlalchemy import func, literal, select, union_all
from sqlalchemy.orm import Session

from accounts.figures import EVERYBODY, count_figures, how_many
from accounts.user import ClientRole, User
from accounts.user_queries import USERS, user_statistics
from core.clock import Clock
from members.member import Member
from members.statistics import MEMBERS, member_statistics


def next_figures(session: Session, clock: Clock) -> bool:
    """Count one client's figures that are due; say whether there may be more."""
    members = how_many(Member.client_id, Member.deleted_at.is_(None))
    users = select(literal(EVERYBODY), func.count()).select_from(User)
    everybody = union_all(how_many(ClientRole.client_id), users).subquery().select()
    return count_figures(session, clock, MEMBERS, member_statistics, members) or count_figures(
        session, clock, USERS, user_statistics, everybody
    )
