"""Two-factor: a second proof at sign-in, by an authenticator app or a recovery code.

The secret is sealed in the vault; recovery codes are kept as hashes. Each code is good once.
"""

import base64
import secrets
from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint, delete, or_, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts import totp
from accounts.one_time import digest
from accounts.user import User
from core.clock import Clock
from core.db import Base, Id
from core.errors import ConflictError, ForbiddenError, UnauthenticatedError
from core.secret import Vault

RECOVERY_CODES = 10
NEXT_CODE = "each is good once: wait for the app's next one, or send a recovery code"
RECOVERY_BYTES = 10
PURPOSE = "recovery"


class RecoveryCode(Base):
    """One way in without the app."""

    __tablename__ = "recovery_codes"
    __table_args__ = (UniqueConstraint("user_id", "code_hash"),)

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    code_hash: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime | None]


class TwoFactorRequiredError(UnauthenticatedError):
    """The password is right, and a code of the second factor is needed."""

    code = "two_factor_required"


def prepare(session: Session, vault: Vault, user: User) -> bytes:
    """Give a user a secret that is in force once it is confirmed. Raises ConflictError."""
    if user.two_factor_enabled:
        raise ConflictError("two-factor is on already", remedy="turn it off first")
    secret = totp.new_secret()
    sealed = vault.encrypt(secret, context=place(user))
    user.two_factor_secret = base64.b64encode(sealed).decode()
    user.two_factor_step = None
    session.flush()
    return secret


def confirm(session: Session, clock: Clock, vault: Vault, user: User, code: str) -> list[str]:
    """Turn two-factor on with a first code; return the recovery codes, shown once.

    Raises ConflictError when there is nothing to confirm, ForbiddenError for a wrong code.
    """
    if user.two_factor_enabled or user.two_factor_secret is None:
        raise ConflictError("there is nothing to confirm", remedy="begin with POST /me/two-factor")
    if not _spend_app_code(session, clock, vault, user, code):
        raise ForbiddenError("this code is not right", field="code", remedy=NEXT_CODE)
    user.two_factor_enabled = True
    return new_recovery_codes(session, user)


def turn_off(session: Session, user: User) -> None:
    """Do without a second factor from now on."""
    user.two_factor_enabled, user.two_factor_secret, user.two_factor_step = False, None, None
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    session.flush()


def new_recovery_codes(session: Session, user: User) -> list[str]:
    """Replace a user's recovery codes; return them, for they cannot be shown again."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = [_new_code() for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCode(user_id=user.id, code_hash=_hash(user.id, code)) for code in codes)
    session.flush()
    return codes


def spend(session: Session, clock: Clock, vault: Vault, user: User, code: str) -> bool:
    """Use a code of the app or a recovery code; False when it is wrong or was used."""
    plain = "".join(code.split()).replace("-", "")
    if len(plain) == totp.DIGITS:
        return _spend_app_code(session, clock, vault, user, plain)
    used = session.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user.id,
            RecoveryCode.code_hash == _hash(user.id, plain),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=clock.now())
        .returning(RecoveryCode.id)
    )
    return used.first() is not None


def _spend_app_code(session: Session, clock: Clock, vault: Vault, user: User, code: str) -> bool:
    if user.two_factor_secret is None:
        return False
    sealed = base64.b64decode(user.two_factor_secret)
    secret = vault.decrypt(sealed, context=place(user))
    step = totp.step_of(secret, code, clock.now())
    if step is None:
        return False
    # The step moves ahead in one statement: of two that come with the same code, one wins.
    moved = session.execute(
        update(User)
        .where(User.id == user.id, or_(User.two_factor_step.is_(None), User.two_factor_step < step))
        .values(two_factor_step=step)
        .returning(User.id)
        .execution_options(synchronize_session=False)
    )
    return moved.first() is not None


def _new_code() -> str:
    text = base64.b32encode(secrets.token_bytes(RECOVERY_BYTES)).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def _hash(user_id: int, code: str) -> str:
    return digest(PURPOSE, str(user_id), code.replace("-", "").lower())


def place(user: User) -> str:
    """Return where a user's sealed secret belongs."""
    return f"user:{user.id}:two-factor"
