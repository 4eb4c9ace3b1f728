"""Direct: messages written to single members outside campaigns, one or thousands at a time.

The row is there, with its id, before any provider hears of it; dispatch sends it like every other.
A draft with several wordings leaves a skipped row for each channel that was passed over, as a
journey's step does.

Invariants
    1. One key of a client is one message: the first row of each has a unique dedup key, and who
       comes second gets the first one's.
    2. What cannot be written spoils nothing else of its set.
    3. Consent, suppression and addresses are looked at here, and again before it is sent (law 4).

Four statements for each channel and wording of a set, however many messages it has.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from accounts.client import tracks
from campaigns.campaign import PRIORITY_NUMBER
from campaigns.decision import decisions
from campaigns.draft import MAX_WORDINGS, Draft, Drafts, Said
from campaigns.journeys.rows import add
from channels.channel import Channel
from communications.communication import FRESH, Communication, Direction, MessageType, Reason
from communications.news import changed
from communications.status import Status
from core.clock import Clock
from core.errors import ConflictError, EngineError
from core.rows import among
from members.errors import MemberNotFoundError
from members.member import Member
from members.queries import member

C = Communication
EXPIRES = timedelta(hours=72)
NOT_SENT = (Status.SKIPPED, Status.FAILED)


class KeyTakenError(ConflictError):
    """Another member has a message of this key."""

    code = "key_taken"


class Outcome(StrEnum):
    """What became of a draft."""

    CREATED = "created"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Passed:
    """A channel that was not used, and why; its row says so too."""

    channel: Channel
    reason: str
    communication_id: int


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one draft: its message, or why there is none."""

    outcome: Outcome
    communication_id: int | None = None
    status: Status | None = None
    reason: str | None = None
    passed: tuple[Passed, ...] = ()
    error: EngineError | None = None


@dataclass(slots=True)
class _Ready:
    """A draft that may be written."""

    draft: Draft
    says: tuple[Said, ...]
    key: str
    capped: bool = False


def write_message(session: Session, clock: Clock, *, client_id: int, draft: Draft) -> Written:
    """Write one message. Raises what write_messages() would reject it with."""
    [written] = write_messages(session, clock, client_id=client_id, drafts=[draft])
    if isinstance(written.error, MemberNotFoundError):
        member(session, client_id, draft.member_id)  # says where a merged one went
    if written.error is not None:
        raise written.error
    return written


def write_messages(
    session: Session, clock: Clock, *, client_id: int, drafts: Sequence[Draft]
) -> list[Written]:
    """Write messages, and say of each what became of it, in the order of the drafts."""
    refused: dict[int, EngineError] = {}
    ready: dict[int, _Ready] = {}
    check, people = Drafts(session, client_id), _present(session, client_id, drafts)
    for index, draft in enumerate(drafts):
        try:
            if draft.member_id not in people:
                raise MemberNotFoundError(f"no member {draft.member_id}", field="member_id")
            ready[index] = _Ready(draft, check.said(draft), draft.key or str(uuid4()))
        except EngineError as error:
            refused[index] = error
    known = _known(session, client_id, {one.key for one in ready.values()})
    fresh: dict[str, _Ready] = {}
    for one in ready.values():
        if one.key not in known:
            fresh.setdefault(one.key, one)
    _cap(session, clock.now(), client_id, list(fresh.values()))
    made = _write(session, clock.now(), client_id, list(fresh.values()))
    rows = _known(session, client_id, {one.key for one in ready.values()})
    return [
        _written(ready[index], rows[ready[index].key], made)
        if index in ready
        else Written(Outcome.REJECTED, error=refused[index])
        for index in range(len(drafts))
    ]


def _present(session: Session, client_id: int, drafts: Sequence[Draft]) -> set[int]:
    ids = sorted({draft.member_id for draft in drafts})
    query = select(Member.id).where(
        Member.client_id == client_id, among(session, Member.id, ids), Member.deleted_at.is_(None)
    )
    return set(session.scalars(query))


def _dedup_key(key: str, level: int) -> str:
    """Return the unique key of a message's row at one of its wordings."""
    return f"tx{level + 1 if level else ''}:{key}"


def _known(session: Session, client_id: int, keys: Iterable[str]) -> dict[str, list[Any]]:
    """Return the rows there are of these keys, in the order they were tried."""
    names = {_dedup_key(key, level): key for key in keys for level in range(MAX_WORDINGS)}
    found: dict[str, list[Any]] = defaultdict(list)
    if not names:
        return found
    query = (
        select(C.id, C.dedup_key, C.member_id, C.channel, C.status, C.reason)
        .where(C.client_id == client_id, among(session, C.dedup_key, sorted(names)))
        .order_by(C.id)
    )
    for row in session.execute(query):
        found[names[row.dedup_key]].append(row)
    return found


def _cap(session: Session, now: datetime, client_id: int, ready: Sequence[_Ready]) -> None:
    """Note who has had as many messages as their drafts allow; those of this set count, too."""
    by_hours: dict[int, list[_Ready]] = defaultdict(list)
    for one in ready:
        if one.draft.cap is not None:
            by_hours[one.draft.cap.hours].append(one)
    for hours, capped in by_hours.items():
        ids = sorted({one.draft.member_id for one in capped})
        query = select(C.member_id, func.count()).where(
            C.client_id == client_id,
            among(session, C.member_id, ids),
            C.direction == Direction.OUTBOUND,
            C.created_at > now - timedelta(hours=hours),
            C.status.not_in(NOT_SENT),
        )
        counted = {row[0]: row[1] for row in session.execute(query.group_by(C.member_id))}
        for one in capped:
            had = counted.get(one.draft.member_id, 0)
            one.capped = one.draft.cap is not None and had >= one.draft.cap.messages
            counted[one.draft.member_id] = had + 1


def _write(session: Session, now: datetime, client_id: int, ready: Sequence[_Ready]) -> set[str]:
    """Write the rows of each, wording after wording; return the keys that are ours.

    By the callers' keys, so that two sets which share some wait for each other in one order.
    """
    made: set[str] = set()
    left = sorted(ready, key=lambda one: one.draft.key or "")
    for level in range(MAX_WORDINGS):
        left = [one for one in left if len(one.says) > level]
        if not left:
            break
        decided = _decided(session, client_id, level, left)
        rows = {one.key: _row(now, level, one, decided[one.key]) for one in left}
        inserted = add(
            session,
            C,
            list(rows.values()),
            _constants(client_id, now) | {"tracked": tracks(session, client_id)},
            "id",
            "dedup_key",
            once=True,
        )
        written = {row.dedup_key: row.id for row in inserted}
        left = [one for one in left if _dedup_key(one.key, level) in written]
        made |= {one.key for one in left if level == 0}
        skipped = [one for one in left if rows[one.key]["reason"] is not None]
        ids = [written[_dedup_key(one.key, level)] for one in skipped]
        changed(session, now, [(client_id, id) for id in ids])
        left = [one for one in skipped if not one.capped]
    return made


def _decided(
    session: Session, client_id: int, level: int, ready: Sequence[_Ready]
) -> dict[str, Row[Any]]:
    """Return what speaks for and against each, by key."""
    sets: dict[tuple[Said, MessageType], list[_Ready]] = defaultdict(list)
    for one in ready:
        sets[one.says[level], one.draft.message_type].append(one)
    decided: dict[str, Row[Any]] = {}
    for (said, message_type), ones in sets.items():
        ids = sorted({one.draft.member_id for one in ones})
        rows = decisions(
            [Member.client_id == client_id, among(session, Member.id, ids)],
            channel=said.channel,
            message_type=message_type,
            fields=said.own_fields,
            span=(ids[0], ids[-1]),
        )
        found = {row.member_id: row for row in session.execute(select(rows))}
        decided |= {one.key: found[one.draft.member_id] for one in ones}
    return decided


def _row(now: datetime, level: int, one: _Ready, decided: Row[Any]) -> dict[str, Any]:
    draft, said = one.draft, one.says[level]
    # Two members at one address each get their own: a receipt is no second copy of another's.
    shared = decided.reason == Reason.DUPLICATE_ADDRESS.value
    reason = None if shared else decided.reason
    if reason is None and one.capped:
        reason = Reason.CAPPED.value
    start = max(now, draft.not_before or now)
    return {
        "member_id": draft.member_id,
        "channel": said.channel,
        "message_type": draft.message_type,
        "to_address": decided.address,
        "address_hash": decided.hash if reason is None else None,
        "dedup_key": _dedup_key(one.key, level),
        "template_version_id": said.template_version_id,
        "merge": dict(decided.merge) | said.told(draft.values) if reason is None else {},
        "subject": said.subject,
        "content": said.text,
        "status": Status.QUEUED if reason is None else Status.SKIPPED,
        "reason": reason,
        "priority": PRIORITY_NUMBER[draft.priority],
        "not_before": start,
        "expires_at": start + EXPIRES,
        "provider_account_id": said.account_id,
    }


def _constants(client_id: int, now: datetime) -> dict[str, Any]:
    times = {"created_at": now, "updated_at": now}
    return {"client_id": client_id, "direction": Direction.OUTBOUND, **FRESH, **times}


def _written(one: _Ready, rows: Sequence[Any], made: set[str]) -> Written:
    """Return what became of a draft whose rows these are; only the first of its key made them."""
    if rows[0].member_id != one.draft.member_id:
        error = KeyTakenError(
            "this key names a message to another member",
            field="key",
            remedy="give every message a key of its own",
        )
        return Written(Outcome.REJECTED, error=error)
    chosen = next((row for row in rows if row.status is not Status.SKIPPED), rows[-1])
    outcome = Outcome.CREATED if one.key in made else Outcome.DUPLICATE
    made.discard(one.key)
    passed = tuple(
        Passed(row.channel, row.reason.value, row.id)
        for row in rows
        if row.id != chosen.id and row.reason is not None
    )
    return Written(outcome, chosen.id, chosen.status, chosen.reason, passed)
