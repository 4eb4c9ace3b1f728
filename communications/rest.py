"""Rest: a time in which an account sends nothing, as its provider asked for, or does not answer.

It is written on the account, so that every worker keeps it (breaker.py says when).
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import case, literal, select, update
from sqlalchemy.orm import Session

from communications import standstill
from communications.account import ProviderAccount, subject_of
from core.clock import Clock
from core.db import UtcDateTime


def rest_account(
    session: Session, clock: Clock, *, account_id: int, seconds: float, reason: str, strike: bool
) -> None:
    """Let an account rest for so many seconds from now; a longer rest it has already stays.

    `strike` says that the provider seems to be down: every worker then starts again with one.
    """
    now = clock.now()
    until = now + timedelta(seconds=seconds)
    client_id = session.scalar(
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
        .returning(ProviderAccount.client_id)
        .execution_options(synchronize_session=False)
    )
    if client_id is not None:
        subject = subject_of(account_id)
        told: dict[str, Any] = {"client_id": client_id, "reason": reason, "until": until}
        standstill.rest_began(session, clock, subject=subject, **told)


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
