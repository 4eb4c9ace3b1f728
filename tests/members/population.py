"""A population of random members in the database, and the same members as facts, for properties."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import insert, literal, update
from sqlalchemy.orm import Session

from campaigns.campaign import Campaign
from communications.communication import Communication
from core.clock import ManualClock
from core.db import Sessions, write
from members.address import AddressState, MemberAddress
from members.consent import ConsentState, CurrentConsent
from members.event import Event, EventDay, EventTotal
from members.identity import EXTERNAL, Identity
from members.match import Happened, MemberFacts
from members.member import Member, MemberTag
from members.messages import TIMES, Message
from members.segment import Pin, SegmentKind, SegmentMember, create_segment
from members.suppression import Scope, Suppression, SuppressionReason
from tests.members.conditions import LETTERS, NOW

ADDRESSES = {"email": "a@x.example", "sms": "+12015550100", "push": "token"}
WORDS = ("a", "A", "ab", "Berlin", "São", 'x"y', "50%", "_", "\\", "premium")
DAYS = (0, 1, 6, 7, 29, 30, 90)
CAMPAIGNS = ("Gift guide", 'A "b"')
SEGMENTS = {
    "vips": 'has tag "vip"',
    "listed": None,  # a list
    "few": 'in segment "vips" and not in segment "listed"',
}
NUMBERS = itertools.count(1)
HAVE: dict[str, Any] = {
    "first_name": None,
    "location": None,
    "gender": None,
    "tier": "basic",
    "status": "active",
    "engagement_score": None,
    "total_spend": None,
    "date_of_birth": None,
    "last_active": None,
    "attributes": {},
}
PERSON: dict[str, Any] = HAVE | {
    "tags": set(),
    "consents": {},
    "addresses": {},
    "external": set(),
    "pins": {},
    "events": (),
    "messages": (),
}
"""Somebody of whom nothing is known."""


@dataclass(frozen=True, slots=True)
class World:
    """What members belong to: a client, its segments and its campaigns, by name."""

    client_id: int
    segments: Mapping[str, int]
    campaigns: Mapping[str, int]

    def __repr__(self) -> str:
        return "World"


def people(random: Random, number: int) -> list[dict[str, Any]]:
    """Return so many random people: what their rows hold, and what belongs to them."""
    drawn = [_person(random) for _ in range(number)]
    taken: set[tuple[str, str]] = set()
    for person in drawn:
        # An id in another system belongs to one member.
        person["external"] -= taken
        taken |= person["external"]
    return drawn


def crowds(most: int = 8) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Any few people; a failure is shown with the fewest and plainest."""
    numbers = st.randoms(use_true_random=False)
    return numbers.map(lambda random: people(random, random.randint(1, most)))


def _person(random: Random) -> dict[str, Any]:
    return {
        "first_name": random.choice((None, _word(random))),
        "location": random.choice((None, _word(random))),
        "gender": random.choice((None, "female", "other")),
        "tier": random.choice(("basic", "premium")),
        "status": random.choice(("active", "churned", "suspended")),
        "engagement_score": random.choice((None, 0.0, 0.1, 1.0, 2.5, 100.0)),
        "total_spend": random.choice((None, *map(Decimal, ("0", "0.1", "2.5", "2.5001", "-1")))),
        "date_of_birth": random.choice((None, _birth(random))),
        "last_active": random.choice((None, _time(random))),
        "attributes": _some(
            random,
            city=("", "Berlin", _word(random), 3, None),
            n=(-1, 0, 0.1, 2, 2.5, 2.0, 1000000, 10**17, 1e300, "2", True),
            flag=(True, False, "true", 1, None),
        ),
        "tags": _part(random, ("vip", "lead", "x y")),
        "consents": {
            asked: random.choice(tuple(ConsentState))
            for asked in _part(random, (("email", "marketing"), ("sms", "news"), ("push", "news")))
        },
        "addresses": {
            kind: random.choice(("good", "good", "invalid", "second", *Scope))
            for kind in _part(random, tuple(ADDRESSES))
        },
        "external": _part(
            random, [(system, f"{n}") for system in ("shopify", "my-shop.2") for n in (1, 12, 3)]
        ),
        "pins": _some(random, vips=tuple(Pin), listed=(Pin.INCLUDE,), few=tuple(Pin)),
        "events": tuple(_event(random) for _ in range(random.randint(0, 5))),
        "messages": tuple(_message(random) for _ in range(random.randint(0, 3))),
    }


def _word(random: Random) -> str:
    some = "".join(random.choice(LETTERS) for _ in range(random.randint(0, 3)))
    return random.choice((*WORDS, some, some, some))


def _some(random: Random, **values: Sequence[Any]) -> dict[str, Any]:
    return {name: random.choice(some) for name, some in values.items() if random.random() < 0.7}


def _part(random: Random, values: Sequence[Any]) -> set[Any]:
    return {value for value in values if random.random() < 0.4}


def _birth(random: Random) -> date:
    return NOW.date() - timedelta(days=random.choice((-1, 0, 1, 7, 8)))


def _time(random: Random) -> datetime:
    day = NOW.date() - timedelta(days=random.choice((-9, -1, *DAYS)))
    times = (time(0), time(9), time(12), time(12, 0, 0, 1), time(23, 59, 59, 999999))
    return datetime.combine(day, random.choice(times), UTC)


def _event(random: Random) -> Happened:
    amounts = (None, *map(Decimal, ("0", "0.1", "0.2", "0.3", "10", "20.5", "-5")))
    properties = _some(
        random,
        category=("shoes", "hats", "shoes, hats", _word(random)),
        status=("shoes", 3, True, None, ["shoes"], {"shoes": 1}),
        n=(0, 0.3, 10, 10.0, 1e300, "10", False),
    )
    name = random.choice(("purchase", "opted in"))
    return Happened(name, _time(random), random.choice(amounts), properties)


def _message(random: Random) -> Message:
    return Message(
        channel=random.choice(("email", "sms")),
        status=random.choice(("sent", "bounced", "failed", "clicked")),
        campaign=random.choice((None, *CAMPAIGNS)),
        times={name: _time(random) for name in TIMES if random.random() < 0.3},
    )


def facts(person: dict[str, Any], member_id: int) -> MemberFacts:
    """Return what is known of a person."""
    fields = HAVE | {name: person[name] for name in HAVE if name in person}
    del fields["attributes"]
    good = ("good", Scope.MARKETING)
    return MemberFacts(
        fields=fields
        | {
            "member_id": f"m{member_id}",
            "created_at": NOW,
            "updated_at": NOW,
            "email": _email(person),
        },
        attributes=person["attributes"],
        external={
            system: frozenset(value for of, value in person["external"] if of == system)
            for system, _ in person["external"]
        },
        tags=frozenset(person["tags"]),
        consents=frozenset(
            asked for asked, said in person["consents"].items() if said is ConsentState.GRANTED
        ),
        reachable=frozenset(kind for kind, how in person["addresses"].items() if how in good),
        segments=_segments(person),
        events=person["events"],
        messages=person["messages"],
        id=member_id,
    )


def _segments(person: dict[str, Any]) -> frozenset[str]:
    """Return the segments a person is in: a pin goes before a rule."""
    pins = {name: pin is Pin.INCLUDE for name, pin in person["pins"].items()}
    vip = pins.get("vips", "vip" in person["tags"])
    listed = "listed" in pins
    inside = {"vips": vip, "listed": listed, "few": pins.get("few", vip and not listed)}
    return frozenset(name for name, is_in in inside.items() if is_in)


def _email(person: dict[str, Any]) -> str | None:
    return ADDRESSES["email"] if "email" in person["addresses"] else None


def world(sessions: Sessions, client_id: int) -> World:
    """Make the segments and campaigns that members belong to."""
    owner = {"client_id": client_id, "created_at": NOW, "updated_at": NOW}
    with write(sessions) as session:
        segments = {
            name: create_segment(
                session,
                ManualClock(NOW),
                client_id=client_id,
                name=name,
                rule=rule or "everyone",
                kind=SegmentKind.DYNAMIC if rule else SegmentKind.STATIC,
            ).id
            for name, rule in SEGMENTS.items()
        }
        campaigns = [Campaign(name=name, type="email", **owner) for name in CAMPAIGNS]
        session.add_all(campaigns)
        session.flush()
        return World(client_id, segments, {one.name: one.id for one in campaigns})


def fill(sessions: Sessions, client_id: int, persons: Sequence[dict[str, Any]]) -> list[int]:
    """Store people with all that is theirs, and the segments and campaigns; return their ids."""
    made = world(sessions, client_id)
    with write(sessions) as session:
        return store(session, made, persons)


def store(session: Session, made: World, persons: Sequence[dict[str, Any]]) -> list[int]:
    """Store people with all that is theirs; return their ids."""
    if not persons:
        return []
    owner = {"client_id": made.client_id, "created_at": NOW, "updated_at": NOW}
    members = [
        HAVE
        | {name: person[name] for name in HAVE if name in person}
        | {"member_id": f"new{next(NUMBERS)}", "email": _email(person)}
        | owner
        for person in persons
    ]
    added = insert(Member).returning(Member.id, sort_by_parameter_order=True)
    ids = list(session.scalars(added, members))
    named = literal("m").concat(Member.id)
    session.execute(
        update(Member)
        .where(Member.id.in_(ids))
        .values(member_id=named)
        .execution_options(synchronize_session=False)
    )
    rows: dict[Any, list[dict[str, Any]]] = {}
    for person, member_id in zip(persons, ids, strict=True):
        owned = {"client_id": made.client_id, "member_id": member_id}
        for model, values in _rows(person, made, owner, member_id).items():
            mine = {} if model is Suppression else owned
            rows.setdefault(model, []).extend(value | mine for value in values)
    for model, values in rows.items():
        if values:
            session.execute(insert(model), values)
    return ids


def _rows(
    person: dict[str, Any], made: World, owner: dict[str, Any], member_id: int
) -> dict[Any, list[dict[str, Any]]]:
    """Return the rows that belong to a person, by their model."""
    return {
        MemberTag: [{"tag": tag} for tag in person["tags"]],
        CurrentConsent: [
            {"channel": channel, "topic": topic, "state": state, "occurred_at": NOW}
            for (channel, topic), state in person["consents"].items()
        ],
        Identity: [
            {"kind": EXTERNAL + system, "value": value} for system, value in person["external"]
        ],
        SegmentMember: [
            {"segment_id": made.segments[name], "pin": pin} for name, pin in person["pins"].items()
        ],
        Communication: [
            {
                "channel": message.channel,
                "status": message.status,
                "campaign_id": made.campaigns.get(message.campaign or ""),
                "not_before": NOW,
                **dict.fromkeys(TIMES),
                **message.times,
                **owner,
            }
            for message in person["messages"]
        ],
        **_reached(person["addresses"], owner, member_id),
        **_happened(person["events"]),
    }


def _reached(
    addresses: dict[str, str], owner: dict[str, Any], member_id: int
) -> dict[Any, list[dict[str, Any]]]:
    return {
        MemberAddress: [
            {
                "channel": kind,
                "value": ADDRESSES[kind],
                "hash": f"{kind}{member_id}",
                "state": AddressState.INVALID if how == "invalid" else AddressState.ACTIVE,
                "is_primary": how != "second",
                **owner,
            }
            for kind, how in addresses.items()
        ],
        Suppression: [
            {
                "client_id": owner["client_id"],
                "channel": kind,
                "address_hash": f"{kind}{member_id}",
                "masked": "x",
                "scope": Scope(how),
                "reason": SuppressionReason.MANUAL,
                "since": NOW,
            }
            for kind, how in addresses.items()
            if how in tuple(Scope)
        ],
    }


def _happened(events: Sequence[Happened]) -> dict[Any, list[dict[str, Any]]]:
    """Return the rows of events, and of the rollups that a recount of them gives."""
    days = {(event.name, event.occurred_at.date()) for event in events}
    names = {event.name for event in events}
    return {
        Event: [
            {
                "id": (number := next(NUMBERS)),
                "name": event.name,
                "message_id": str(number),
                "properties": dict(event.properties),
                "amount": event.amount,
                "occurred_at": event.occurred_at,
                "received_at": NOW,
            }
            for event in events
        ],
        EventDay: [
            {"name": name, "day": day}
            | _rolled([e for e in events if (e.name, e.occurred_at.date()) == (name, day)])
            for name, day in days
        ],
        EventTotal: [
            {"name": name} | _rolled([event for event in events if event.name == name])
            for name in names
        ],
    }


def _rolled(events: Sequence[Happened]) -> dict[str, Any]:
    times = [event.occurred_at for event in events]
    amount = sum((event.amount or Decimal(0) for event in events), Decimal(0))
    return {"count": len(times), "amount": amount, "first_at": min(times), "last_at": max(times)}
