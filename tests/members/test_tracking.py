"""Mirrors members/tracking.py and members/rollup.py: what members did, kept once, in any order."""

import threading
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from accounts.client import create_client
from core.address import AddressHasher
from core.clock import ManualClock
from core.db import Sessions, read, write
from members.edit import create_member
from members.errors import MemberInvalidError
from members.event import Event, EventDay, EventKey, EventTotal
from members.identity import ANONYMOUS, resolve
from members.member import Member
from members.rollup import recount
from members.tracking import ToldEvent, Tracked, amount_of, happened_at, track

HASHER = AddressHasher(b"a key for tests")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def told(number: int, **other: Any) -> ToldEvent:
    values: dict[str, Any] = {
        "name": "purchase",
        "message_id": f"m{number}",
        "person": {"email": "ana@example.com"},
    }
    return ToldEvent(**(values | other))


@pytest.fixture
def tracked(sessions: Sessions, clock: ManualClock, client_id: int):
    """Tracks events in a transaction of their own."""

    def run(*events: ToldEvent) -> Tracked:
        with write(sessions) as session:
            return track(session, clock, HASHER, client_id=client_id, events=events)

    return run


def rollups(session: Session) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for model in (EventDay, EventTotal):
        for row in session.scalars(select(model)):
            day = row.day if isinstance(row, EventDay) else None
            amount = round(Decimal(row.amount), 4)
            rows.append(
                (day, row.name, row.member_id, row.count, amount, row.first_at, row.last_at)
            )
    return sorted(rows, key=repr)


def test_an_event_is_kept_with_its_member_amount_and_rollups(tracked, sessions) -> None:
    result = tracked(told(1, properties={"total": 49.9, "sku": "A-1"}), told(2))

    assert result == Tracked(new=2, duplicates=0, rejected=[])
    with read(sessions) as session:
        event = session.scalars(select(Event).where(Event.message_id == "m1")).one()
        assert event.amount == Decimal("49.9")
        assert event.properties == {"total": 49.9, "sku": "A-1"}
        total = session.scalars(select(EventTotal)).one()
        assert (total.count, total.amount) == (2, Decimal("49.9"))
        member = session.scalars(select(Member)).one()
        assert (member.email, member.last_active) == ("ana@example.com", NOON)


def test_a_message_id_counts_once_in_a_set_and_ever_after(tracked, sessions) -> None:
    assert tracked(told(1), told(1)).duplicates == 1
    assert tracked(told(1), told(2)) == Tracked(new=1, duplicates=1, rejected=[])

    with read(sessions) as session:
        assert session.scalars(select(EventTotal.count)).one() == 2


def test_message_ids_of_two_clients_are_two(tracked, sessions, clock) -> None:
    tracked(told(1))
    with write(sessions) as session:
        other = create_client(session, clock, name="Other", address="2 Test Street").id
        result = track(session, clock, HASHER, client_id=other, events=[told(1)])

    assert result.new == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"message_id": "a\x00b"}, "message_id"),
        ({"message_id": "a\ud800"}, "message_id"),
        ({"person": {}}, "person"),
        ({"person": {"email": "nobody"}}, "email"),
        ({"person": {"phone": "12"}}, "phone"),
        ({"properties": {"x": float("nan")}}, "properties"),
        ({"properties": {"x": "y" * 40_000}}, "properties"),
        ({"properties": {"x": "a\x00"}}, "properties"),
        ({"properties": {"x": "a\ud800"}}, "properties"),
        ({"properties": {"x": {1, 2}}}, "properties"),
        ({"occurred_at": NOON - timedelta(days=3654)}, "occurred_at"),
        ({"occurred_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))}, "occurred_at"),
    ],
)
def test_what_cannot_be_kept_is_told_and_the_rest_is_kept(
    changes: dict[str, Any], field: str, tracked
) -> None:
    result = tracked(told(1), told(2, **changes), told(3))

    assert result.new == 2
    assert [(one.index, one.field) for one in result.rejected] == [(1, field)]


def test_too_many_at_once_are_refused_whole(tracked, sessions) -> None:
    with pytest.raises(MemberInvalidError, match="1001"):
        tracked(*[told(n) for n in range(1001)])
    with read(sessions) as session:
        assert session.scalars(select(EventKey)).first() is None


def test_a_visitor_is_one_member_by_its_anonymous_id(tracked, sessions, client_id) -> None:
    visitor = {"anonymous_id": "v-1"}
    tracked(
        told(1, person=visitor), told(2, person=visitor), told(3, person={"anonymous_id": "v-2"})
    )
    tracked(told(4, person=visitor))

    with read(sessions) as session:
        totals = {row.member_id: row.count for row in session.scalars(select(EventTotal))}
        names = [(ANONYMOUS, "v-1"), (ANONYMOUS, "v-2")]
        known = resolve(session, client_id=client_id, names=names)
    assert totals == {known[names[0]]: 3, known[names[1]]: 1}


def test_who_is_named_with_an_anonymous_id_is_known_by_it_afterwards(tracked, sessions) -> None:
    tracked(told(1, person={"email": "ana@example.com", "anonymous_id": "v-1"}))
    tracked(told(2, person={"anonymous_id": "v-1"}))

    with read(sessions) as session:
        assert session.scalars(select(EventTotal.count)).one() == 2


def test_spellings_of_one_address_are_one_member(tracked, sessions) -> None:
    tracked(told(1), told(2, person={"email": " ANA@Example.COM "}))

    with read(sessions) as session:
        assert session.scalars(select(EventTotal.count)).one() == 2


@pytest.mark.parametrize(
    ("said", "sent", "expected"),
    [
        (None, None, NOON),
        (NOON - timedelta(days=3), None, NOON - timedelta(days=3)),
        (NOON + timedelta(days=3), None, NOON),
        # a device an hour fast: sent “13:00” at our 12:00, so what it calls 12:50 was 11:50
        (NOON + timedelta(minutes=50), NOON + timedelta(hours=1), NOON - timedelta(minutes=10)),
        (NOON - timedelta(days=400), NOON - timedelta(days=399), NOON - timedelta(days=1)),
    ],
)
def test_a_wrong_clock_is_mended(
    said: datetime | None, sent: datetime | None, expected: datetime
) -> None:
    assert happened_at(said, sent, NOON) == expected


@pytest.mark.parametrize(
    ("properties", "amount"),
    [
        ({"total": 10, "revenue": 9}, Decimal(10)),
        ({"total": "10", "revenue": 9.5}, Decimal("9.5")),
        ({"value": True}, None),
        ({"value": float("inf")}, None),
        ({"value": 10**12}, None),
        ({}, None),
    ],
)
def test_the_amount_is_the_first_number_that_means_one(
    properties: dict[str, Any], amount: Decimal | None
) -> None:
    assert amount_of(properties) == amount


EVENTS = st.lists(
    st.builds(
        lambda number, who, name, hours, total: told(
            number,
            name=name,
            person={"email": f"{who}@example.com"},
            occurred_at=NOON - timedelta(hours=hours),
            properties={} if total is None else {"total": total / 100},
        ),
        st.integers(1, 12),
        st.sampled_from(["ana", "ben"]),
        st.sampled_from(["purchase", "visit"]),
        st.integers(0, 72),
        st.none() | st.integers(0, 10_000),
    ),
    unique_by=lambda event: event.message_id,
    max_size=12,
)


@settings(
    max_examples=15,
    suppress_health_check=list(HealthCheck),  # emptied by the test itself
)
@given(events=EVENTS, data=st.data())
def test_any_order_repeats_and_split_give_the_same_rollups_as_a_recount(
    sessions: Sessions, clock: ManualClock, client_id: int, events: list[ToldEvent], data: Any
) -> None:
    found = []
    with write(sessions) as session:
        for who in ("ana", "ben"):
            if session.scalar(select(Member).where(Member.email == f"{who}@example.com")) is None:
                create_member(
                    session, clock, HASHER, client_id=client_id, email=f"{who}@example.com"
                )
    for _ in range(2):
        shuffled = data.draw(st.permutations(events + events[:3]))
        cut = data.draw(st.integers(0, len(shuffled)))
        with write(sessions) as session:
            for model in (EventDay, EventTotal, Event, EventKey):
                session.execute(delete(model))
            for part in (shuffled[:cut], shuffled[cut:]):
                track(session, clock, HASHER, client_id=client_id, events=part)
            found.append(rollups(session))
    with write(sessions) as session:
        recount(session, client_id=client_id, member_ids=list(session.scalars(select(Member.id))))
        session.expire_all()
        counted = rollups(session)

    assert found[0] == found[1] == counted


def test_the_same_set_told_by_two_at_once_counts_once(sessions, clock, client_id) -> None:
    events = [told(n, person={"email": f"m{n % 7}@example.com"}) for n in range(60)]
    results: list[Tracked] = []
    errors: list[BaseException] = []

    def run(part: list[ToldEvent]) -> None:
        try:
            with write(sessions) as session:
                results.append(track(session, clock, HASHER, client_id=client_id, events=part))
        except BaseException as error:  # noqa: BLE001  (told to the test)
            errors.append(error)

    threads = [threading.Thread(target=run, args=(part,)) for part in (events, events[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert sorted(one.new for one in results) == [0, 60]
    with read(sessions) as session:
        assert sum(session.scalars(select(EventTotal.count))) == 60
