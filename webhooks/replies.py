"""Replies: what members write back by SMS.

Every inbound message becomes a row of the log. A keyword is obeyed; anything else is a reply to
the latest message that went to that number. Twilio itself confirms STOP and answers HELP, so we
never do.

Invariants
    1. One inbound message is one row, however often it is told.
    2. STOP holds for the number, whoever's it is, and at once (law 4).
    3. Only START, by the person's own hand, lifts a STOP.
    4. Of an erased person who writes again the words are kept, and not the number.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from channels.adapter import ProviderEvent
from channels.sms import Keyword, keyword
from communications import effects
from communications.account import ProviderAccount
from communications.communication import Communication, Direction, MessageType
from communications.effects import Effect
from communications.fold import clean
from communications.queries import latest_to
from communications.receipt import dedup_key, learn_fact
from communications.status import Rank, Status
from core.address import AddressError, AddressHasher, mask, normalise_phone
from core.clock import Clock
from core.db import is_sqlite
from members.address import MemberAddress
from members.consent import ConsentState, Word, record_many
from members.signal import REPLY, Heard, signal
from members.suppression import SuppressionReason, is_forgotten, lift

MAX_TEXT = 4000
"""Characters kept of an inbound message; Twilio sends at most 1,600."""
LIFTED = (SuppressionReason.STOPPED, SuppressionReason.UNSUBSCRIBED)
"""What a person's START takes back: her own word, never a dead number or an operator's."""


def take(
    session: Session,
    clock: Clock,
    account: ProviderAccount,
    event: ProviderEvent,
    sender: "Sender",
    received_at: datetime,
) -> bool:
    """Store one inbound message and do what it says. False: it was known already."""
    at = event.occurred_at or received_at
    row_id = _store(session, clock, account, event, sender, at)
    if row_id is None:
        return False
    word = _keyword(event)
    if word is Keyword.STOP:
        _stop(session, clock, account, event, sender, row_id)
    elif word is Keyword.START:
        _start(session, clock, account, event, sender, row_id, at)
    elif word is None and sender.latest is not None:
        told = replace(event, dedup_key=f"reply:{row_id}", occurred_at=at, reference=None)
        learn_fact(
            session,
            clock,
            client_id=account.client_id,
            communication_id=sender.latest.id,
            event=told,
            source=account.adapter,
        )
    if word is not Keyword.STOP and sender.member_id is not None:
        heard = [Heard(REPLY, sender.member_id, clock.now(), row_id)]
        signal(session, client_id=account.client_id, heard=heard)
    return True


class Sender:
    """Who wrote: a number, the members who have it, and the message they answer.

    `forgotten` says that it was an erased person's: the request that told it must go, too.
    """

    def __init__(
        self, session: Session, hasher: AddressHasher, account: ProviderAccount, told: str
    ) -> None:
        self.kind = account.channel.address_kind
        self.number, self.hash = told, ""
        self.members: Sequence[int] = ()
        self.latest: Communication | None = None
        self.forgotten = False
        try:
            self.number = normalise_phone(told, None)
        except AddressError:
            return  # a short code or a name: kept as it came, belongs to nobody
        self.hash = hasher.hash(account.client_id, self.kind, self.number)
        self.members = _holders(session, account.client_id, self.kind, self.hash)
        self.latest = latest_to(session, account.client_id, account.channel, self.hash)
        self.forgotten = not self.members and is_forgotten(
            session, client_id=account.client_id, channel=self.kind, address_hash=self.hash
        )

    @property
    def member_id(self) -> int | None:
        """Return the member the message is filed under."""
        if self.latest is not None:
            return self.latest.member_id
        return self.members[0] if self.members else None


def _holders(session: Session, client_id: int, kind: str, address_hash: str) -> Sequence[int]:
    query = (
        select(MemberAddress.member_id)
        .where(
            MemberAddress.client_id == client_id,
            MemberAddress.channel == kind,
            MemberAddress.hash == address_hash,
        )
        .order_by(MemberAddress.member_id)
    )
    return session.scalars(query).all()


def _store(
    session: Session,
    clock: Clock,
    account: ProviderAccount,
    event: ProviderEvent,
    sender: Sender,
    at: datetime,
) -> int | None:
    now = clock.now()
    make = sqlite.insert if is_sqlite(session) else postgresql.insert
    statement = (
        make(Communication)
        .values(
            client_id=account.client_id,
            member_id=sender.member_id,
            channel=account.channel,
            direction=Direction.INBOUND,
            message_type=MessageType.SUPPORT,
            from_address=None if sender.forgotten else clean(sender.number, 512),
            to_address=clean(str(event.raw.get("To", "")), 512) or None,
            dedup_key=dedup_key(f"in:{account.id}", event.dedup_key),
            content=clean(event.text or "", MAX_TEXT),
            status=Status.DELIVERED,
            rank=Rank.DELIVERED,
            provider_account_id=account.id,
            provider_id=clean(event.provider_id, 128),
            provider_status=clean(event.provider_status, 40),
            delivered_at=at,
            not_before=now,
            created_at=now,
            updated_at=now,
        )
        .on_conflict_do_nothing(
            index_elements=["client_id", "dedup_key"],
            index_where=text("dedup_key IS NOT NULL"),
        )
        .returning(Communication.id)
    )
    return session.execute(statement).scalar_one_or_none()


def _keyword(event: ProviderEvent) -> Keyword | None:
    """Return the keyword. The provider's own reading wins: it knows the account's words."""
    told = str(event.raw.get("OptOutType", "")).lower()
    if told in {word.value for word in Keyword}:
        return Keyword(told)
    return keyword(event.text or "")


def _stop(
    session: Session,
    clock: Clock,
    account: ProviderAccount,
    event: ProviderEvent,
    sender: Sender,
    row_id: int,
) -> None:
    if not sender.hash:
        return
    scope, reason = effects.opt_out(account.channel, by_provider=True)
    effect = Effect(
        client_id=account.client_id,
        channel=account.channel,
        address_hash=sender.hash,
        masked=mask(sender.kind, sender.number),
        scope=scope,
        reason=reason,
        evidence=f"communication:{row_id}",
        withdrawn_by=tuple(sender.members),
        source="stop",
        proof=_proof(event),
    )
    effects.run(session, clock, [effect])


def _start(
    session: Session,
    clock: Clock,
    account: ProviderAccount,
    event: ProviderEvent,
    sender: Sender,
    row_id: int,
    at: datetime,
) -> None:
    """Allow the number again, but for what came after `at`: a later STOP may be applied first."""
    if not sender.hash:
        return
    for reason in LIFTED:
        lift(
            session,
            client_id=account.client_id,
            channel=sender.kind,
            address_hash=sender.hash,
            reason=reason,
            before=at,
        )
    granted = [
        Word(
            member_id=member_id,
            channel=account.channel.value,
            state=ConsentState.GRANTED,
            source="start",
            occurred_at=at,
            proof=_proof(event) | {"evidence": f"communication:{row_id}"},
        )
        for member_id in sender.members
    ]
    record_many(session, clock, client_id=account.client_id, words=granted)


def _proof(event: ProviderEvent) -> dict[str, str]:
    """Return what was written, word for word."""
    return {"text": clean(event.text or "", MAX_TEXT) or "", "message": event.provider_id or ""}
