"""Shelf: campaigns that are copied, put away, brought back and deleted, one or many at a time.

Nothing here touches a message: the log and the numbers of what was sent stay.
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from campaigns import control
from campaigns.campaign import (
    Campaign,
    CampaignStatus,
    create_campaign,
    in_hand,
    refuse_journeys,
    update_campaign,
)
from campaigns.errors import CampaignNotFoundError, CampaignStateError
from campaigns.field import MAX_NAME
from campaigns.queries import campaign as find_campaign
from campaigns.run import Run
from campaigns.variant import VariantValues, variants_of
from communications.communication import Communication
from communications.ledger import IN_PROGRESS
from core.clock import Clock
from core.errors import EngineError

S = CampaignStatus
COPIED = (
    "type", "category", "priority", "target_audience", "description", "tags", "budget",
    "cost_per_message", "expected_revenue", "conversion_goal", "tracking",
)  # fmt: skip
"""What a copy has of its campaign: never its schedule, its launch or its numbers."""
MAX_COPIES = 1_000


class Deed(enum.StrEnum):
    """What can be done to many campaigns at once."""

    UPDATE = "update"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    ARCHIVE = "archive"
    RESTORE = "restore"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one campaign of many."""

    campaign_id: int
    error: EngineError | None = None


def copy_campaign(
    session: Session, clock: Clock, *, client_id: int, campaign_id: int, name: str | None = None
) -> Campaign:
    """Make a draft with a campaign's audience and messages, to be started by hand.

    Raises CampaignNotFoundError, NameTakenError, or CampaignStateError for a journey's own.
    """
    found = find_campaign(session, client_id, campaign_id)
    refuse_journeys(found)
    variants: list[VariantValues] = [
        {
            "channel": one.channel,
            "template_id": one.template_id,
            "provider_account_id": one.provider_account_id,
            "name": one.name,
            "weight": one.weight,
        }
        for one in variants_of(session, found.id)
    ]
    return create_campaign(
        session,
        clock,
        client_id=client_id,
        name=name or _free_name(session, found),
        variants=variants,
        **{field: getattr(found, field) for field in COPIED},
    )


def archive(session: Session, clock: Clock, *, client_id: int, campaign_id: int) -> Campaign:
    """Put a completed campaign away; its numbers stay. Raises CampaignStateError for another."""
    return _put(session, clock, client_id, campaign_id, S.COMPLETED, S.ARCHIVED)


def restore(session: Session, clock: Clock, *, client_id: int, campaign_id: int) -> Campaign:
    """Bring an archived campaign back."""
    return _put(session, clock, client_id, campaign_id, S.ARCHIVED, S.COMPLETED)


def delete(session: Session, clock: Clock, *, client_id: int, campaign_id: int) -> None:
    """Delete a campaign of which nothing is under way; what it sent stays in the log.

    Raises CampaignNotFoundError, or CampaignStateError while it is active or paused, or something
    of it is queued or on its way. Its name stays taken: conditions may ask for it.
    """
    campaign = in_hand(session, client_id, campaign_id)
    if campaign.status in (S.ACTIVE, S.PAUSED) or _under_way(session, campaign.id):
        raise CampaignStateError(
            "something of it is still under way", remedy="cancel it first, and wait for its end"
        )
    campaign.deleted_at = campaign.updated_at = clock.now()
    session.flush()


def do_all(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    campaign_ids: Sequence[int],
    deed: Deed,
    changes: Mapping[str, Any] | None = None,
    all_or_nothing: bool = False,
    dry_run: bool = False,
    actor: str | None = None,
) -> list[Done]:
    """Do one deed to many campaigns; say of each whether it could be done, and if not, why.

    With `all_or_nothing` one that cannot be done undoes all; with `dry_run` nothing stays done.
    Raises CampaignNotFoundError, and does nothing, for one that the client does not have.
    """
    done: dict[int, Done] = {}
    with suppress(_TakenBackError), session.begin_nested():
        # In one order, whoever asks: two transactions then never wait for each other.
        for campaign_id in sorted(set(campaign_ids)):
            error = None
            try:
                with session.begin_nested():
                    _do(session, clock, client_id, campaign_id, deed, changes or {}, actor)
            except CampaignNotFoundError:
                raise
            except EngineError as refused:
                error = refused
            done[campaign_id] = Done(campaign_id, error)
        if dry_run or (all_or_nothing and any(one.error for one in done.values())):
            raise _TakenBackError
    return [done[campaign_id] for campaign_id in campaign_ids]


class _TakenBackError(Exception):
    """What was done is not to stay."""


DEEDS: Mapping[Deed, Callable[..., Any]] = {
    Deed.RESUME: control.resume,
    Deed.CANCEL: control.cancel,
    Deed.ARCHIVE: archive,
    Deed.RESTORE: restore,
    Deed.DELETE: delete,
}


def _do(
    session: Session,
    clock: Clock,
    client_id: int,
    campaign_id: int,
    deed: Deed,
    changes: Mapping[str, Any],
    actor: str | None,
) -> None:
    which: dict[str, Any] = {"client_id": client_id, "campaign_id": campaign_id}
    if deed is Deed.UPDATE:
        update_campaign(session, clock, **which, **changes)
    elif deed is Deed.PAUSE:
        control.pause(session, clock, **which, actor=actor)
    else:
        DEEDS[deed](session, clock, **which)


def _put(
    session: Session,
    clock: Clock,
    client_id: int,
    campaign_id: int,
    allowed: CampaignStatus,
    target: CampaignStatus,
) -> Campaign:
    campaign = in_hand(session, client_id, campaign_id)
    if campaign.status is target:
        return campaign
    if campaign.status is not allowed:
        raise CampaignStateError(
            f"the campaign is {campaign.status}, not {allowed}",
            remedy="wait until it is done, or cancel it" if allowed is S.COMPLETED else None,
        )
    campaign.status, campaign.updated_at = target, clock.now()
    session.flush()
    return campaign


def _under_way(session: Session, campaign_id: int) -> bool:
    rows = exists().where(
        Communication.run_id.in_(select(Run.id).where(Run.campaign_id == campaign_id)), IN_PROGRESS
    )
    return bool(session.scalar(select(rows)))


def _free_name(session: Session, campaign: Campaign) -> str:
    """Return the first of “X (copy)”, “X (copy 2)”, … that nobody has."""
    query = select(Campaign.name).where(Campaign.client_id == campaign.client_id)
    taken = set(session.scalars(query))
    for number in range(1, MAX_COPIES):
        ending = " (copy)" if number == 1 else f" (copy {number})"
        name = campaign.name[: MAX_NAME - len(ending)] + ending
        if name not in taken:
            return name
    raise CampaignStateError("there are too many copies of it", remedy="give the copy a name")
