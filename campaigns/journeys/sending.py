"""Sending: a send step writes rows of the log; dispatch sends them like any other.

Quiet hours and the limit hold people at the step; then the first channel that nothing speaks
against takes the message, and every channel that was passed over is a skipped row with its reason
(DESIGN laws 1 and 4). A message's key is made of enrolment, step and visit: it is written once.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from accounts.client import Client, tracks
from campaigns.decision import decisions
from campaigns.journeys.arrival import hold, was_held
from campaigns.journeys.ast import MEMBER_TIME, Option, Send
from campaigns.journeys.enrolment import TAKEN, Held, Walker
from campaigns.journeys.enter import EVENT, JOURNEY
from campaigns.journeys.machine import Batch, Go, Outcome
from campaigns.journeys.program import Node
from campaigns.journeys.rows import add
from campaigns.journeys.wording import Wording
from channels.channel import Channel
from communications.communication import FRESH, Communication, Direction, MessageType, Reason
from communications.news import changed
from communications.status import Status
from core.localtime import quiet_until, zone_of
from core.rows import among
from members.member import Member

C = Communication
EXPIRES = timedelta(hours=72)
MEDIUM = 2
NOT_SENT = (Status.SKIPPED, Status.FAILED)


def send(batch: Batch, node: Node[Send], people: Sequence[Walker]) -> Mapping[int, Outcome]:
    """Write messages for those who may get one now; hold the others."""
    step = node.step
    outcomes: dict[int, Outcome] = {
        one.id: Go(why={"taken": "in an earlier version"})
        for one in people
        if node.key in one.context.get(TAKEN, ())
    }
    people = [one for one in people if one.id not in outcomes]
    held = _quiet(batch, people)
    held |= _limited(batch, [one for one in people if one.id not in held])
    outcomes |= held
    passed: dict[int, dict[str, str]] = defaultdict(dict)
    left = [one for one in people if one.id not in held]
    last: dict[int, int] = {}
    for option in step.options:
        written = _write(batch, node, option, left)
        for one in left:
            id, reason = written[one.id]
            last[one.id] = id
            if reason is not None:
                passed[one.id][option.channel.value] = reason
            else:
                why: dict[str, Any] = {"channel": option.channel.value, "passed": passed[one.id]}
                outcomes[one.id] = Go(why=why | was_held(one), communication_id=id)
        left = [one for one in left if one.id not in outcomes]
    for one in left:
        why = {"channel": None, "passed": passed[one.id]}
        outcomes[one.id] = Go(why=why | was_held(one), communication_id=last[one.id])
    return outcomes


def lot(text: str, shares: Sequence[int]) -> int:
    """Draw a place by shares, some of which are above 0; always the same one for the same text."""
    drawn = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") % sum(shares)
    for place, share in enumerate(shares):
        drawn -= share
        if drawn < 0:
            return place
    raise AssertionError(text)


def zones(session: Session, client_id: int, member_ids: Sequence[int]) -> dict[int, str]:
    """Return the IANA zone of each member, the client's where they have none."""
    own = session.get_one(Client, client_id).timezone
    query = select(Member.id, Member.timezone).where(among(session, Member.id, member_ids))
    return {id: zone or own for id, zone in session.execute(query)}


def _quiet(batch: Batch, people: Sequence[Walker]) -> dict[int, Outcome]:
    quiet = batch.machine.journey.quiet
    if quiet is None:
        return {}
    ids = sorted({one.member_id for one in people})
    own = {}
    if quiet.zone == MEMBER_TIME:
        own = zones(batch.session, batch.machine.client_id, ids)
    held: dict[int, Outcome] = {}
    for one in people:
        zone = zone_of(own.get(one.member_id, quiet.zone))
        over = quiet_until(batch.now, quiet.start, quiet.end, zone)
        if over is not None:
            held[one.id] = hold(one, Held.QUIET, batch.now, over, zone.key)
    return held


def _limited(batch: Batch, people: Sequence[Walker]) -> dict[int, Outcome]:
    """Hold those who got as many messages as the limit allows until the oldest is long past."""
    limit = batch.machine.journey.limit
    if limit is None or not people:
        return {}
    session, since = batch.session, batch.now - limit.per
    nth = func.row_number().over(partition_by=C.member_id, order_by=C.created_at.desc())
    recent = (
        select(C.member_id, C.created_at, nth.label("nth"))
        .where(
            C.client_id == batch.machine.client_id,
            among(session, C.member_id, sorted({one.member_id for one in people})),
            C.direction == Direction.OUTBOUND,
            C.created_at > since,
            C.status.not_in(NOT_SENT),
        )
        .subquery()
    )
    query = select(recent.c.member_id, recent.c.created_at).where(recent.c.nth == limit.messages)
    full = {row.member_id: row.created_at for row in session.execute(query)}
    held: dict[int, Outcome] = {}
    seen: set[int] = set()
    for one in people:
        if one.member_id in full:
            held[one.id] = hold(one, Held.LIMIT, batch.now, full[one.member_id] + limit.per)
        elif one.member_id in seen:
            # Twice inside, by two keys: the first message is not counted yet.
            held[one.id] = hold(one, Held.LIMIT, batch.now, batch.now)
        seen.add(one.member_id)
    return held


def _write(
    batch: Batch, node: Node[Any], option: Option, people: Sequence[Walker]
) -> dict[int, tuple[int, str | None]]:
    """Write one row for each on this channel; return its id and why it is skipped, if it is."""
    if not people:
        return {}
    now = batch.now
    decided = _decided(batch, option, people)
    rows = [
        _row(batch, node, option, one, decided[_variant(option, one)][one.member_id])
        for one in people
    ]
    inserted = add(batch.session, C, rows, _constants(batch, option, now), "id", "dedup_key")
    ids = {key: id for id, key in inserted}
    skipped = [ids[row["dedup_key"]] for row in rows if row["reason"]]
    changed(batch.session, now, [(batch.machine.client_id, one) for one in skipped])
    return {
        one.id: (ids[row["dedup_key"]], row["reason"])
        for one, row in zip(people, rows, strict=True)
    }


def _variant(option: Option, one: Walker) -> str:
    shares = [content.weight for content in option.contents]
    text = f"{one.journey_id}:{one.member_id}:{option.contents[0].template}"
    return option.contents[lot(text, shares)].template


def _decided(
    batch: Batch, option: Option, people: Sequence[Walker]
) -> dict[str, dict[int, Row[Any]]]:
    """Return what speaks for and against each member, by the template they would get."""
    session = batch.session
    ids = sorted({one.member_id for one in people})
    found: dict[str, dict[int, Row[Any]]] = {}
    for name in {_variant(option, one) for one in people}:
        wording = batch.machine.wordings.templates[option.channel, name]
        own = [field for field in wording.fields if not field.startswith(("event.", "journey."))]
        rows = decisions(
            [among(session, Member.id, ids)],
            channel=option.channel,
            message_type=MessageType.MARKETING,
            fields=own,
            span=(ids[0], ids[-1]),
        )
        found[name] = {row.member_id: row for row in session.execute(select(rows))}
    return found


def _row(
    batch: Batch, node: Node[Any], option: Option, one: Walker, decided: Row[Any]
) -> dict[str, Any]:
    wording: Wording = batch.machine.wordings.templates[option.channel, _variant(option, one)]
    # Two members at one address each have their own way: this is no second copy.
    shared = decided.reason == Reason.DUPLICATE_ADDRESS.value
    reason = None if shared else decided.reason
    sent = reason is None
    return {
        "member_id": one.member_id,
        "to_address": decided.address,
        "address_hash": decided.hash if sent else None,
        "dedup_key": f"journey:{one.id}:{node.key}:{one.visit}:{option.channel}",
        "template_version_id": wording.template_version_id,
        "merge": dict(decided.merge) | _told(one, wording.fields) if sent else {},
        "status": Status.QUEUED if sent else Status.SKIPPED,
        "reason": reason,
    }


def _constants(batch: Batch, option: Option, now: datetime) -> dict[str, Any]:
    """Return what is the same for all messages of one set on one channel."""
    return {
        "client_id": batch.machine.client_id,
        "campaign_id": batch.machine.campaign_id,
        "channel": option.channel,
        "direction": Direction.OUTBOUND,
        "message_type": MessageType.MARKETING,
        **FRESH,
        "tracked": tracks(batch.session, batch.machine.client_id),
        "priority": MEDIUM,
        "not_before": now,
        "expires_at": now + EXPIRES,
        "provider_account_id": batch.machine.wordings.accounts[Channel(option.channel)],
        "created_at": now,
        "updated_at": now,
    }


def _told(one: Walker, fields: Sequence[str]) -> dict[str, Any]:
    """Return what templates show of the entry: `event.total`, `journey.crm.score`."""
    told: dict[str, Any] = {}
    for field in fields:
        root, _, rest = field.partition(".")
        if root in (EVENT, JOURNEY):
            value: Any = one.context.get(root, {})
            for part in rest.split("."):
                value = value.get(part) if isinstance(value, Mapping) else None
            told[field] = value
    return told
