"""Client: the tenant everything belongs to."""

import enum
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy import ColumnElement, ForeignKey, Index, Numeric, String, Text, exists, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.client_settings import checked_settings
from core.address import is_country, normalise_email, normalise_phone
from core.clock import Clock
from core.condition.check import nearest
from core.db import Base, Id
from core.errors import InvalidError, NotFoundError
from core.lines import line_break
from core.rows import among


class ClientStatus(enum.StrEnum):
    """Whether a client may use the engine."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    SUSPENDED = "suspended"
    TRIAL = "trial"


USABLE = frozenset({ClientStatus.ACTIVE, ClientStatus.TRIAL})
"""Clients in these states may call the API, and are sent for."""


class SubscriptionTier(enum.StrEnum):
    """What a client pays for."""

    BASIC = "basic"
    PREMIUM = "premium"
    ENTERPRISE = "enterprise"
    CUSTOM = "custom"


class Client(Base):
    """A company, or a student's shop."""

    __tablename__ = "clients"
    __table_args__ = (
        Index(None, "status"),
        Index(None, "created_by"),
        Index(None, "subscription_tier"),
        Index(None, "name"),
        Index(None, "contract_end"),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(320))
    phone: Mapped[str | None] = mapped_column(String(32))
    address: Mapped[str | None] = mapped_column(Text)
    """The postal address that commercial mail must carry (CAN-SPAM)."""
    website: Mapped[str | None] = mapped_column(String(500))
    industry: Mapped[str | None] = mapped_column(String(100))
    company_size: Mapped[str | None] = mapped_column(String(8))
    status: Mapped[ClientStatus] = mapped_column(default=ClientStatus.ACTIVE)
    subscription_tier: Mapped[SubscriptionTier] = mapped_column(default=SubscriptionTier.BASIC)
    billing_address: Mapped[str | None] = mapped_column(Text)
    tax_id: Mapped[str | None] = mapped_column(String(64))
    contract_start: Mapped[datetime | None]
    contract_end: Mapped[datetime | None]
    monthly_spend_limit: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))
    total_revenue: Mapped[Decimal | None] = mapped_column(Numeric(14, 4))
    logo_url: Mapped[str | None] = mapped_column(String(500))
    notes: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(default=list)
    timezone: Mapped[str] = mapped_column(String(64), default="UTC")
    """IANA zone for local times when a member has none."""
    country: Mapped[str | None] = mapped_column(String(2))
    """ISO 3166 code: how phone numbers without a country code are read."""
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("users.id", use_alter=True))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


CHANGEABLE = frozenset(
    {
        "name", "email", "phone", "address", "website", "industry", "company_size",
        "billing_address", "tax_id", "logo_url", "notes", "tags", "timezone", "country",
        "settings", "status", "contract_start", "contract_end", "monthly_spend_limit",
    }
)  # fmt: skip
"""What a caller may set; the rest the engine sets itself."""
CONTRACT = frozenset({"status", "contract_start", "contract_end", "monthly_spend_limit"})
"""Of these, what is agreed with a client: super admins set it, not the client."""
SIZES = ("1-10", "11-50", "51-200", "201-500", "500+")
MAX_LIMIT, CENT = Decimal(10) ** 10, Decimal("0.0001")


def create_client(
    session: Session,
    clock: Clock,
    *,
    name: str,
    country: str | None = None,
    timezone: str = "UTC",
    address: str | None = None,
    created_by: int | None = None,
    **fields: Any,
) -> Client:
    """Make a client; `fields` are further names of CHANGEABLE.

    Raises InvalidError naming the field that is wrong.
    """
    values = _checked(
        {"name": name, "country": country, "timezone": timezone, "address": address, **fields},
        country,
    )
    _check_contract(values)
    if "settings" in values:
        values["settings"] = checked_settings(values["settings"], {})
    now = clock.now()
    made = Client(**values, created_by=created_by, created_at=now, updated_at=now)
    session.add(made)
    session.flush()
    return made


def update_client(session: Session, clock: Clock, *, client_id: int, **changes: Any) -> Client:
    """Change fields of CHANGEABLE; of the settings, those that are named.

    Raises NotFoundError, or InvalidError naming the field.
    """
    found = client(session, client_id)
    values = _checked(changes, changes.get("country", found.country))
    _check_contract(
        {"contract_start": found.contract_start, "contract_end": found.contract_end} | values
    )
    if "settings" in values:
        values["settings"] = checked_settings(values["settings"], found.settings)
    for name, value in values.items():
        setattr(found, name, value)
    found.updated_at = clock.now()
    session.flush()
    return found


def delete_client(session: Session, clock: Clock, *, client_id: int) -> None:
    """Take a client out of use, keys and all; its rows stay. Raises NotFoundError.

    Nothing more is sent for it; communications.closing also closes what is queued.
    """
    found = client(session, client_id)
    found.deleted_at = found.updated_at = clock.now()
    found.status = ClientStatus.INACTIVE
    session.flush()


def client(session: Session, client_id: int) -> Client:
    """Return a client that was not deleted. Raises NotFoundError."""
    found = session.get(Client, client_id)
    if found is None or found.deleted_at is not None:
        raise NotFoundError(f"there is no client {client_id}")
    return found


def hold(session: Session, *client_ids: int) -> None:
    """Let whoever else holds one of these clients wait until this transaction ends.

    In id order: two that hold several never wait for each other in a ring. Rows that only name a
    client are not in the way: those are many, and open for long.
    """
    some = select(Client.id).where(among(session, Client.id, client_ids)).order_by(Client.id)
    session.execute(some.with_for_update(key_share=True)).all()


TRACKS = Client.settings["tracking"].as_boolean().is_not(False)
"""What `tracks` says, of a client in a statement."""


def tracks(session: Session, client_id: int) -> bool:
    """Say whether a client wants to know of opens and clicks, which it does unless it says no."""
    return bool(session.scalar(select(TRACKS).where(Client.id == client_id)))


def usable(client_id: Any, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return whether a client may use the engine; `client_id` is a column of the statement.

    With `conditions`, such as TRACKS, whether they are true of it besides.
    """
    in_use = (Client.deleted_at.is_(None), Client.status.in_(USABLE))
    return exists().where(Client.id == client_id, *in_use, *conditions).correlate_except(Client)


def clients(session: Session) -> Sequence[Client]:
    """Return every client that was not deleted, oldest first."""
    return session.scalars(
        select(Client).where(Client.deleted_at.is_(None)).order_by(Client.id)
    ).all()


def _checked(values: Mapping[str, Any], country: str | None) -> dict[str, Any]:
    """Return the values as they are stored."""
    unknown = sorted(values.keys() - CHANGEABLE)
    if unknown:
        raise InvalidError(
            f"a client has no field {unknown[0]} to set",
            field=unknown[0],
            remedy=nearest(unknown[0], CHANGEABLE),
        )
    checked = dict(values)
    for name, check in CHECKS.items():
        if name in checked:
            checked[name] = check(checked[name])
    if checked.get("phone"):
        checked["phone"] = normalise_phone(checked["phone"], country, field="phone")
    return checked


def _name(name: str) -> str:
    if not 0 < len(name.strip()) <= 200:
        raise InvalidError(
            "a client needs a name of 1 to 200 characters",
            field="name",
            remedy="give one that is neither empty nor longer",
        )
    if line_break(name.strip()) is not None:
        raise InvalidError(
            "a client's name is one line", field="name", remedy="leave line breaks out"
        )
    return name.strip()


def _country(country: str | None) -> str | None:
    if country is not None and not is_country(country):
        raise InvalidError(
            "this is not a country", field="country", remedy="give ISO 3166's two letters: US"
        )
    return country and country.upper()


def checked_timezone(timezone: str) -> str:
    """Return the name of an IANA zone. Raises InvalidError with field `timezone`."""
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # the others: no name of a zone at all
        raise InvalidError(
            "this is not a time zone",
            field="timezone",
            remedy="give a name such as Europe/Berlin",
        ) from None
    return timezone


def _email(email: str | None) -> str | None:
    return normalise_email(email, field="email") if email else None


def _size(size: str | None) -> str | None:
    if size is not None and size not in SIZES:
        raise InvalidError(
            "this is not a size", field="company_size", remedy=f"use {', '.join(SIZES)}"
        )
    return size


def _status(status: str) -> ClientStatus:
    if status not in list(ClientStatus):
        names = ", ".join(ClientStatus)
        raise InvalidError("there is no such status", field="status", remedy=f"use {names}")
    return ClientStatus(status)


def _limit(limit: Decimal | None) -> Decimal | None:
    if limit is not None and not (limit.is_finite() and 0 <= limit < MAX_LIMIT):
        raise InvalidError(
            "a spend limit is an amount from 0", field="monthly_spend_limit", remedy="null is none"
        )
    return limit and limit.quantize(CENT)


def _check_contract(values: Mapping[str, Any]) -> None:
    start, end = values.get("contract_start"), values.get("contract_end")
    if start is not None and end is not None and end < start:
        raise InvalidError(
            "a contract cannot end before it starts",
            field="contract_end",
            remedy="give a contract_end after contract_start, or null",
        )


CHECKS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "country": _country,
    "timezone": checked_timezone,
    "email": _email,
    "company_size": _size,
    "status": _status,
    "monthly_spend_limit": _limit,
}
