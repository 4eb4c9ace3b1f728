"""Unsubscribing by the link in a message: what it says and what it does."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from accounts.client import Client
from channels.adapter import EventType, ProviderEvent
from channels.channel import Channel
from communications import effects
from communications.communication import Communication
from communications.effects import Effect
from communications.receipt import learn_fact
from core.address import AddressHasher, mask
from core.clock import Clock
from members.consent import MARKETING, ConsentState, CurrentConsent
from webhooks.click import SOURCE

WHAT = {"email": "marketing emails", "sms": "text messages", "push": "marketing notifications"}
"""What a person stops, by kind of address."""
CONSEQUENCE = {
    "email": "Receipts and other messages about things you ordered still arrive.",
    "sms": "This stops every message to this number.",
    "push": "Notifications about things you ordered still arrive.",
}


def wording(session: Session, row: Communication) -> dict[str, str]:
    """Return the words of the page: the client's name, the masked address, what stops."""
    client = session.scalar(select(Client.name).where(Client.id == row.client_id))
    kind = row.channel.address_kind
    return {
        "client": client or "",
        "what": WHAT[kind],
        "consequence": CONSEQUENCE[kind],
        "masked": mask(kind, row.to_address) if row.to_address else "",
    }


def act(
    session: Session, clock: Clock, hasher: AddressHasher, row: Communication, *, one_click: bool
) -> None:
    """Opt the address of a message out. Doing it again changes nothing, unless she came back."""
    source = "one_click" if one_click else "unsubscribe"
    address_hash = row.address_hash
    if address_hash is None and row.to_address:
        address_hash = hasher.hash(row.client_id, row.channel.address_kind, row.to_address)
    if address_hash is None:
        return  # the address was erased, and with it every way to write to it
    kind = row.channel.address_kind
    scope, reason = effects.opt_out(row.channel, by_provider=False)
    effect = Effect(
        client_id=row.client_id,
        channel=row.channel,
        address_hash=address_hash,
        masked=mask(kind, row.to_address) if row.to_address else "",
        scope=scope,
        reason=reason,
        evidence=f"communication:{row.id}",
        withdrawn_by=_to_withdraw(session, row.member_id, row.channel),
        source=source,
    )
    effects.run(session, clock, [effect])
    _note(session, clock, row, source)


def _to_withdraw(session: Session, member_id: int | None, channel: Channel) -> tuple[int, ...]:
    """Return the member, unless the consent is withdrawn already."""
    if member_id is None:
        return ()
    state = session.scalar(
        select(CurrentConsent.state).where(
            CurrentConsent.member_id == member_id,
            CurrentConsent.channel == channel.value,
            CurrentConsent.topic == MARKETING,
        )
    )
    return () if state is ConsentState.WITHDRAWN else (member_id,)


def _note(session: Session, clock: Clock, row: Communication, source: str) -> None:
    event = ProviderEvent(
        type=EventType.UNSUBSCRIBED,
        dedup_key=f"unsubscribe:{row.id}",
        occurred_at=clock.now(),
        reference=None,
        provider_id=None,
        provider_status=source,
    )
    learn_fact(
        session,
        clock,
        client_id=row.client_id,
        communication_id=row.id,
        event=event,
        source=SOURCE,
    )
