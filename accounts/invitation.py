"""Invitation: how somebody comes to have a role at a client.

Rules
    1. Nobody invites to a role that may more than they may themselves; `super_admin` is given by
       no invitation.
    2. An invitation is good once, for seven days, and for the client that sent it only.
    3. Somebody who has an account keeps its password: a link adds a role and opens nothing.
    4. The first password of an account that waits for one is set only by a link that was mailed:
       who invites by hand would hold what others gave that account.
    5. An open invitation ends with the power of who sent it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, or_, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.client import usable
from accounts.key import ApiKey
from accounts.one_time import digest, new_text
from accounts.permission import RANKS, allowed, may_give
from accounts.recovery import MAY_RESET, dead_link
from accounts.user import ClientRole, Role, User, UserStatus, create_user, grant_role, role_at
from core.address import normalise_email
from core.clock import Clock
from core.db import Base, Id
from core.errors import ConflictError, ForbiddenError, InvalidError, NotFoundError
from core.rows import among

PURPOSE = "invitation"
LIVES = timedelta(days=7)
MAX_BULK = 200
REFERRAL_CODE = re.compile(r"[A-Za-z0-9_-]{1,32}").fullmatch


class Invitation(Base):
    """One address that may have a role at a client."""

    __tablename__ = "invitations"
    __table_args__ = (UniqueConstraint("token_hash"), Index(None, "client_id", "id"))

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    email: Mapped[str] = mapped_column(String(320))
    """Normal form (core.address)."""
    role: Mapped[Role]
    referral_code: Mapped[str | None] = mapped_column(String(32))
    """Who or what brought this person, in the inviter's own words."""
    token_hash: Mapped[str] = mapped_column(String(64))
    mailed: Mapped[bool]
    """Whether the link went to the address only: then using it proves the address."""
    invited_by: Mapped[str] = mapped_column(String(64))
    """The actor: `user:7`, `key:3`, `cli`."""
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[datetime]

    def status_at(self, now: datetime) -> str:
        """Say how it stands: `accepted`, `revoked`, `expired` or `open`."""
        if self.accepted_at is not None:
            return "accepted"
        if self.revoked_at is not None:
            return "revoked"
        return "open" if self.expires_at > now else "expired"


@dataclass(frozen=True, slots=True)
class Inviter:
    """Who invites, for which client, and the most they may give."""

    client_id: int
    actor: str
    role: Role
    actions: frozenset[str]
    """What they may do there: a key may less than its owner's role."""
    mails: bool
    """Whether links are sent, and not shown."""


def invite(
    session: Session,
    clock: Clock,
    inviter: Inviter,
    *,
    email: str,
    role: Role,
    referral_code: str | None = None,
) -> tuple[Invitation, str]:
    """Invite an address; return the invitation and its link's text. An older one ends.

    Raises AddressError, InvalidError, ForbiddenError, or ConflictError for somebody who has a
    role here.
    """
    address = normalise_email(email, field="email")
    above = role is Role.SUPER_ADMIN or RANKS[role] > RANKS[inviter.role]
    if above or not may_give(inviter.actions, allowed(role)):
        raise ForbiddenError(
            "this role is not yours to give", field="role", remedy="give one that you have"
        )
    if referral_code is not None and not REFERRAL_CODE(referral_code):
        raise InvalidError(
            "this is not a referral code",
            field="referral_code",
            remedy="use up to 32 letters, digits, _ and -",
        )
    _refuse_present(session, inviter.client_id, address)
    revoke_to(session, clock, client_id=inviter.client_id, email=address)
    now, text = clock.now(), new_text()
    made = Invitation(
        client_id=inviter.client_id,
        email=address,
        role=role,
        referral_code=referral_code,
        token_hash=digest(PURPOSE, text),
        mailed=inviter.mails,
        invited_by=inviter.actor,
        expires_at=now + LIVES,
        created_at=now,
    )
    session.add(made)
    session.flush()
    return made, text


def _refuse_present(session: Session, client_id: int, address: str) -> None:
    here = (ClientRole.user_id == User.id) & (ClientRole.client_id == client_id)
    present = session.scalar(  # one statement, whether there is such an account or not
        select(User.id)
        .outerjoin(ClientRole, here)
        .where(User.email == address, User.deleted_at.is_(None))
        .where(or_(ClientRole.id.is_not(None), User.role == Role.SUPER_ADMIN))
    )
    if present is not None:
        raise ConflictError(
            "somebody with this address has a role here already",
            field="email",
            remedy="change their role instead",
        )


def open_invitation(session: Session, clock: Clock, *, text: str) -> tuple[Invitation, User | None]:
    """Return what a link invites to, and who has its address already. Raises InvalidError."""
    found = session.scalar(
        select(Invitation).where(
            Invitation.token_hash == digest(PURPOSE, text),
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
            Invitation.expires_at > clock.now(),
            usable(Invitation.client_id),
        )
    )
    if found is None:
        raise dead_link()
    known = session.scalar(select(User).where(User.email == found.email, User.deleted_at.is_(None)))
    if known is not None and known.status not in MAY_RESET:
        raise dead_link()
    if known is not None and known.password_hash is None and not found.mailed:
        raise dead_link()
    return found, known


def accept(
    session: Session,
    clock: Clock,
    *,
    text: str,
    password_hash: str,
    first_name: str | None = None,
    last_name: str | None = None,
) -> tuple[Invitation, User]:
    """Use an invitation: make its account if there is none, and give it the role.

    `password_hash` is of the new password, or what the account holds whose password was proven.
    Raises InvalidError for a link that is not good.
    """
    invitation, known = open_invitation(session, clock, text=text)
    if known is None:
        known = create_user(
            session, clock, email=invitation.email, first_name=first_name, last_name=last_name
        )
    if known.password_hash is None:
        _begin(session, known, password_hash, email_verified=invitation.mailed)
    elif known.password_hash != password_hash:
        raise dead_link()  # its password changed after it was proven
    taken = session.scalar(
        update(Invitation)
        .where(
            Invitation.id == invitation.id,
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
        )
        .values(accepted_at=clock.now(), accepted_by=known.id)
        .returning(Invitation.id)
    )
    if taken is None:
        raise dead_link()
    if role_at(session, user_id=known.id, client_id=invitation.client_id) is None:
        grant_role(
            session,
            clock,
            user_id=known.id,
            client_id=invitation.client_id,
            role=invitation.role,
        )
    session.flush()
    return invitation, known


def _begin(session: Session, known: User, password_hash: str, *, email_verified: bool) -> None:
    """Give an account its first password, unless it was given one meanwhile."""
    begun = session.scalar(
        update(User)
        .where(
            User.id == known.id,
            User.password_hash.is_(None),
            User.status.in_(MAY_RESET),
            User.deleted_at.is_(None),
        )
        .values(
            password_hash=password_hash, status=UserStatus.ACTIVE, email_verified=email_verified
        )
        .returning(User.id)
        .execution_options(synchronize_session=False)
    )
    if begun is None:
        raise dead_link()
    session.refresh(known)


def revoke_invitation(
    session: Session, clock: Clock, *, client_id: int, invitation_id: int
) -> None:
    """Take an invitation back. Raises NotFoundError, or ConflictError for an accepted one."""
    found = session.scalar(
        select(Invitation).where(Invitation.id == invitation_id, Invitation.client_id == client_id)
    )
    if found is None:
        raise NotFoundError(f"there is no invitation {invitation_id}")
    if found.accepted_at is not None:
        raise ConflictError("it was accepted", remedy="change or remove the user instead")
    if found.revoked_at is None:
        found.revoked_at = clock.now()
        session.flush()


def revoke_to(session: Session, clock: Clock, *, client_id: int, email: str) -> None:
    """Take back what an address was invited to at a client, and nobody used."""
    session.execute(
        update(Invitation)
        .where(
            Invitation.client_id == client_id,
            Invitation.email == email,
            Invitation.accepted_at.is_(None),
            Invitation.revoked_at.is_(None),
        )
        .values(revoked_at=clock.now())
    )


def revoke_of(
    session: Session, clock: Clock, *, user_id: int, client_id: int | None = None
) -> None:
    """Take back what a user and their keys invited to, at a client or at all, and nobody used."""
    keys = session.scalars(select(ApiKey.id).where(ApiKey.user_id == user_id))
    actors = [f"user:{user_id}", *(f"key:{key_id}" for key_id in keys)]
    theirs = update(Invitation).where(
        among(session, Invitation.invited_by, actors),
        Invitation.accepted_at.is_(None),
        Invitation.revoked_at.is_(None),
    )
    if client_id is not None:
        theirs = theirs.where(Invitation.client_id == client_id)
    session.execute(theirs.values(revoked_at=clock.now()))


def invitations_page(
    session: Session, client_id: int, *, before: int | None, limit: int
) -> Sequence[Invitation]:
    """Return a client's invitations, newest first."""
    query = select(Invitation).where(Invitation.client_id == client_id)
    if before is not None:
        query = query.where(Invitation.id < before)
    return session.scalars(query.order_by(Invitation.id.desc()).limit(limit)).all()
