"""Recommendations: by which channel, at which hour and what for to write to a member next.

Each says what it rests on: numbers, and the ids of the messages they were counted from. Few numbers
of one member are pulled towards those of all members. Nothing here is ever sent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from accounts.client import Client
from channels.channel import Channel
from communications.activity import ago
from communications.communication import Communication, Direction
from core.clock import Clock
from members.consent import MARKETING, ConsentState, CurrentConsent
from members.member import Member
from members.queries import KINDS, member
from members.rule import reachable
from members.score import Score, ScoreKind, scores_of
from members.tier_near import near_members, standing_of
from members.tier_rule import tier_rules

C = Communication
DAYS = 180
PULL = 10
"""As much as so many messages counts what is known of all members."""
EVERYBODY = 5000
"""The newest messages of the client that stand for all members."""
SHOWN = 5
HOURS = 24
HIGH_RISK, HIGH_ENGAGEMENT = 0.5, 60.0


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One piece of advice, and what it rests on."""

    kind: str
    """`channel`, `hour` or `action`."""
    value: str
    """A channel, an hour `18:00`, or what to do."""
    because: str
    numbers: dict[str, Any]
    messages: list[int] = field(default_factory=list)
    """Ids of communications that were counted, newest first, at most five."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One message, and when the person answered it in any way."""

    id: int
    kind: str
    """The kind of address it went to."""
    answers: tuple[datetime, ...]


def recommendations(
    session: Session, clock: Clock, *, client_id: int, member_id: int
) -> list[Recommendation]:
    """Return advice about one member: channel, hour, then what to do, weightiest first.

    Raises MemberNotFoundError. Cost: some ten queries by index.
    """
    found = member(session, client_id, member_id)
    since = ago(DAYS, clock.now())
    own = _sent(session, client_id, (C.member_id == found.id) & (C.sent_at > since))
    everybody = _sent(session, client_id, C.sent_at > since)
    zone = ZoneInfo(found.timezone or session.get_one(Client, client_id).timezone)
    advice = [
        best_channel(_usable(session, client_id, found.id), own, everybody),
        best_hour(zone, own, everybody),
    ]
    scores = scores_of(session, client_id, found.id)
    return [one for one in advice if one] + [*_actions(session, clock, found, scores)]


def best_channel(
    usable: Sequence[str], own: Sequence[Sent], everybody: Sequence[Sent]
) -> Recommendation | None:
    """Return the usable channel whose messages are answered most; None without any to write to."""
    rates = {}
    for kind in usable:
        mine, all_of = _answered(kind, own), _answered(kind, everybody)
        usual = (all_of[0] + 1) / (all_of[1] + 2)
        rates[kind] = (mine[0] + PULL * usual) / (mine[1] + PULL), mine, usual
    if not rates:
        return None
    best = max(rates, key=lambda kind: rates[kind][0])
    rate, (answered, sent), usual = rates[best]
    return Recommendation(
        "channel",
        best,
        f"{answered} of {sent} messages were answered; of all members' {usual:.0%}",
        {
            "answered": answered,
            "sent": sent,
            "usual_rate": round(usual, 4),
            "expected_rate": round(rate, 4),
            "others": {kind: round(rates[kind][0], 4) for kind in usable if kind != best},
        },
        [one.id for one in own if one.kind == best and one.answers][:SHOWN],
    )


def best_hour(
    zone: ZoneInfo, own: Sequence[Sent], everybody: Sequence[Sent]
) -> Recommendation | None:
    """Return the local hour at which most is answered; None where nothing was ever answered."""
    mine, all_of = _by_hour(zone, own), _by_hour(zone, everybody)
    total = sum(all_of)
    if not total:
        return None
    weights = [one + PULL * usual / total for one, usual in zip(mine, all_of, strict=True)]
    # Somebody who reads at ten to six and ten past reads around six.
    around = [
        weights[hour - 1] / 2 + weights[hour] + weights[(hour + 1) % HOURS] / 2
        for hour in range(HOURS)
    ]
    best = max(range(HOURS), key=lambda hour: around[hour])
    return Recommendation(
        "hour",
        f"{best:02d}:00",
        f"{mine[best]} of {sum(mine)} answers came in this hour; of all members' "
        f"{all_of[best] / total:.0%}",
        {"in_hour": mine[best], "answers": sum(mine), "timezone": zone.key},
        [one.id for one in own if any(at.astimezone(zone).hour == best for at in one.answers)][
            :SHOWN
        ],
    )


def _answered(kind: str, sent: Iterable[Sent]) -> tuple[int, int]:
    """Return how many messages of a kind were answered, and how many there were."""
    answers = [bool(one.answers) for one in sent if one.kind == kind]
    return sum(answers), len(answers)


def _by_hour(zone: ZoneInfo, sent: Iterable[Sent]) -> list[int]:
    hours = [0] * HOURS
    for one in sent:
        for at in one.answers:
            hours[at.astimezone(zone).hour] += 1
    return hours


def _sent(session: Session, client_id: int, which: ColumnElement[bool]) -> list[Sent]:
    """Return the newest messages, with what people (no machines) answered."""
    query = (
        select(C.id, C.channel, C.read_at, C.clicked_at, C.replied_at)
        .where(C.client_id == client_id, C.direction == Direction.OUTBOUND, which)
        .order_by(C.id.desc())
        .limit(EVERYBODY)
    )
    return [
        Sent(number, Channel(channel).address_kind, tuple(sorted({at for at in times if at})))
        for number, channel, *times in session.execute(query)
    ]


def _usable(session: Session, client_id: int, member_id: int) -> list[str]:
    """Return the channels on which the member can be reached and has said yes."""
    agreed = select(CurrentConsent.channel).where(
        CurrentConsent.client_id == client_id,
        CurrentConsent.member_id == member_id,
        CurrentConsent.topic == MARKETING,
        CurrentConsent.state == ConsentState.GRANTED,
    )
    yes = set(session.scalars(agreed))
    return [
        kind
        for kind in KINDS
        if kind in yes
        and session.scalar(
            select(Member.id).where(
                Member.id == member_id, Member.id.in_(reachable(client_id, kind))
            )
        )
    ]


def _actions(
    session: Session, clock: Clock, found: Member, scores: Mapping[ScoreKind, Score]
) -> Iterable[Recommendation]:
    """Yield what the member's numbers suggest to do, the most pressing first."""
    standing = standing_of(session, found.client_id, found.id)
    if standing is not None and standing.falls_at is not None:
        yield Recommendation(
            "action",
            "keep the tier",
            f"the tier {found.tier} ends unless its rule means the member again",
            {"tier": found.tier.value, "falls_at": standing.falls_at.isoformat()},
        )
    risk = scores.get(ScoreKind.CHURN_RISK)
    if risk is not None and risk.value is not None and risk.value >= HIGH_RISK:
        yield Recommendation(
            "action",
            "win back",
            f"likely to fall silent: {risk.value:.0%}",
            {"churn_risk": risk.value, "reasons": risk.reasons["top"]},
        )
    yield from _openings(session, clock, found, scores)


def _openings(
    session: Session, clock: Clock, found: Member, scores: Mapping[ScoreKind, Score]
) -> Iterable[Recommendation]:
    """Yield what the member may be ready for."""
    for rule in reversed(tier_rules(session, found.client_id)):
        if [one.id for one in near_members(session, clock, rule, after=found.id - 1, limit=1)] == [
            found.id
        ]:
            yield Recommendation(
                "action",
                f"invite to {rule.tier}",
                "near the tier: its numbers are within a fifth",
                {"rule": rule.text, "tier": found.tier.value},
            )
            break
    lively = scores.get(ScoreKind.ENGAGEMENT)
    if lively is None or lively.value is None or lively.value < HIGH_ENGAGEMENT:
        return
    bought = scores.get(ScoreKind.LIFETIME_VALUE)
    numbers = {"engagement": lively.value, "reasons": lively.reasons["top"]}
    if bought is None:
        why = "lively, and has not ordered yet"
        yield Recommendation("action", "make a first offer", why, numbers)
    elif found.referral_code is None:
        why = "a lively customer without a code to pass on"
        yield Recommendation("action", "ask for a referral", why, numbers)
