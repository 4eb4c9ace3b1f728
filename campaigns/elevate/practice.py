"""Practice: what happens with simulated providers is kept apart from what is real.

A client practises until its first message through an account that is no simulator; what happened
before that moment is practice.
"""

from collections.abc import Mapping
from datetime import datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from communications.account import ProviderAccount, account_config
from communications.communication import Communication, Direction
from core.secret import Vault

RESERVED = (".example", ".test", ".invalid")
"""Domains that nobody can own (RFC 2606): mail from there is no real mail."""


def live_since(session: Session, vault: Vault, *, client_id: int) -> datetime | None:
    """Return when the first real message was sent; None while the client practises."""
    accounts = session.scalars(
        select(ProviderAccount).where(ProviderAccount.client_id == client_id)
    )
    real = [one.id for one in accounts if not pretends(account_config(vault, one))]
    return session.scalar(
        select(func.min(Communication.sent_at)).where(
            Communication.client_id == client_id,
            Communication.direction == Direction.OUTBOUND,
            Communication.provider_account_id.in_(real),
        )
    )


def pretends(config: Mapping[str, Any]) -> bool:
    """Say whether an account's settings lead to a simulator: to this machine, or from nobody."""
    return any(
        (name.endswith("url") and _is_here(value)) or (name == "from_email" and _is_nobody(value))
        for name, value in config.items()
        if isinstance(value, str)
    )


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_nobody(email: str) -> bool:
    return email.casefold().endswith(RESERVED)
