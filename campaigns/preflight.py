"""Pre-flight: what stands in the way of a launch, and what will happen otherwise.

A blocker makes `launch` refuse; a warning only says something. Each finding has its remedy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from accounts.client import Client, tracks
from campaigns.audience import frozen, matching, size
from campaigns.campaign import (
    PRIORITY_NUMBER,
    Campaign,
    CampaignCategory,
    ScheduleType,
    refuse_journeys,
)
from campaigns.decision import decisions
from campaigns.errors import Finding
from campaigns.plan import Lane, Plan, Share
from campaigns.queries import campaign as find_campaign
from campaigns.spending import spend
from campaigns.template import TemplateVersion, has_unsubscribe, latest_version
from campaigns.trial import ENOUGH
from campaigns.variant import Variant, variants_of
from channels.channel import Channel
from channels.names import FOUNDATION, JOURNEY_ROOTS
from communications.account import AccountStatus, ProviderAccount, active_account
from communications.communication import MessageType
from core.clock import Clock
from core.condition.ast import Condition
from core.condition.check import ConditionError
from core.condition.json import from_json, to_json
from core.errors import NotFoundError

PAST = timedelta(minutes=1)
"""A schedule further back than that is refused; people take a moment to press the button."""

MESSAGE_TYPES = {
    CampaignCategory.MARKETING: MessageType.MARKETING,
    CampaignCategory.RETENTION: MessageType.MARKETING,
    CampaignCategory.TRANSACTIONAL: MessageType.TRANSACTIONAL,
    CampaignCategory.NOTIFICATION: MessageType.NOTIFICATION,
}
"""Retention is marketing to people who are about to leave: it needs their consent all the same."""


@dataclass(slots=True)
class Preflight:
    """What was found."""

    blockers: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    audience: int = 0
    """Members the campaign is for."""
    reach: dict[Channel, int] = field(default_factory=dict)
    """How many of them would be written to, by channel."""
    skipped: dict[Channel, dict[str, int]] = field(default_factory=dict)
    """How many would not, by channel and reason."""
    rule: dict[str, Any] = field(default_factory=dict)
    """The condition that launch would freeze, as JSON."""
    plan: Plan | None = None
    """What launch would freeze besides; None while something blocks it."""


def check(session: Session, clock: Clock, *, client_id: int, campaign_id: int) -> Preflight:
    """Look at a campaign without changing it. Raises CampaignNotFoundError, CampaignStateError.

    Decides for the whole audience once per channel: about 6 µs a member, 6 s at a million.
    """
    campaign = find_campaign(session, client_id, campaign_id)
    refuse_journeys(campaign)
    found = examine(session, clock, campaign)
    if found.rule:
        _count_reach(session, clock.now(), campaign, from_json(found.rule), found)
    return found


def examine(session: Session, clock: Clock, campaign: Campaign, *, due: bool = False) -> Preflight:
    """Do what launch needs: blockers, audience and plan, without counting the reach.

    With `due`, the campaign's time has come, and being a little late no longer blocks it.
    """
    found = Preflight()
    if not due:
        _examine_schedule(clock.now(), campaign, found)
    _examine_audience(session, clock.now(), campaign, found)
    lanes = _examine_variants(session, campaign, found)
    _examine_spending(session, clock, campaign, found)
    # What is wrong with several variants alike is said once.
    found.blockers, found.warnings = [
        list(dict.fromkeys(some)) for some in (found.blockers, found.warnings)
    ]
    if not found.blockers:
        found.plan = Plan(
            message_type=MESSAGE_TYPES[campaign.category],
            priority=PRIORITY_NUMBER[campaign.priority],
            lanes=tuple(lanes),
            tracked=campaign.tracking and tracks(session, campaign.client_id),
        )
    return found


def _examine_schedule(now: datetime, campaign: Campaign, found: Preflight) -> None:
    at = campaign.scheduled_at
    if campaign.schedule_type is ScheduleType.SCHEDULED and at is not None and at < now - PAST:
        found.blockers.append(
            Finding(
                "past_schedule",
                f"its time, {at:%Y-%m-%d %H:%M} UTC, has passed",
                "choose a later time, or set schedule_type to immediate",
                field="scheduled_at",
            )
        )


def _examine_audience(
    session: Session, now: datetime, campaign: Campaign, found: Preflight
) -> None:
    client_id = campaign.client_id
    try:
        condition = frozen(session, client_id, campaign.target_audience)
        found.audience = size(session, condition, client_id=client_id, now=now)
    except (NotFoundError, ConditionError) as error:
        remedy = error.remedy or "choose another segment"
        found.blockers.append(Finding("no_audience", str(error), remedy, field="target_audience"))
        return
    found.rule = to_json(condition)
    if found.audience == 0:
        found.blockers.append(
            Finding(
                "empty_audience",
                "nobody matches its audience",
                "widen the segment or rule, or import members first",
                field="target_audience",
            )
        )


def _examine_spending(session: Session, clock: Clock, campaign: Campaign, found: Preflight) -> None:
    """Block what a client has no money left for this month; warn of what may not be enough."""
    client = session.get_one(Client, campaign.client_id)
    if client.monthly_spend_limit is None:
        return
    month = spend(session, clock, client)
    remedy = "raise the client's monthly_spend_limit, or wait for the next month"
    told = f"{month.highest.normalize():f} of {month.limit:f} are spent this month"
    if month.reached:
        found.blockers.append(
            Finding("spend_limit_reached", f"the client may not spend more: {told}", remedy)
        )
        return
    channels = len({variant.channel for variant in variants_of(session, campaign.id)})
    coming = (campaign.cost_per_message or 0) * found.audience * channels
    if month.highest + coming > client.monthly_spend_limit or month.near:
        found.warnings.append(
            Finding("spend_limit_near", f"it may cost {coming:f}, and {told}", remedy)
        )


def _examine_variants(session: Session, campaign: Campaign, found: Preflight) -> list[Lane]:
    variants = variants_of(session, campaign.id)
    if not variants:
        found.blockers.append(
            Finding(
                "no_template",
                "it has no message",
                "choose a template for each channel it should use",
                field="variants",
            )
        )
    lanes = []
    for channel, some in groupby(variants, key=lambda variant: variant.channel):
        tried = list(some)
        _examine_test(tried, found)
        versions = [_examine_variant(session, campaign, variant, found) for variant in tried]
        account = _examine_account(session, tried[0], found)
        if account is not None and all(versions):
            lanes.append(_lane(channel, account, tried, [one for one in versions if one]))
    return lanes


def _examine_test(tried: Sequence[Variant], found: Preflight) -> None:
    """Warn of a test that cannot say anything."""
    people = [found.audience * one.weight // sum(each.weight for each in tried) for one in tried]
    if len(tried) > 1 and min(people) < ENOUGH:
        found.warnings.append(
            Finding(
                "small_test",
                f"one of its {tried[0].channel} variants would go to {min(people):,} people; with "
                f"less than {ENOUGH} nothing can be said",
                "widen the audience, give equal weights, or send one variant only",
                "variants",
                tried[0].channel,
            )
        )


def _lane(
    channel: Channel,
    account: ProviderAccount,
    tried: Sequence[Variant],
    versions: Sequence[TemplateVersion],
) -> Lane:
    both = zip(tried, versions, strict=True)
    shares = tuple(Share(one.name, one.weight, version.id) for one, version in both)
    fields = tuple(dict.fromkeys(name for version in versions for name in version.fields))
    return Lane(channel, versions[0].id, account.id, fields, shares if len(shares) > 1 else ())


def _examine_variant(
    session: Session, campaign: Campaign, variant: Variant, found: Preflight
) -> TemplateVersion | None:
    """Return what a variant says, or None when there is nothing."""
    try:
        version = latest_version(session, campaign.client_id, variant.template_id)
    except NotFoundError as error:
        remedy = f"choose another template for {variant.channel}"
        found.blockers.append(
            Finding("no_template", str(error), remedy, "variants", variant.channel)
        )
        return None
    _examine_fields(session, variant, version, found)
    if MESSAGE_TYPES[campaign.category] is MessageType.MARKETING:
        _examine_marketing(session, variant, version, found)
    return version


def _examine_account(
    session: Session, variant: Variant, found: Preflight
) -> ProviderAccount | None:
    """Return the account that carries a channel's variants, which all name the same."""
    account = _account(session, variant)
    if account is None:
        found.blockers.append(
            Finding(
                "no_provider",
                f"no active provider account carries {variant.channel}",
                f"add a provider account for {variant.channel}, or resume the paused one",
                "variants",
                variant.channel,
            )
        )
    return account


def _account(session: Session, variant: Variant) -> ProviderAccount | None:
    if variant.provider_account_id is None:
        return active_account(session, variant.client_id, variant.channel)
    return session.scalar(
        select(ProviderAccount).where(
            ProviderAccount.client_id == variant.client_id,
            ProviderAccount.id == variant.provider_account_id,
            ProviderAccount.status == AccountStatus.ACTIVE,
        )
    )


def _examine_fields(
    session: Session, variant: Variant, version: TemplateVersion, found: Preflight
) -> None:
    """Refuse what only a journey knows; tell of the client's own facts that are not there."""
    facts = session.get_one(Client, variant.client_id).settings.get(FOUNDATION, {})
    for field_name in version.fields:
        root, _, fact = field_name.partition(".")
        if root in JOURNEY_ROOTS:
            found.blockers.append(
                Finding(
                    "journey_only",
                    f"its {variant.channel} template shows {field_name}, which only a journey "
                    "knows",
                    "send this template from a journey, or take the variable out",
                    "variants",
                    variant.channel,
                )
            )
        elif root == FOUNDATION and fact not in facts:
            found.warnings.append(
                Finding(
                    "no_foundation",
                    f"its {variant.channel} template shows {field_name}, which is not set",
                    "set it in the foundation, or give the variable a default",
                    "variants",
                    variant.channel,
                )
            )


def _examine_marketing(
    session: Session, variant: Variant, version: TemplateVersion, found: Preflight
) -> None:
    """Marketing mail must offer a way out, and say who sends it from where (CAN-SPAM)."""
    if variant.channel is not Channel.EMAIL:
        return
    if not has_unsubscribe(version, variant.channel):
        found.blockers.append(
            Finding(
                "no_unsubscribe",
                "its email has no unsubscribe link",
                "put {{ unsubscribe_url }} into the template",
                "variants",
                variant.channel,
            )
        )
    client = session.get_one(Client, variant.client_id)
    if not (client.address or "").strip():
        found.warnings.append(
            Finding(
                "no_client_address",
                "the client has no postal address, which marketing email must carry",
                "enter it with the client, and show it with {{ client.address }}",
                channel=variant.channel,
            )
        )


def _count_reach(
    session: Session, now: datetime, campaign: Campaign, condition: Condition, found: Preflight
) -> None:
    """Count the decisions that fan-out would make."""
    members = matching(session, condition, client_id=campaign.client_id, now=now)
    for channel in sorted({variant.channel for variant in variants_of(session, campaign.id)}):
        rows = decisions(members, channel=channel, message_type=MESSAGE_TYPES[campaign.category])
        query = select(rows.c.reason, func.count()).group_by(rows.c.reason)
        counted = {row[0]: row[1] for row in session.execute(query)}
        found.reach[channel] = counted.pop(None, 0)
        found.skipped[channel] = counted
        if found.audience and not found.reach[channel]:
            found.warnings.append(
                Finding(
                    "nobody_reachable",
                    f"nobody in its audience can be reached by {channel}",
                    "look at the reasons: missing addresses, consent or suppressions",
                    "target_audience",
                    channel,
                )
            )
