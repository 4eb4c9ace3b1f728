"""ProviderAccount: a client's credentials at a company that carries messages."""

import enum
import json
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.client import usable
from channels.adapter import HttpReply, Ports, Sender
from channels.channel import Channel
from channels.registry import sender
from communications import standstill
from communications.errors import (
    AccountConfigError,
    AccountNameTakenError,
    AccountNotFoundError,
)
from core.clock import Clock
from core.db import Base, Id
from core.errors import InvalidError
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


VEIL = "••••"
"""What is shown in place of a secret."""
SECRETS = ("key", "token", "password", "secret")
"""What the name of a secret setting holds."""
WHERE = ("host", "port", "tls", "url")
"""What the name of a setting holds that says where secrets are sent, and how."""
LONG = 12
"""Characters a secret has of which the last four may be shown."""
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
    _check_config(kind, config)
    _check_window(window)
    _refuse_taken(session, client_id, name)
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


def change_account(
    session: Session,
    clock: Clock,
    vault: Vault,
    *,
    client_id: int,
    account_id: int,
    config: Mapping[str, Any] | None = None,
    **changes: Any,
) -> ProviderAccount:
    """Change an account's `name`, its `window`, or single settings; null takes a setting out.

    Workers finish the window in their hand as they began it, and take up the next one with what
    is said here. Whoever moves an account to another server gives its secrets anew. Raises
    AccountNotFoundError, the adapter's InvalidError, AccountConfigError, AccountNameTakenError.
    """
    account(session, client_id, account_id)
    one = select(ProviderAccount).where(ProviderAccount.id == account_id)
    # Settings are one document: of two who change some of them, neither undoes the other.
    query = one.with_for_update(key_share=True).execution_options(populate_existing=True)
    found = session.scalars(query).one()
    if changes.get("name", found.name) != found.name:
        _refuse_taken(session, client_id, changes["name"])
    _check_window(changes.get("window"))
    if config:
        held = account_config(vault, found)
        merged = {**held, **config}
        settings = {name: value for name, value in merged.items() if value is not None}
        _check_config(sender(found.adapter), settings)
        _refuse_luring(held, config)
        found.config = seal(vault, found.token, settings)
    for name, value in changes.items():
        setattr(found, name, value)
    if session.is_modified(found):
        found.updated_at = clock.now()
    session.flush()
    return found


def _check_config(kind: type[Sender], config: Mapping[str, Any]) -> None:
    for name, value in config.items():
        if isinstance(value, str) and value.startswith(VEIL):
            raise AccountConfigError(
                "this is what is shown in place of a secret",
                field=f"config.{name}",
                remedy=f"give the secret itself, or leave {name} out to keep it as it is",
            )
    try:
        kind.from_config(config, Ports(http=NoHttp())).close()
    except InvalidError as error:
        error.field = f"config.{error.field}" if error.field else "config"
        raise


def _refuse_luring(held: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse to send secrets elsewhere that are not given anew: so they would come out."""
    moved = [name for name in config if _is(name, WHERE) and config[name] != held.get(name)]
    kept = [
        name for name, value in held.items() if value and _is_secret(name) and name not in config
    ]
    if moved and kept:
        raise AccountConfigError(
            f"{moved[0]} says where {kept[0]} is sent",
            field=f"config.{kept[0]}",
            remedy=f"give {', '.join(kept)} once more, together with {moved[0]}",
        )


def _is(name: str, words: tuple[str, ...]) -> bool:
    return any(word in name for word in words)


def _is_secret(name: str) -> bool:
    return _is(name, SECRETS) and name != "public_key"


def _check_window(window: int | None) -> None:
    if window is not None and not 1 <= window <= 1000:
        raise AccountConfigError(
            f"window is {window}", field="window", remedy="give a number from 1 to 1000"
        )


def _refuse_taken(session: Session, client_id: int, name: str) -> None:
    taken = select(ProviderAccount.id).where(
        ProviderAccount.client_id == client_id, ProviderAccount.name == name
    )
    if session.scalar(taken) is not None:
        raise AccountNameTakenError(
            f"an account named “{name}” exists", field="name", remedy="choose another name"
        )


def veiled(name: str, value: Any) -> Any:
    """Return a setting as it may be shown: of a secret the last four characters, if it is long."""
    if _is_secret(name):
        return f"{VEIL}{str(value)[-4:]}" if len(str(value)) >= LONG else VEIL
    return value


def seal(vault: Vault, token: str, config: Mapping[str, Any]) -> bytes:
    """Encrypt a configuration for the account with this token; it opens for no other."""
    return vault.encrypt(json.dumps(dict(config)).encode(), context=_context(token))


def account_config(vault: Vault, account: ProviderAccount) -> dict[str, Any]:
    """Return the account's settings in clear, secrets included: never show or log them."""
    opened: dict[str, Any] = json.loads(vault.decrypt(account.config, context=place(account)))
    return opened


def place(account: ProviderAccount) -> str:
    """Return where an account's sealed settings belong."""
    return _context(account.token)


def _context(token: str) -> str:
    return f"provider:{token}"


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


def account_ids(session: Session, client_id: int, adapter: str) -> list[int]:
    """Return every account of an adapter that the client has or had."""
    query = select(ProviderAccount.id).where(
        ProviderAccount.client_id == client_id, ProviderAccount.adapter == adapter
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
    session: Session,
    clock: Clock,
    *,
    account_id: int,
    reason: str,
    seen: datetime | None = None,
    actor: str | None = None,
) -> bool:
    """Stop using an account; what is queued for it waits. False: it was not active.

    With `seen`, the account's `updated_at` when it was used: only if it is still the same. What
    was said about settings that were mended meanwhile must not pause the mended ones.
    """
    same = () if seen is None else (ProviderAccount.updated_at == seen,)
    values = {"status": AccountStatus.PAUSED, "status_reason": reason[:200]}
    client_id = _set_status(session, clock, account_id, AccountStatus.ACTIVE, values, *same)
    if client_id is not None:
        subject = subject_of(account_id)
        told: dict[str, Any] = {"client_id": client_id, "reason": reason, "actor": actor}
        standstill.pause_began(session, clock, subject=subject, **told)
    return client_id is not None


def resume_account(session: Session, clock: Clock, *, account_id: int) -> bool:
    """Use a paused account again. False: it was not paused."""
    values = {"status": AccountStatus.ACTIVE, "status_reason": None}
    client_id = _set_status(session, clock, account_id, AccountStatus.PAUSED, values)
    if client_id is not None:
        subject = subject_of(account_id)
        standstill.pause_ended(session, clock, client_id=client_id, subject=subject)
    return client_id is not None


def subject_of(account_id: int) -> str:
    """Return what an account is called where it stands still."""
    return f"provider:{account_id}"


def _set_status(
    session: Session,
    clock: Clock,
    account_id: int,
    allowed: AccountStatus,
    values: dict[str, Any],
    *conditions: ColumnElement[bool],
) -> int | None:
    """Return the account's client where it is changed."""
    result = session.execute(
        update(ProviderAccount)
        .where(ProviderAccount.id == account_id, ProviderAccount.status == allowed, *conditions)
        .values(updated_at=clock.now(), **values)
        .returning(ProviderAccount.client_id)
    )
    return result.scalar()


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
