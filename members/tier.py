"""Tiers: how valued members are, as the rules say, and since when.

A better tier is given at once. A worse one comes when the rules have asked for it during the grace
of the tier the member has; a locked tier stays. Tiers without a rule are given and taken by hand.

Invariants
    1. Evaluating again at the same instant changes nothing.
    2. Each change is a `tier_changes` row, a change of the member and an event `tier_changed`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    String,
    case,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.orm import Session

from core.address import AddressHasher
from core.clock import Clock
from core.condition.json import from_json
from core.rows import among, table
from core.sql import insert_into
from members.change import TIER_SOURCE, Change, record_changes
from members.member import Member, Tier
from members.queries import member as member_of
from members.rule import compile_rule
from members.score import found_first, ids_after
from members.tier_change import TierChange
from members.tier_rule import TierRule, TierStanding, tier_rules
from members.tier_step import Stand, TierStep, step
from members.touch import touch
from members.tracking import MAX_EVENTS, ToldEvent, track
from members.upsert import take_turn

M, S = Member, TierStanding
CHANGED_EVENT = "tier_changed"
CHUNK = 5000
RULE, GRACE_OVER, MANUAL = "rule", "grace_over", "manual"


@dataclass(slots=True)
class Evaluation:
    """What an evaluation did, or would do."""

    changed: dict[tuple[Tier, Tier], int] = field(default_factory=dict)
    """(from, to) → members."""
    waiting: int = 0
    """Members whose grace began."""
    recovered: int = 0
    """Members whom the rules mean again within their grace."""
    locked: int = 0
    """Members the rules mean otherwise, whose tier is locked."""

    def add(self, stand: Stand, taken: TierStep, members: int = 1) -> None:
        """Count members with which the same is done."""
        if taken in (TierStep.RISE, TierStep.FALL):
            pair = (stand.tier, stand.wanted)
            self.changed[pair] = self.changed.get(pair, 0) + members
        elif taken is TierStep.WAIT:
            self.waiting += members
        elif taken is TierStep.RECOVER:
            self.recovered += members
        elif stand.locked:
            self.locked += members


@dataclass(frozen=True, slots=True)
class _Move:
    member_id: int
    key: str
    from_tier: Tier
    to_tier: Tier
    reason: str
    rule: str | None = None
    note: str | None = None
    actor: str | None = None


def evaluate_tiers(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    member_ids: Sequence[int] | None = None,
) -> Evaluation:
    """Give members the tiers the rules say; all of the client's, or those given.

    Cost: one query a 5,000 members, and some twenty statements where any of them changes.
    """
    done = Evaluation()
    rules = tier_rules(session, client_id)
    if not rules:
        return done
    take_turn(session, client_id)
    if member_ids is not None:
        _evaluate(session, clock, hasher, rules, list(member_ids), done)
        return done
    after = 0
    while ids := ids_after(session, client_id, after=after, limit=CHUNK):
        _evaluate(session, clock, hasher, rules, ids, done)
        after = ids[-1]
    return done


def foresee_tiers(session: Session, clock: Clock, *, client_id: int) -> Evaluation:
    """Return what an evaluation would do now, and do nothing. Cost: one scan of the members."""
    seen = Evaluation()
    rules = tier_rules(session, client_id)
    if not rules:
        return seen
    now = clock.now()
    inner = _differing(session, rules, now).subquery()
    c = inner.c
    columns = (c.tier, c.wanted, c.is_locked, c.falls_at.is_not(None), c.falls_at <= now)
    for tier, wanted, is_locked, falls, over, members in session.execute(
        select(*columns, func.count()).group_by(*columns)
    ):
        falls_at = (now if over else now + timedelta(days=1)) if falls else None
        stand = _stand(rules, tier, wanted, is_locked, falls_at)
        seen.add(stand, step(stand, now), members)
    return seen


def set_tier(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    member_id: int,
    tier: Tier,
    locked: bool = False,
    note: str | None = None,
    actor: str | None = None,
) -> Member:
    """Give a member a tier by hand; unless `locked`, the rules go on from there.

    Raises MemberNotFoundError.
    """
    take_turn(session, client_id)
    found = member_of(session, client_id, member_id)
    session.execute(
        delete(S)
        .where(S.client_id == client_id, S.member_id == found.id)
        .execution_options(synchronize_session=False)
    )
    if locked:
        values = {"member_id": found.id, "client_id": client_id, "locked_by": actor}
        session.execute(insert(S), [values | {"locked_at": clock.now()}])
    if found.tier is not tier:
        move = _Move(found.id, found.member_id, found.tier, tier, MANUAL, note=note, actor=actor)
        _move(session, clock, hasher, client_id, [move])
        session.expire_all()
    return member_of(session, client_id, member_id)


def wanted_tier(session: Session, rules: Sequence[TierRule], now: datetime) -> ColumnElement[str]:
    """Return the tier the rules say, as an expression over `members`."""
    whens = [
        (
            compile_rule(session, from_json(rule.rule), client_id=rule.client_id, now=now),
            literal(rule.tier.value, String),
        )
        for rule in rules
    ]
    return case(*whens, else_=literal(Tier.BASIC.value, String))


def _differing(session: Session, rules: Sequence[TierRule], now: datetime) -> Select[Any]:
    """Return the query for members the rules mean otherwise, and those that wait."""
    wanted = wanted_tier(session, rules, now)
    return (
        select(
            M.id,
            M.member_id.label("key"),
            M.tier,
            type_coerce(wanted, M.__table__.c.tier.type).label("wanted"),
            S.locked_at.is_not(None).label("is_locked"),
            S.falls_at,
        )
        .outerjoin(S, S.member_id == M.id)
        .where(
            M.client_id == rules[0].client_id,
            M.deleted_at.is_(None),
            or_(type_coerce(M.tier, String) != wanted, S.falls_at.is_not(None)),
        )
    )


def _stand(
    rules: Sequence[TierRule],
    tier: Tier,
    wanted: Tier,
    is_locked: bool,
    falls_at: datetime | None,
) -> Stand:
    own = next((rule for rule in rules if rule.tier is tier), None)
    return Stand(
        tier=tier,
        wanted=wanted,
        locked=is_locked,
        has_rule=own is not None,
        grace_days=own.grace_days if own is not None else 0,
        falls_at=falls_at,
    )


def _evaluate(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    rules: Sequence[TierRule],
    ids: Sequence[int],
    done: Evaluation,
) -> None:
    now, client_id = clock.now(), rules[0].client_id
    texts = {rule.tier: rule.text for rule in rules}
    moves: list[_Move] = []
    waits: list[tuple[int, datetime]] = []
    settled: list[int] = []
    rows = session.execute(_differing(session, rules, now).where(among(session, M.id, ids)))
    for row in rows.all():
        stand = _stand(rules, row.tier, row.wanted, row.is_locked, row.falls_at)
        taken = step(stand, now)
        done.add(stand, taken)
        if taken is TierStep.WAIT:
            waits.append((row.id, now + timedelta(days=stand.grace_days)))
        elif taken is not TierStep.STAY:
            settled.append(row.id)
        if taken in (TierStep.RISE, TierStep.FALL):
            rose = taken is TierStep.RISE
            text = texts.get(row.wanted if rose else row.tier)
            reason = RULE if rose else GRACE_OVER
            moves.append(_Move(row.id, row.key, row.tier, row.wanted, reason, text))
    _settle(session, client_id, settled)
    _let_wait(session, client_id, now, waits)
    _move(session, clock, hasher, client_id, moves)


def _settle(session: Session, client_id: int, ids: Sequence[int]) -> None:
    """Forget the grace of members; only locks stay, and locked members are never settled."""
    if ids:
        session.execute(
            delete(S)
            .where(S.client_id == client_id, among(session, S.member_id, ids))
            .execution_options(synchronize_session=False)
        )


def _let_wait(
    session: Session, client_id: int, now: datetime, waits: Sequence[tuple[int, datetime]]
) -> None:
    rows = [
        {"member_id": one, "client_id": client_id, "below_since": now, "falls_at": falls_at}
        for one, falls_at in waits
    ]
    if rows:
        session.execute(insert_into(session, S).on_conflict_do_nothing(), rows)


def _move(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    client_id: int,
    moves: Sequence[_Move],
) -> None:
    """Give members their new tiers, with everything that follows."""
    if not moves:
        return
    _write_tiers(session, clock, client_id, moves)
    changes = [
        {
            "client_id": client_id,
            "member_id": one.member_id,
            "from_tier": one.from_tier,
            "to_tier": one.to_tier,
            "reason": one.reason,
            "rule": one.rule,
            "note": one.note,
            "actor": one.actor,
            "changed_at": clock.now(),
        }
        for one in moves
    ]
    made = insert(TierChange).returning(TierChange.id, sort_by_parameter_order=True)
    numbers = session.scalars(made, changes).all()
    record_changes(
        session,
        clock,
        client_id=client_id,
        source=TIER_SOURCE,
        actor=moves[0].actor,
        changes=[Change(one.member_id, {"tier": (one.from_tier, one.to_tier)}) for one in moves],
    )
    events = [_event(one, number) for one, number in zip(moves, numbers, strict=True)]
    for start in range(0, len(events), MAX_EVENTS):
        part = events[start : start + MAX_EVENTS]
        track(session, clock, hasher, client_id=client_id, events=part)
    touch(session, client_id=client_id, member_ids=[one.member_id for one in moves])


def _event(move: _Move, number: int) -> ToldEvent:
    """Return what a journey can start from; it is nothing the member did."""
    return ToldEvent(
        name=CHANGED_EVENT,
        message_id=f"tier:{number}",
        person={"member_id": move.key},
        properties={
            "from": move.from_tier.value,
            "to": move.to_tier.value,
            "reason": move.reason,
        },
        by_member=False,
        ours=True,
    )


def _write_tiers(session: Session, clock: Clock, client_id: int, moves: Sequence[_Move]) -> None:
    rows = sorted((one.member_id, one.to_tier.value) for one in moves)
    told = table(session, {"id": BigInteger(), "tier": String()}, rows).c
    session.execute(
        update(M)
        .where(found_first(client_id), M.id == told.id)
        .values(tier=told.tier, version=M.version + 1, updated_at=clock.now())
        .execution_options(synchronize_session=False)
    )
