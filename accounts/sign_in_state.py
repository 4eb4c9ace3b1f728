"""SignInState: a sign-in that began here, went to an issuer, and may come back once.

Two random texts begin it: `state` travels through the issuer, `binding` stays with whoever began,
in a cookie or a program. The rest follows from both, so the row is a hash, and the state alone, as
somebody else's browser has it, is of no use. What begins for a session, whose person proves again
who they are, comes back to that session and opens no other.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Index, String, UniqueConstraint, delete
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.one_time import digest, new_text
from core.clock import Clock
from core.db import Base, Id
from core.errors import UnauthenticatedError

LIVES = timedelta(minutes=10)
MARK = "proof."
"""What a proof's state begins with: a page sees from it what came back."""


class SignInState(Base):
    """One sign-in on its way."""

    __tablename__ = "sign_in_states"
    __table_args__ = (UniqueConstraint("state_hash"), Index(None, "expires_at"))

    id: Mapped[Id]
    state_hash: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Passage:
    """The two texts of one sign-in, and what follows from them."""

    state: str
    binding: str
    session_id: int | None = None
    """The session it is a proof for; None for a sign-in."""

    @property
    def nonce(self) -> str:
        """What the ID token must carry."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """What proves to the issuer that a code comes back to where it was asked for (PKCE)."""
        return self._derived("verifier")

    @property
    def state_hash(self) -> str:
        """What is kept."""
        return self._derived("state")

    def _derived(self, purpose: str) -> str:
        whose = () if self.session_id is None else (f"for {self.session_id}",)
        return digest(f"oidc {purpose}", self.state, self.binding, *whose)


def begin(session: Session, clock: Clock, *, session_id: int | None = None) -> Passage:
    """Begin a sign-in, or a session's proof; those not back in time are forgotten."""
    now = clock.now()
    session.execute(delete(SignInState).where(SignInState.expires_at <= now))
    mark = "" if session_id is None else MARK
    made = Passage(f"{mark}{new_text()}", new_text(), session_id)
    session.add(SignInState(state_hash=made.state_hash, expires_at=now + LIVES))
    session.flush()
    return made


def come_back(
    session: Session, clock: Clock, *, state: str, binding: str, session_id: int | None = None
) -> Passage:
    """Take what came back: nobody takes it again. Raises UnauthenticatedError."""
    found = Passage(state, binding, session_id)
    taken = session.scalar(
        delete(SignInState)
        .where(SignInState.state_hash == found.state_hash, SignInState.expires_at > clock.now())
        .returning(SignInState.id)
    )
    if taken is None:
        raise UnauthenticatedError(
            "this sign-in did not begin here, is too old or was used",
            field="state",
            remedy="start again where it began: POST /sign-in/oidc, or /me/proof/oidc",
        )
    return found
