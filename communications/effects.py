"""Effects: what follows from a receipt or a refusal beyond the message's own status.

| told | address | suppression | consent |
| - | - | - | - |
| hard bounce | invalid | all, bounced | - |
| address does not exist | invalid | all, invalid | - |
| complaint | - | marketing, complained | withdrawn |
| unsubscribed | - | marketing, unsubscribed | withdrawn |
| opted out at the provider: phone | - | all, stopped | withdrawn |
| opted out at the provider: email, push | - | marketing, unsubscribed | withdrawn |

What is still queued to the address is skipped in the same transaction. A status
is never changed here: complaints and opt-outs change consent, not what happened.

Invariants
    1. An effect depends on its own event alone, so any order and any repeats end alike.
    2. Nothing here lifts a suppression.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from channels.adapter import EventType, ProviderEvent
from channels.channel import Channel
from channels.outcome import Rejected
from communications.claim import Claimed
from communications.communication import Reason
from communications.ledger import skip_queued
from communications.receipt import Change
from communications.settle import Settled
from core.address import mask
from core.clock import Clock
from core.rows import among
from members.address import AddressState, MemberAddress
from members.consent import ConsentState, Word, record_many
from members.member import Member
from members.suppression import Scope, SuppressionReason, suppress_many


@dataclass(frozen=True, slots=True)
class Effect:
    """One address that must be left alone, how far, why, and who said so."""

    client_id: int
    channel: Channel
    address_hash: str
    masked: str
    scope: Scope
    reason: SuppressionReason
    evidence: str
    """`communication:12`."""
    invalid: bool = False
    """The address itself is dead."""
    withdrawn_by: tuple[int, ...] = ()
    """Members who took their consent back."""
    source: str = "receipt"
    """How they did: `receipt`, `stop`, `unsubscribe`, `one_click`."""
    proof: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Return the kind of address."""
        return self.channel.address_kind


def of(changes: Iterable[Change]) -> list[Effect]:
    """Return the effects of new events; most events have none."""
    found = (_effect(change) for change in changes)
    return [effect for effect in found if effect is not None]


def of_refusals(results: Iterable[Settled]) -> list[Effect]:
    """Return the effects of attempts that the provider refused because of the address itself."""
    found = (
        _effect(_refused(result.row, result.outcome))
        for result in results
        if isinstance(result.outcome, Rejected)
    )
    return [effect for effect in found if effect is not None]


def _refused(row: Claimed, refusal: Rejected) -> Change:
    """Tell a refusal the way a receipt tells it, so that both have the same effects."""
    return Change(
        communication_id=row.id,
        client_id=row.client_id,
        member_id=row.member_id,
        run_id=None,
        channel=row.channel,
        to_address=row.to_address,
        address_hash=row.address_hash,
        event=ProviderEvent(
            type=EventType.UNDELIVERED,
            dedup_key="",
            occurred_at=None,
            reference=None,
            provider_id=None,
            provider_status=refusal.code,
            address_invalid=refusal.address_invalid,
            opted_out=refusal.opted_out,
        ),
    )


def _effect(change: Change) -> Effect | None:
    told = _told(change)
    if told is None or change.address_hash is None:
        return None
    scope, reason, invalid = told
    willed = not invalid and change.member_id is not None
    kind = change.channel.address_kind
    return Effect(
        client_id=change.client_id,
        channel=change.channel,
        address_hash=change.address_hash,
        masked=mask(kind, change.to_address) if change.to_address else "",
        scope=scope,
        reason=reason,
        evidence=f"communication:{change.communication_id}",
        invalid=invalid,
        withdrawn_by=(change.member_id,) if willed and change.member_id is not None else (),
        proof={"provider_status": change.event.provider_status},
    )


def _told(change: Change) -> tuple[Scope, SuppressionReason, bool] | None:
    event, why = change.event, SuppressionReason
    if event.type is EventType.COMPLAINED:
        return Scope.MARKETING, why.COMPLAINED, False
    if event.type is EventType.UNSUBSCRIBED or event.opted_out:
        return (*opt_out(change.channel, by_provider=event.opted_out), False)
    if event.type is EventType.BOUNCED_HARD:
        return Scope.ALL, why.BOUNCED, True
    if event.address_invalid:
        return Scope.ALL, why.INVALID, True
    return None


def opt_out(channel: Channel, *, by_provider: bool) -> tuple[Scope, SuppressionReason]:
    """Return how far an opt-out reaches: to a phone it stops everything."""
    if channel.address_kind != "sms":
        return Scope.MARKETING, SuppressionReason.UNSUBSCRIBED
    stopped = SuppressionReason.STOPPED if by_provider else SuppressionReason.UNSUBSCRIBED
    return Scope.ALL, stopped


def run(session: Session, clock: Clock, effects: Sequence[Effect]) -> None:
    """Carry effects out, a few statements per client, channel and reason."""

    def alike(effect: Effect) -> tuple[int, str, str, str]:
        return effect.client_id, effect.channel.value, effect.scope.value, effect.reason.value

    for _, group in groupby(sorted(effects, key=alike), key=alike):
        _run_alike(session, clock, list(group))


def _run_alike(session: Session, clock: Clock, effects: Sequence[Effect]) -> None:
    first = effects[0]
    hashes = sorted({effect.address_hash for effect in effects})
    _suppress(session, clock, effects)
    _withdraw(session, clock, effects)
    skip_queued(
        session,
        clock,
        reason=Reason.SUPPRESSED,
        client_id=first.client_id,
        address_hashes=hashes,
        marketing_only=first.scope is Scope.MARKETING,
    )
    if first.invalid:
        session.execute(
            update(MemberAddress)
            .where(
                MemberAddress.client_id == first.client_id,
                MemberAddress.channel == first.kind,
                among(session, MemberAddress.hash, hashes),
            )
            .values(state=AddressState.INVALID, updated_at=clock.now())
            .execution_options(synchronize_session=False)
        )


def _suppress(session: Session, clock: Clock, effects: Sequence[Effect]) -> None:
    now = clock.now()
    suppress_many(
        session,
        [
            {
                "client_id": effect.client_id,
                "channel": effect.kind,
                "address_hash": effect.address_hash,
                "masked": effect.masked[:64],
                "scope": effect.scope,
                "reason": effect.reason,
                "evidence": effect.evidence,
                "since": now,
            }
            for effect in effects
        ],
    )


def _withdraw(session: Session, clock: Clock, effects: Sequence[Effect]) -> None:
    named = sorted({member for effect in effects for member in effect.withdrawn_by})
    if not named:
        return
    # A member may have been erased since the message went out.
    known = set(session.scalars(select(Member.id).where(among(session, Member.id, named))))
    words = [
        Word(
            member_id=member_id,
            channel=effect.channel.value,
            state=ConsentState.WITHDRAWN,
            source=effect.source,
            proof=effect.proof | {"evidence": effect.evidence},
        )
        for effect in effects
        for member_id in sorted(known.intersection(effect.withdrawn_by))
    ]
    record_many(session, clock, client_id=effects[0].client_id, words=words)
