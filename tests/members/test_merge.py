"""Mirrors members/merge.py, members/moving.py and members/identity.py."""

import secrets
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from communications.communication import Communication
from core.clock import ManualClock
from core.db import Sessions, write
from echelonx.tables import METADATA
from members import identity, queries
from members.address import MemberAddress
from members.consent import ConsentState, CurrentConsent, record
from members.errors import (
    MemberInvalidError,
    MemberKeyTakenError,
    MemberNotFoundError,
    MergeError,
    MergeNotFoundError,
)
from members.event import Event, EventDay, EventKey, EventTotal
from members.identity import attach, name_outside, resolve
from members.member import Member, MemberTag
from members.merge import Merge, merge, merges_page, undo_merge
from members.note import write_note
from members.order import Order, OrderKind
from members.referral import Commission
from members.segment import Pin, Segment, SegmentMember, create_segment
from tests.factories import Factory

GRANTED, WITHDRAWN = ConsentState.GRANTED, ConsentState.WITHDRAWN


@pytest.fixture
def make(sessions: Sessions, clock: ManualClock, client_id: int) -> Factory:
    return Factory(sessions, clock, client_id)


@pytest.fixture
def joined(sessions: Sessions, clock: ManualClock, client_id: int):
    """Merge the second into the first; return the merge's id."""

    def run(survivor_id: int, absorbed_id: int) -> int:
        with write(sessions) as session:
            done = merge(
                session,
                clock,
                client_id=client_id,
                survivor_id=survivor_id,
                absorbed_id=absorbed_id,
                actor="key:1",
            )
            return done.id

    return run


@pytest.fixture
def parted(sessions: Sessions, clock: ManualClock, client_id: int):
    """Undo a merge."""

    def run(merge_id: int) -> None:
        with write(sessions) as session:
            undo_merge(session, clock, client_id=client_id, merge_id=merge_id)

    return run


def one(sessions: Sessions, client_id: int, member_id: int) -> Member:
    with sessions() as session:
        return queries.member(session, client_id, member_id)


def test_the_survivor_is_completed_and_keeps_what_it_has(make, sessions, client_id, joined) -> None:
    kept = make.member(first_name="Ana", attributes={"city": "Berlin"}, total_spend=Decimal(10))
    gone = make.member(
        first_name="Anna",
        last_name="Li",
        date_of_birth=date(1990, 1, 31),
        attributes={"city": "Rome", "size": "M"},
        total_spend=Decimal(5),
    )
    joined(kept, gone)

    after = one(sessions, client_id, kept)
    assert (after.first_name, after.last_name) == ("Ana", "Li")
    assert after.date_of_birth == date(1990, 1, 31)
    assert after.attributes == {"city": "Berlin", "size": "M"}
    assert after.total_spend == Decimal(15)
    with pytest.raises(MemberNotFoundError), sessions() as session:
        queries.member(session, client_id, gone)


def test_every_old_key_leads_to_the_survivor(make, sessions, client_id, joined) -> None:
    a, b, c = make.member(member_id="a"), make.member(member_id="b"), make.member(member_id="c")
    with write(sessions) as session:
        attach(session, client_id=client_id, names=[("anonymous", "visitor-1", a)])
    joined(b, a)
    joined(c, b)

    with sessions() as session:
        for key in ("a", "B ", "c"):
            assert queries.member_by_key(session, client_id, key).id == c
        names = [("anonymous", "visitor-1"), ("member_id", "a"), ("member_id", "b")]
        assert resolve(session, client_id=client_id, names=names) == dict.fromkeys(names, c)


@pytest.mark.parametrize(
    ("own", "theirs", "after"),
    [
        (GRANTED, WITHDRAWN, WITHDRAWN),
        (WITHDRAWN, GRANTED, WITHDRAWN),
        (None, GRANTED, GRANTED),
        (GRANTED, None, GRANTED),
        (GRANTED, GRANTED, GRANTED),
    ],
)
def test_a_withdrawal_of_either_wins(
    own, theirs, after, make, sessions, clock, client_id, joined
) -> None:
    kept, gone = make.member(), make.member()
    with write(sessions) as session:
        for member_id, state in ((kept, own), (gone, theirs)):
            clock.advance(seconds=60)
            if state is not None:
                say(session, clock, client_id, member_id, state)
    joined(kept, gone)

    with sessions() as session:
        found = select(CurrentConsent.state).where(CurrentConsent.member_id == kept)
        assert session.scalars(found).one() is after
    clock.advance(seconds=60)
    with write(sessions) as session:
        say(session, clock, client_id, kept, GRANTED)
        assert session.scalars(found).one() is GRANTED


def say(session, clock, client_id, member_id, state, channel="email") -> None:
    record(
        session,
        clock,
        client_id=client_id,
        member_id=member_id,
        channel=channel,
        state=state,
        source="test",
    )


def test_addresses_move_and_one_of_a_kind_is_primary(make, sessions, joined) -> None:
    kept, gone = make.member(), make.member()
    make.address(kept, "email", "ana@example.com")
    make.address(gone, "email", "anna@example.com")
    make.address(gone, "sms", "+12015550123")
    joined(kept, gone)

    with sessions() as session:
        held = session.scalars(
            select(MemberAddress).where(MemberAddress.member_id == kept).order_by("id")
        )
        assert [(a.value, a.is_primary) for a in held] == [
            ("ana@example.com", True),
            ("anna@example.com", False),
            ("+12015550123", True),
        ]


def test_messages_follow_but_for_a_second_of_one_run(make, sessions, joined) -> None:
    kept, gone = make.member(), make.member()
    mine = make.message(kept, run_id=1)
    twin = make.message(gone, run_id=1)
    other = make.message(gone, run_id=2)
    joined(kept, gone)

    with sessions() as session:
        owner = dict(session.execute(select(Communication.id, Communication.member_id)).all())
    assert owner == {mine: kept, twin: gone, other: kept}


def test_nobody_is_referred_by_themselves_or_by_whom_they_referred(
    make, sessions, client_id, joined
) -> None:
    top = make.member()
    grandparent = make.member(referred_by=top)
    parent = make.member(referred_by=grandparent)
    child = make.member(referred_by=parent)
    joined(child, grandparent)

    assert one(sessions, client_id, child).referred_by == top
    assert one(sessions, client_id, parent).referred_by == child


def test_what_cannot_be_merged_is_refused(make, sessions, clock, client_id, joined, parted) -> None:
    kept, gone = make.member(), make.member()
    stranger = make.another_client().member()
    with pytest.raises(MergeError):
        joined(kept, kept)
    for pair in ((kept, stranger), (stranger, kept)):
        with pytest.raises(MemberNotFoundError):
            joined(*pair)
    merge_id = joined(kept, gone)
    with pytest.raises(MemberNotFoundError):
        joined(kept, gone)
    parted(merge_id)
    with pytest.raises(MergeError):
        parted(merge_id)
    with pytest.raises(MergeNotFoundError):
        parted(99_999)


def test_an_inner_merge_is_undone_after_the_outer_one(make, client_id, joined, parted) -> None:
    a, b, c = make.member(), make.member(), make.member()
    inner, outer = joined(b, a), joined(c, b)

    with pytest.raises(MergeError) as refused:
        parted(inner)
    assert refused.value.remedy
    parted(outer)
    parted(inner)


def test_what_came_after_the_merge_stays_with_the_survivor(
    make, sessions, clock, client_id, joined, parted
) -> None:
    kept = make.member(first_name="Ana", total_spend=Decimal(10))
    gone = make.member(last_name="Li", location="Rome", total_spend=Decimal(5))
    merge_id = joined(kept, gone)
    with write(sessions) as session:
        found = queries.member(session, client_id, kept)
        found.last_name, found.total_spend = "Lee", Decimal(22)
        write_note(session, clock, client_id=client_id, member_id=kept, author="a", text="New")
    parted(merge_id)

    after = one(sessions, client_id, kept)
    assert (after.last_name, after.location, after.total_spend) == ("Lee", None, Decimal(17))
    assert one(sessions, client_id, gone).total_spend == Decimal(5)


def test_merges_are_listed_newest_first(make, sessions, client_id, joined) -> None:
    a, b, c = make.member(), make.member(), make.member()
    first, second = joined(a, b), joined(a, c)

    with sessions() as session:
        assert [m.id for m in merges_page(session, client_id)] == [second, first]
        assert [m.id for m in merges_page(session, client_id, member_id=a, limit=1)] == [second]
        assert merges_page(session, client_id + 1) == []


def test_an_id_elsewhere_belongs_to_one_member(make, sessions, client_id) -> None:
    a, b = make.member(), make.member()

    def name(member_id: int, value: str, system: str = "Shopify") -> None:
        with write(sessions) as session:
            name_outside(
                session, client_id=client_id, member_id=member_id, system=system, value=value
            )

    name(a, "7")
    name(a, "8")
    with pytest.raises(MemberKeyTakenError):
        name(b, "8")
    for system, value in (
        ("no spaces", "1"),
        ("", "1"),
        ("x" * 23, "1"),
        ("shop", ""),
        ("s", "\0"),
    ):
        with pytest.raises(MemberInvalidError):
            name(b, value, system)
    with sessions() as session:
        held = identity.identities(session, client_id=client_id, member_id=a)
        assert [(one.kind, one.value) for one in held] == [("external:shopify", "8")]


# The law: merge, then undo, changes nothing.

PEOPLE = st.fixed_dictionaries(
    {
        "first_name": st.sampled_from([None, "Ana", "Bo"]),
        "last_name": st.sampled_from([None, "Li"]),
        "email": st.sampled_from([None, "a@example.com"]),
        "attributes": st.dictionaries(st.sampled_from("abc"), st.integers(0, 3), max_size=3),
        "total_spend": st.sampled_from([None, Decimal("1.5000"), Decimal("7.0000")]),
        "date_of_birth": st.sampled_from([None, date(1990, 1, 31)]),
        "referral_code": st.sampled_from([None, "code"]),
    }
)
AMOUNTS = st.sampled_from([Decimal(0), Decimal("9.5000"), Decimal("20.0000")])
BELONGINGS = st.fixed_dictionaries(
    {
        "addresses": st.sets(st.sampled_from(["email:a", "email:b", "sms:1", "push:x"])),
        "tags": st.sets(st.sampled_from(["vip", "new", "old"])),
        "consents": st.lists(
            st.tuples(st.sampled_from(["email", "sms"]), st.sampled_from([GRANTED, WITHDRAWN])),
            max_size=3,
        ),
        "segments": st.sets(st.integers(0, 1)),
        "runs": st.sets(st.integers(1, 3)),
        "notes": st.integers(0, 2),
        "orders": st.integers(0, 2),
        "events": st.lists(
            st.tuples(st.sampled_from(["purchase", "visit"]), st.integers(0, 30), AMOUNTS),
            max_size=5,
        ),
        "names": st.sets(st.sampled_from(["one", "two"])),
    }
)
PERSON = st.tuples(PEOPLE, BELONGINGS)
CHANGING = {"version", "updated_at"}


@settings(
    max_examples=15,
    suppress_health_check=list(HealthCheck),
)
@given(kept=PERSON, gone=PERSON, related=st.sampled_from(["", "up", "down"]))
def test_merge_then_undo_changes_nothing(
    kept, gone, related, make, sessions, clock, client_id, joined, parted
) -> None:
    first, second = person(make, *kept), person(make, *gone)
    make.member(referred_by=second)
    with write(sessions) as session:
        if related:
            child, parent = (first, second) if related == "up" else (second, first)
            session.get_one(Member, child).referred_by = parent
    before = everything(sessions)

    merge_id = joined(first, second)
    assert everything(sessions) != before
    parted(merge_id)

    assert everything(sessions) == before


def person(make: Factory, columns: dict[str, Any], belongings: dict[str, Any]) -> int:
    member_id = make.member(**columns)
    with write(make.sessions) as session:
        seen: set[str] = set()
        for text in sorted(belongings["addresses"]):
            kind, _, value = text.partition(":")
            session.add(address(make, member_id, kind, value, primary=kind not in seen))
            seen.add(kind)
        session.add_all(
            MemberTag(client_id=make.client_id, member_id=member_id, tag=tag)
            for tag in belongings["tags"]
        )
        for channel, state in belongings["consents"]:
            make.clock.advance(seconds=1)
            say(session, make.clock, make.client_id, member_id, state, channel)
        for number in belongings["segments"]:
            session.add(
                SegmentMember(
                    client_id=make.client_id,
                    member_id=member_id,
                    segment_id=segment(session, make, f"S{number}"),
                )
            )
        for number in range(belongings["notes"]):
            write_note(
                session,
                make.clock,
                client_id=make.client_id,
                member_id=member_id,
                author="a",
                text=str(number + 1),
            )
        happen(session, make, member_id, belongings["events"])
        for number in range(belongings["orders"]):
            earn(session, make, member_id, f"{member_id}-{number}")
        names = [("anonymous", f"{name}-{member_id}", member_id) for name in belongings["names"]]
        attach(session, client_id=make.client_id, names=names)
    for run in belongings["runs"]:
        # Runs of this pair alone: what earlier examples made stands in the same tables.
        make.message(member_id, run_id=run)
    return member_id


def happen(session, make: Factory, member_id: int, told: list[tuple[str, int, Decimal]]) -> None:
    """Store events and their rollups; times are hours before now."""
    now = make.clock.now()
    for name, hours, amount in told:
        key = EventKey(client_id=make.client_id, digest=secrets.token_bytes(16), occurred_at=now)
        session.add(key)
        session.flush()
        at = now - timedelta(hours=hours)
        session.add(
            Event(
                id=key.id,
                client_id=make.client_id,
                member_id=member_id,
                name=name,
                message_id=str(key.id),
                properties={},
                amount=amount,
                occurred_at=at,
                received_at=now,
            )
        )
        for model, more in ((EventDay, {"day": at.date()}), (EventTotal, {})):
            which = {"client_id": make.client_id, "name": name, "member_id": member_id} | more
            row = session.get(model, which)
            if row is None:
                row = model(**which, count=0, amount=Decimal(0), first_at=at, last_at=at)
                session.add(row)
            row.count, row.amount = row.count + 1, row.amount + amount
            row.first_at, row.last_at = min(row.first_at, at), max(row.last_at, at)
        session.flush()


def earn(session, make: Factory, member_id: int, order_id: str) -> None:
    """Store an order of a member, who earns a commission on it."""
    now = make.clock.now()
    values = {"client_id": make.client_id, "amount": Decimal(5), "currency": "USD"}
    order = Order(
        **values,
        member_id=member_id,
        order_id=order_id,
        kind=OrderKind.ORDER,
        occurred_at=now,
        created_at=now,
    )
    session.add(order)
    session.flush()
    session.add(
        Commission(
            **values,
            referrer_id=member_id,
            referred_id=member_id,
            order_row_id=order.id,
            rate=Decimal("0.1"),
            created_at=now,
        )
    )


def test_who_was_kept_out_of_a_segment_stays_out(make, sessions, client_id, joined) -> None:
    kept, gone = make.member(), make.member()
    with write(sessions) as session:
        segment_id = segment(session, make, "Warm")
        session.add(
            SegmentMember(
                client_id=client_id, member_id=gone, segment_id=segment_id, pin=Pin.EXCLUDE
            )
        )
    joined(kept, gone)

    with sessions() as session:
        pins = select(SegmentMember.pin).where(SegmentMember.member_id == kept)
        assert session.scalars(pins).all() == [Pin.EXCLUDE]


def test_orders_follow(make, sessions, joined) -> None:
    kept, gone = make.member(), make.member()
    with write(sessions) as session:
        earn(session, make, gone, "o-1")
    joined(kept, gone)

    with sessions() as session:
        assert session.scalars(select(Order.member_id)).all() == [kept]
        earned = session.scalars(select(Commission)).one()
    assert (earned.referrer_id, earned.referred_id) == (kept, kept)


def recounted(session, member_id: int) -> dict[str, tuple[int, Decimal, Any, Any]]:
    """A member's events, counted from the rows."""
    found: dict[str, tuple[int, Decimal, Any, Any]] = {}
    for event in session.scalars(select(Event).where(Event.member_id == member_id)):
        at, amount = event.occurred_at, event.amount or Decimal(0)
        count, total, first, last = found.get(event.name, (0, Decimal(0), at, at))
        found[event.name] = (count + 1, total + amount, min(first, at), max(last, at))
    return found


def totals(session, member_id: int) -> dict[str, tuple[int, Decimal, Any, Any]]:
    """A member's events, by the rollups; both must say the same."""
    rows = session.scalars(select(EventTotal).where(EventTotal.member_id == member_id)).all()
    days = session.scalars(select(EventDay).where(EventDay.member_id == member_id)).all()
    for row in rows:
        of_name = [day for day in days if day.name == row.name]
        assert (row.count, row.amount) == (
            sum(day.count for day in of_name),
            sum((day.amount for day in of_name), Decimal(0)),
        )
    return {row.name: (row.count, row.amount, row.first_at, row.last_at) for row in rows}


def test_events_follow_and_the_rollups_equal_a_recount(
    make, sessions, clock, client_id, joined, parted
) -> None:
    kept, gone = make.member(), make.member()
    with write(sessions) as session:
        happen(session, make, kept, [("purchase", 3, Decimal(5)), ("visit", 50, Decimal(0))])
        happen(session, make, gone, [("purchase", 1, Decimal(7)), ("purchase", 60, Decimal(2))])
        happen(session, make, gone, [("opened", 2, Decimal(0))])
    merge_id = joined(kept, gone)
    with sessions() as session:
        assert totals(session, kept) == recounted(session, kept)
        assert totals(session, kept)["purchase"][:2] == (3, Decimal(14))
        assert totals(session, gone) == recounted(session, gone) == {}
    clock.advance(hours=1)
    with write(sessions) as session:
        happen(session, make, kept, [("purchase", 70, Decimal(1)), ("opened", 0, Decimal(0))])
    parted(merge_id)

    with sessions() as session:
        for one in (kept, gone):
            assert totals(session, one) == recounted(session, one) != {}


def address(
    make: Factory, member_id: int, kind: str, value: str, *, primary: bool
) -> MemberAddress:
    now = make.clock.now()
    return MemberAddress(
        client_id=make.client_id,
        member_id=member_id,
        channel=kind,
        value=value,
        hash=make.hash(kind, value),
        is_primary=primary,
        created_at=now - timedelta(days=1),
        updated_at=now,
    )


def segment(session, make: Factory, name: str) -> int:
    found = session.scalar(select(Segment.id).where(Segment.name == name))
    if found is not None:
        return found
    return create_segment(
        session, make.clock, client_id=make.client_id, name=name, rule="everyone"
    ).id


def everything(sessions: Sessions) -> dict[str, list[Any]]:
    """Every row of every table that a merge may touch."""
    left_out = {Merge.__tablename__, "member_changes"}
    with sessions() as session:
        return {
            table.name: sorted(
                [
                    str({name: row[name] for name in row if name not in CHANGING})
                    for row in session.execute(select(table)).mappings()
                ]
            )
            for table in METADATA.sorted_tables
            if table.name not in left_out
        }
