"""Rotation: stored secrets are sealed anew under the key that seals now, while everything runs.

Values are read in slices and put back only where they are still what was read, so whoever writes
at the same time wins; what old processes seal meanwhile is found by the next pass.
"""

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import InstrumentedAttribute

import webhooks.collected as collected
import webhooks.inbox as inbox
from accounts import endpoint, idempotency, two_factor
from accounts.user import User
from communications import account
from core.db import Sessions, read, write
from core.secret import SealedError, Vault

SLICE = 200


@dataclass(frozen=True, slots=True)
class Kept:
    """A column of sealed values, and where each of them belongs."""

    column: InstrumentedAttribute[Any]
    place: Callable[[Any], str]
    is_text: bool = False
    """Kept as Base64."""

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.column.class_.__tablename__}.{self.column.key}"


SEALED = (
    Kept(account.ProviderAccount.config, account.place),
    Kept(endpoint.Endpoint.secrets, endpoint.place),
    Kept(User.two_factor_secret, two_factor.place, is_text=True),
    Kept(inbox.InboxItem.request, inbox.place),
    Kept(collected.Collected.body, collected.place),
    Kept(idempotency.IdempotencyKey.request, idempotency.place),
    Kept(idempotency.IdempotencyKey.answer, idempotency.place),
)
"""Everything that is sealed."""


@dataclass(slots=True)
class Rotated:
    """What became of one column's values."""

    name: str
    current: int = 0
    """Sealed under the newest key before."""
    renewed: int = 0
    unreadable: int = 0
    """No key opens them: they were useless before."""


def rotate(sessions: Sessions, vault: Vault, *, dry_run: bool = False) -> list[Rotated]:
    """Seal every stored secret under the vault's newest key; return what became of each column.

    A dry run counts and writes nothing. Reads each value once; about 10,000 a second.
    """
    return [_rotate(sessions, vault, kept, dry_run=dry_run) for kept in SEALED]


def _rotate(sessions: Sessions, vault: Vault, kept: Kept, *, dry_run: bool) -> Rotated:
    told = Rotated(kept.name)
    for rows in _slices(sessions, kept):
        fresh: list[tuple[int, Any, Any]] = []
        for row in rows:
            stored = getattr(row, kept.column.key)
            sealed = base64.b64decode(stored) if kept.is_text else stored
            if vault.is_current(sealed):
                told.current += 1
                continue
            try:
                plain = vault.decrypt(sealed, context=kept.place(row))
            except SealedError:
                told.unreadable += 1
                continue
            renewed = vault.encrypt(plain, context=kept.place(row))
            text = base64.b64encode(renewed).decode() if kept.is_text else renewed
            fresh.append((row.id, stored, text))
        told.renewed += len(fresh) if dry_run else _put_back(sessions, kept, fresh)
    return told


def _slices(sessions: Sessions, kept: Kept) -> Iterator[list[Any]]:
    model, last = kept.column.class_, 0
    filled = kept.column.is_not(None) & (kept.column != ("" if kept.is_text else b""))
    while True:
        with read(sessions) as session:
            query = select(model).where(model.id > last, filled).order_by(model.id).limit(SLICE)
            rows = list(session.scalars(query))
            session.expunge_all()
        if not rows:
            return
        yield rows
        last = rows[-1].id


def _put_back(sessions: Sessions, kept: Kept, fresh: list[tuple[int, Any, Any]]) -> int:
    model, renewed = kept.column.class_, 0
    with write(sessions) as session:
        for id, stored, value in fresh:
            statement = update(model).where(model.id == id, kept.column == stored)
            statement = statement.values({kept.column.key: value}).returning(model.id)
            statement = statement.execution_options(synchronize_session=False)
            renewed += len(session.execute(statement).all())
    return renewed
