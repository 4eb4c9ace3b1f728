"""Variant: what one campaign says on one channel, and through which provider account."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from sqlalchemy import ForeignKey, String, UniqueConstraint, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from campaigns.errors import CampaignInvalidError
from campaigns.field import one_of
from campaigns.template import template
from channels.channel import Channel
from communications.account import account
from core.db import Base, Id


class Variant(Base):
    """What one campaign says on one channel, and through which provider account."""

    __tablename__ = "variants"
    __table_args__ = (UniqueConstraint("campaign_id", "channel", "name"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"))
    channel: Mapped[Channel]
    name: Mapped[str] = mapped_column(String(16), default="A")
    weight: Mapped[int] = mapped_column(default=100)
    template_id: Mapped[int] = mapped_column(ForeignKey("templates.id"))
    provider_account_id: Mapped[int | None]
    """None takes the client's active account for the channel."""


class VariantValues(TypedDict):
    """One variant as it is given."""

    channel: Channel | str
    template_id: int
    provider_account_id: NotRequired[int | None]


def variants_of(session: Session, campaign_id: int) -> list[Variant]:
    """Return a campaign's variants, by channel."""
    query = select(Variant).where(Variant.campaign_id == campaign_id)
    return list(session.scalars(query.order_by(Variant.channel, Variant.id)))


def replace_variants(
    session: Session, client_id: int, campaign_id: int, given: Sequence[VariantValues]
) -> None:
    """Give a campaign exactly these variants.

    Raises CampaignInvalidError where a template or account does not fit its channel or a channel
    comes twice, and NotFoundError for a template or account that is not the client's.
    """
    session.execute(delete(Variant).where(Variant.campaign_id == campaign_id))
    seen: set[Channel] = set()
    for position, values in enumerate(given):
        variant = _variant(session, client_id, f"variants/{position}", values)
        if variant.channel in seen:
            raise CampaignInvalidError(
                f"there are two messages for {variant.channel}",
                field=f"variants/{position}/channel",
                remedy="give one variant per channel",
            )
        seen.add(variant.channel)
        variant.campaign_id = campaign_id
        session.add(variant)
    session.flush()


def _variant(session: Session, client_id: int, where: str, values: VariantValues) -> Variant:
    """Return a variant whose template and provider account fit its channel."""
    channel = one_of(Channel, values["channel"], f"{where}/channel")
    found = template(session, client_id, values["template_id"])
    if found.channel is not channel:
        raise CampaignInvalidError(
            f"the template “{found.name}” is for {found.channel}, not for {channel}",
            field=f"{where}/template_id",
            remedy=f"choose a template for {channel}",
        )
    account_id = values.get("provider_account_id")
    if account_id is not None:
        provider = account(session, client_id, account_id)
        if provider.channel is not channel:
            raise CampaignInvalidError(
                f"the provider account “{provider.name}” carries {provider.channel}, not {channel}",
                field=f"{where}/provider_account_id",
                remedy="leave it out to use the client's active account for the channel",
            )
    return Variant(
        client_id=client_id,
        channel=channel,
        template_id=found.id,
        provider_account_id=account_id,
    )
