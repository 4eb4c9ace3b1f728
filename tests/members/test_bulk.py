"""Mirrors members/bulk.py and members/plan.py."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from core.condition.check import ConditionError
from core.db import write
from members import bulk, queries
from members.bulk import BulkStatus, advance_bulk, preview_bulk, start_bulk, undo_bulk
from members.change import changes_page
from members.edit import delete_member
from members.errors import BulkEditError, BulkEditNotFoundError, MemberInvalidError
from members.member import Member, MemberTag, Tier
from members.person import MAX_ATTRIBUTES
from tests.factories import Factory


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 2)


@pytest.fixture
def make(sessions, clock, client_id) -> Factory:
    return Factory(sessions, clock, client_id)


@pytest.fixture
def start(sessions, clock, client_id):
    def run(chosen, **changes) -> int:
        with write(sessions) as session:
            return start_bulk(
                session, clock, client_id=client_id, chosen=chosen, changes=changes, actor="key:1"
            ).id

    return run


@pytest.fixture
def work(sessions, clock):
    """Do what there is to do, a transaction at a time; return in how many."""

    def run() -> int:
        for count in range(100):
            with write(sessions) as session:
                if not advance_bulk(session, clock):
                    return count
        raise AssertionError("it never ends")

    return run


@pytest.fixture
def undo(sessions, clock, client_id, work):
    def run(bulk_id: int) -> None:
        with write(sessions) as session:
            undo_bulk(session, clock, client_id=client_id, bulk_id=bulk_id)
        work()

    return run


def look(sessions, client_id, bulk_id):
    with sessions() as session:
        return bulk.bulk_edit(session, client_id, bulk_id)


def state(sessions):
    """All that a bulk edit may change."""
    with sessions() as session:
        members = select(Member.id, Member.tier, Member.location, Member.attributes)
        tags = select(MemberTag.member_id, MemberTag.tag)
        return (
            [tuple(row) for row in session.execute(members.order_by(Member.id))],
            sorted(tuple(row) for row in session.execute(tags)),
        )


def test_many_are_changed_a_chunk_at_a_time_and_counted(
    make, sessions, client_id, start, work
) -> None:
    ids = [make.member(location="Rome", attributes={"a": number}) for number in range(4)]
    same = make.member(location="Rome", attributes={"a": 9, "b": 1}, tier=Tier.ELITE)
    full = make.member(attributes={str(number): 1 for number in range(MAX_ATTRIBUTES)})

    bulk_id = start({"ids": [*ids, same, full]}, tier="elite", attributes={"b": 1})
    assert look(sessions, client_id, bulk_id).total == 6
    assert work() == 4

    done = look(sessions, client_id, bulk_id)
    assert done.status is BulkStatus.DONE
    assert (done.total, done.changed, done.unchanged, done.failed) == (6, 4, 1, 1)
    with sessions() as session:
        errors = bulk.bulk_errors(session, client_id, bulk_id)
        assert [(one.member_id, one.field) for one in errors] == [(full, "attributes")]
        first = queries.member(session, client_id, ids[0])
        assert (first.tier, first.attributes) == (Tier.ELITE, {"a": 0, "b": 1})
        history = changes_page(session, client_id, member_id=ids[0])
        assert [one.source for one in history] == [f"bulk:{bulk_id}"]
        assert history[0].changed["tier"] == ["basic", "elite"]


def test_a_rule_that_the_edit_makes_untrue_still_means_everyone(
    make, sessions, client_id, start, work
) -> None:
    for _ in range(5):
        make.member()
    bulk_id = start({"rule": 'tier = "basic"'}, tier="premium")
    work()

    assert look(sessions, client_id, bulk_id).changed == 5


def test_an_undo_leaves_everything_as_it_was(make, sessions, client_id, start, work, undo) -> None:
    for number in range(5):
        member_id = make.member(location="Rome" if number % 2 else None, attributes={"a": number})
        with write(sessions) as session:
            session.add(MemberTag(member_id=member_id, tag=f"t{number % 2}", client_id=client_id))
    before = state(sessions)

    bulk_id = start(
        {"rule": "everyone"},
        tier="elite",
        location=None,
        attributes={"a": 1, "b": 2},
        add_tags=["T1", "new"],
        remove_tags=["t0"],
    )
    work()
    assert state(sessions) != before
    undo(bulk_id)

    assert state(sessions) == before
    assert look(sessions, client_id, bulk_id).status is BulkStatus.UNDONE
    with pytest.raises(BulkEditError):
        undo(bulk_id)


def test_an_undo_spares_what_was_changed_since(
    make, sessions, clock, client_id, start, work, undo
) -> None:
    ana, bo, gone = make.member(), make.member(), make.member()
    bulk_id = start({"ids": [ana, bo, gone]}, location="Rome")
    work()
    with write(sessions) as session:
        session.get_one(Member, ana).location = "Berlin"
        delete_member(session, clock, client_id=client_id, id=gone)
    undo(bulk_id)

    with sessions() as session:
        found = [session.get_one(Member, one).location for one in (ana, bo, gone)]
    assert found == ["Berlin", None, "Rome"]


def test_tags_alone_are_given_and_taken_back(make, sessions, start, work, undo) -> None:
    ana = make.member()
    before = state(sessions)
    bulk_id = start({"ids": [ana]}, add_tags=["vip"])
    work()
    assert state(sessions)[1] == [(ana, "vip")]
    with sessions() as session:
        assert session.get_one(Member, ana).version == 2
    undo(bulk_id)

    assert state(sessions) == before


def test_after_a_day_there_is_no_undo(make, clock, start, work, undo) -> None:
    bulk_id = start({"ids": [make.member()]}, location="Rome")
    with pytest.raises(BulkEditError):
        undo(bulk_id)
    work()
    clock.set(clock.now() + timedelta(hours=24, seconds=1))

    with pytest.raises(BulkEditError) as refused:
        undo(bulk_id)
    assert refused.value.remedy


def test_a_preview_counts_and_shows_and_changes_nothing(make, sessions, clock, client_id) -> None:
    ids = [make.member() for _ in range(3)]
    before = state(sessions)
    with sessions() as session:
        found = preview_bulk(
            session,
            clock,
            client_id=client_id,
            chosen={"rule": "everyone"},
            changes={"tier": "elite", "add_tags": ["vip"]},
            sample=2,
        )

    assert found.total == 3
    assert [member_id for member_id, _ in found.sample] == ids[:2]
    assert found.sample[0][1] == {"tier": (Tier.BASIC, Tier.ELITE), "tags": ([], ["vip"])}
    assert state(sessions) == before


@pytest.mark.parametrize(
    ("chosen", "changes", "error"),
    [
        ({}, {"tier": "elite"}, MemberInvalidError),
        ({"ids": [1], "rule": "everyone"}, {"tier": "elite"}, MemberInvalidError),
        ({"ids": list(range(10_001))}, {"tier": "elite"}, MemberInvalidError),
        ({"rule": "nonsense"}, {"tier": "elite"}, ConditionError),
        ({"ids": [1]}, {}, MemberInvalidError),
        ({"ids": [1]}, {"email": "a@example.com"}, MemberInvalidError),
        ({"ids": [1]}, {"member_id": "a"}, MemberInvalidError),
        ({"ids": [1]}, {"tier": "gold"}, MemberInvalidError),
        ({"ids": [1]}, {"tier": None}, MemberInvalidError),
        ({"ids": [1]}, {"timezone": "Mars"}, MemberInvalidError),
        ({"ids": [1]}, {"add_tags": ["x" * 65]}, MemberInvalidError),
        ({"ids": [1]}, {"add_tags": "vip"}, MemberInvalidError),
        ({"ids": [1]}, {"remove_tags": 7}, MemberInvalidError),
        ({"ids": [1]}, {"attributes": [1]}, MemberInvalidError),
        ({"ids": [1]}, {"location": {"a": 1}}, MemberInvalidError),
        ({"ids": [1]}, {"attributes": None}, MemberInvalidError),
    ],
)
def test_what_cannot_be_said_of_many_is_refused(chosen, changes, error, start) -> None:
    with pytest.raises(error):
        start(chosen, **changes)


def test_bulk_edits_are_the_clients_own(make, sessions, client_id, start) -> None:
    first, second = (start({"ids": [make.member()]}, tier="elite") for _ in range(2))
    stranger = make.another_client().client_id
    with sessions() as session:
        assert [one.id for one in bulk.bulk_page(session, client_id)] == [second, first]
        assert bulk.bulk_page(session, stranger) == []
        with pytest.raises(BulkEditNotFoundError):
            bulk.bulk_edit(session, stranger, first)
