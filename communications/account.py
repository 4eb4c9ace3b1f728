"""ProviderAccount: a client's credentials at a company that carries messages."""

import enum
import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    case,
    literal,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.client import usable
from channels.adapter import HttpReply, Ports
from channels.channel import Channel
from channels.registry import sender
from communications.errors import (
    AccountConfigError,
    AccountNameTakenError,
    AccountNotFoundError,
)
from core.clock import Clock
from core.db import Base, Id, UtcDateTime
from core.secret import Vault


class AccountStatus(enum.StrEnum):
    """Whether the account is used."""

    ACTIVE = "active"
    PAUSED = "paused"
    ARCHIVED = "archived"


class ProviderAccount(Base):
    """One configured account; its settings and secrets are encrypted as one document."""

    __tablename__ = "providers"
    __table_args__ = (
        UniqueConstraint("client_id", "name"),
        UniqueConstraint("token"),
        Index(None, "client_id", "channel", "status"),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    name: Mapped[str] = mapped_column(String(100))
    adapter: Mapped[str] = mapped_column(String(24))
    """A name in channels.registry: `sendgrid`, `smtp`, `twilio`, `fcm`."""
    channel: Mapped[Channel]
    config: Mapped[bytes] = mapped_column(LargeBinary)
    """The adapter's Config as JSON under AES-GCM (core.secret), bound to `provider:{token}`."""
    token: Mapped[str] = mapped_column(String(43))
    """Names the account in webhook URLs; random, 256 bits."""
    status: Mapped[AccountStatus] = mapped_column(default=AccountStatus.ACTIVE)
    status_reason: Mapped[str | None] = mapped_column(String(200))
    window: Mapped[int | None]
    """Messages in flight; None takes the adapter's default."""
    rest_until: Mapped[datetime | None]
    """Nothing is sent before: the provider asked for it, or does not answer (breaker.py)."""
    rest_reason: Mapped[str | None] = mapped_column(String(200))
    strikes: Mapped[int] = mapped_column(default=0)
    """Rests for want of answers; every rise makes all workers start again with one message."""
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


SENDS = (ProviderAccount.status == AccountStatus.ACTIVE, usable(ProviderAccount.client_id))
"""An account that may send, whoever asks: it is active, and its client may use the engine."""


def add_account(
    session: Session,
    clock: Clock,
    vault: Vault,
    *,
    client_id: int,
    name: str,
    adapter: str,
    config: Mapping[str, Any],
    window: int | None = None,
) -> ProviderAccount:
    """Add an account whose `config` its adapter accepts.

    Raises UnknownProviderError, the adapter's InvalidError naming the wrong field, or
    AccountNameTakenError.
    """
    kind = sender(adapter)
    kind.from_config(config, Ports(http=NoHttp())).close()
    if window is not None and not 1 <= window <= 1000:
        raise AccountConfigError(
            f"window is {window}", field="window", remedy="give a number from 1 to 1000"
        )
    taken = select(ProviderAccount.id).where(
        ProviderAccount.client_id == client_id, ProviderAccount.name == name
    )
    if session.scalar(taken) is not None:
        raise AccountNameTakenError(
            f"an account named “{name}” exists", field="name", remedy="choose another name"
        )
    token = secrets.token_urlsafe(32)
    account = ProviderAccount(
        client_id=client_id,
        name=name,
        adapter=adapter,
        channel=kind.channel,
        token=token,
        config=seal(vault, token, config),
        window=window,
        created_at=clock.now(),
        updated_at=clock.now(),
    )
    session.add(account)
    session.flush()
    return account


def seal(vault: Vault, token: str, config: Mapping[str, Any]) -> bytes:
    """Encrypt a configuration for the account with this token; it opens for no other."""
    return vault.encrypt(json.dumps(dict(config)).encode(), context=f"provider:{token}")


def account_config(vault: Vault, account: ProviderAccount) -> dict[str, Any]:
    """Return the account's settings in clear, secrets included: never show or log them."""
    opened: dict[str, Any] = json.loads(
        vault.decrypt(account.config, context=f"provider:{account.token}")
    )
    return opened


def account(session: Session, client_id: int, account_id: int) -> ProviderAccount:
    """Return the client's account. Raises AccountNotFoundError."""
    found = session.scalar(
        select(ProviderAccount).where(
            ProviderAccount.client_id == client_id, ProviderAccount.id == account_id
        )
    )
    if found is None:
        raise AccountNotFoundError(f"no provider account {account_id}")
    return found


def accounts(session: Session, client_id: int) -> list[ProviderAccount]:
    """Return the client's accounts that are not archived, oldest first."""
    query = (
        select(ProviderAccount)
        .where(
            ProviderAccount.client_id == client_id,
            ProviderAccount.status != AccountStatus.ARCHIVED,
        )
        .order_by(ProviderAccount.id)
    )
    return list(session.scalars(query))


def active_account(session: Session, client_id: int, channel: Channel) -> ProviderAccount | None:
    """Return the client's oldest active account for the channel."""
    query = (
        select(ProviderAccount)
        .where(
            ProviderAccount.client_id == client_id,
            ProviderAccount.channel == channel,
            ProviderAccount.status == AccountStatus.ACTIVE,
        )
        .order_by(ProviderAccount.id)
        .limit(1)
    )
    return session.scalar(query)


def account_by_token(session: Session, token: str) -> ProviderAccount | None:
    """Return the account a webhook URL names, of whichever client."""
    return session.scalar(select(ProviderAccount).where(ProviderAccount.token == token))


def active_account_ids(session: Session) -> list[int]:
    """Return the accounts that have a lane: those that may send, of every client."""
    query = select(ProviderAccount.id).where(*SENDS)
    return list(session.scalars(query.order_by(ProviderAccount.id)))


def sending_account(session: Session, account_id: int) -> ProviderAccount | None:
    """Return an account if it may send."""
    return session.scalar(select(ProviderAccount).where(ProviderAccount.id == account_id, *SENDS))


def pause_account(
    session: Session, clock: Clock, *, account_id: int, reason: str, seen: datetime | None = None
) -> bool:
    """Stop using an account; what is queued for it waits. False: it was not active.

    With `seen`, the account's `updated_at` when it was used: only if it is still the same. What
    was said about settings that were mended meanwhile must not pause the mended ones.
    """
    same = () if seen is None else (ProviderAccount.updated_at == seen,)
    return _set_status(session, clock, account_id, AccountStatus.ACTIVE, _paused(reason), *same)


def resume_account(session: Session, clock: Clock, *, account_id: int) -> bool:
    """Use a paused account again. False: it was not paused."""
    values = {"status": AccountStatus.ACTIVE, "status_reason": None}
    return _set_status(session, clock, account_id, AccountStatus.PAUSED, values)


def rest_account(
    session: Session, clock: Clock, *, account_id: int, seconds: float, reason: str, strike: bool
) -> None:
    """Let an account rest for so many seconds from now; a longer rest it has already stays.

    `strike` says that the provider seems to be down: every worker then starts again with one.
    """
    now = clock.now()
    until = now + timedelta(seconds=seconds)
    session.execute(
        update(ProviderAccount)
        .where(ProviderAccount.id == account_id)
        .values(
            rest_until=case(
                (ProviderAccount.rest_until > until, ProviderAccount.rest_until),
                else_=literal(until, UtcDateTime()),
            ),
            rest_reason=reason[:200],
            # Several workers notice one outage: within a rest it is counted once.
            strikes=case(
                (ProviderAccount.rest_until > now, ProviderAccount.strikes),
                else_=ProviderAccount.strikes + int(strike),
            ),
        )
        .execution_options(synchronize_session=False)
    )


def rests(session: Session, clock: Clock, *, account_id: int) -> bool:
    """Say whether an account rests now."""
    query = select(ProviderAccount.id).where(
        ProviderAccount.id == account_id, ProviderAccount.rest_until > clock.now()
    )
    return session.scalar(query) is not None


def rested(session: Session, clock: Clock, *, account_id: int) -> None:
    """Note that an account's provider answers again; a rest that still runs stays."""
    session.execute(
        update(ProviderAccount)
        .where(ProviderAccount.id == account_id, ProviderAccount.rest_until <= clock.now())
        .values(rest_until=None, rest_reason=None)
        .execution_options(synchronize_session=False)
    )


def _paused(reason: str) -> dict[str, Any]:
    return {"status": AccountStatus.PAUSED, "status_reason": reason[:200]}


def _set_status(
    session: Session,
    clock: Clock,
    account_id: int,
    allowed: AccountStatus,
    values: dict[str, Any],
    *conditions: ColumnElement[bool],
) -> bool:
    result = session.execute(
        update(ProviderAccount)
        .where(ProviderAccount.id == account_id, ProviderAccount.status == allowed, *conditions)
        .values(updated_at=clock.now(), **values)
        .returning(ProviderAccount.id)
    )
    return result.first() is not None


class NoHttp:
    """An egress that refuses: for reading a configuration without sending anything."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> HttpReply:
        """Refuse."""
        raise AccountConfigError("no request may be sent here")
