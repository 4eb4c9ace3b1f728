"""Variant: what one campaign says on one channel, and through which provider account.

Several on one channel are a test: each member gets one of them, drawn by lot (fan_out.py).
"""

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
from core.errors import within

MOST = 4
"""Wordings of one channel: more would share too few people."""
LETTERS = "ABCD"
EQUAL = 1
"""The share of a variant that is given none."""


class Variant(Base):
    """What one campaign says on one channel, and through which provider account."""

    __tablename__ = "variants"
    __table_args__ = (UniqueConstraint("campaign_id", "channel", "name"),)

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id"))
    channel: Mapped[Channel]
    name: Mapped[str] = mapped_column(String(16), default="A")
    weight: Mapped[int] = mapped_column(default=EQUAL)
    """Its share of the channel's people, as a part of the sum of their weights."""
    template_id: Mapped[int] = mapped_column(ForeignKey("templates.id"))
    provider_account_id: Mapped[int | None]
    """None takes the client's active account for the channel."""


class VariantValues(TypedDict):
    """One variant as it is given."""

    channel: Channel | str
    template_id: int
    provider_account_id: NotRequired[int | None]
    name: NotRequired[str]
    """A, B, C, D by its place on the channel, if none is given."""
    weight: NotRequired[int]


def variants_of(session: Session, campaign_id: int) -> list[Variant]:
    """Return a campaign's variants, by channel."""
    query = select(Variant).where(Variant.campaign_id == campaign_id)
    return list(session.scalars(query.order_by(Variant.channel, Variant.id)))


def replace_variants(
    session: Session, client_id: int, campaign_id: int, given: Sequence[VariantValues]
) -> None:
    """Give a campaign exactly these variants, at most four on each channel.

    Raises CampaignInvalidError where a template or account does not fit its channel or those of one
    channel are no fair test, and NotFoundError for what is not the client's.
    """
    session.execute(delete(Variant).where(Variant.campaign_id == campaign_id))
    kept: dict[Channel, list[Variant]] = {}
    for position, values in enumerate(given):
        variant = _variant(session, client_id, f"variants/{position}", values)
        others = kept.setdefault(variant.channel, [])
        _check_beside(variant, others, f"variants/{position}")
        variant.name = values.get("name") or LETTERS[len(others)]
        if any(variant.name == other.name for other in others):
            raise CampaignInvalidError(
                f"two messages for {variant.channel} are called {variant.name}",
                field=f"variants/{position}/name",
                remedy="give each another name",
            )
        others.append(variant)
        variant.campaign_id = campaign_id
        session.add(variant)
    session.flush()


def _check_beside(variant: Variant, others: Sequence[Variant], where: str) -> None:
    """Refuse what could not be told apart, or not be put down to the wording."""
    if len(others) == MOST:
        raise CampaignInvalidError(
            f"there are more than {MOST} messages for {variant.channel}",
            field=f"{where}/channel",
            remedy=f"give at most {MOST} variants per channel",
        )
    if any(variant.template_id == other.template_id for other in others):
        raise CampaignInvalidError(
            f"two messages for {variant.channel} have the same template",
            field=f"{where}/template_id",
            remedy="choose another template, or leave this variant out",
        )
    if any(variant.provider_account_id != other.provider_account_id for other in others):
        raise CampaignInvalidError(
            f"the messages for {variant.channel} go through different provider accounts, so that "
            "nobody could tell what made the difference",
            field=f"{where}/provider_account_id",
            remedy="choose the same account for all variants of a channel",
        )


def _variant(session: Session, client_id: int, where: str, values: VariantValues) -> Variant:
    """Return a variant whose template and provider account fit its channel."""
    channel = one_of(Channel, values["channel"], f"{where}/channel")
    with within(where):
        found = template(session, client_id, values["template_id"])
    if found.channel is not channel:
        raise CampaignInvalidError(
            f"the template “{found.name}” is for {found.channel}, not for {channel}",
            field=f"{where}/template_id",
            remedy=f"choose a template for {channel}",
        )
    account_id = values.get("provider_account_id")
    if account_id is not None:
        with within(f"{where}/provider_account_id"):
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
        weight=values.get("weight", EQUAL),
        template_id=found.id,
        provider_account_id=account_id,
    )
