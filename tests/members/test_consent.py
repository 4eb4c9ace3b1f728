"""Mirrors members/consent.py, members/suppression.py and members/segment.py."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import permutations

import pytest
from sqlalchemy import func, select

from core.condition.check import ConditionError
from core.db import write
from members import queries
from members.consent import Consent, ConsentState, CurrentConsent, record
from members.errors import SegmentNameTakenError, SegmentNotFoundError
from members.member import Member
from members.segment import create_segment, update_segment
from members.suppression import (
    Scope,
    Suppression,
    SuppressionReason,
    is_suppressed,
    lift,
    suppress,
    suppress_many,
)
from tests.conftest import only_postgresql
from tests.waiting import until_waiting


@pytest.fixture
def member_id(sessions, clock, client_id) -> int:
    with write(sessions) as session:
        now = clock.now()
        member = Member(client_id=client_id, member_id="a", created_at=now, updated_at=now)
        session.add(member)
        session.flush()
        return member.id


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_word_said_last_counts_whatever_order_it_is_heard_in(
    order, sessions, clock, client_id, member_id
) -> None:
    said = [ConsentState.GRANTED, ConsentState.WITHDRAWN, ConsentState.GRANTED]
    for number in order:
        with write(sessions) as session:
            record(
                session,
                clock,
                client_id=client_id,
                member_id=member_id,
                channel="email",
                state=said[number],
                source="test",
                occurred_at=clock.now() - timedelta(hours=3 - number),
            )

    with sessions() as session:
        assert session.scalars(select(CurrentConsent.state)).one() is ConsentState.GRANTED
        assert session.scalar(select(func.count()).select_from(Consent)) == 3


def test_a_word_from_the_future_does_not_outlast_the_next_one(
    sessions, clock, client_id, member_id
) -> None:
    for state, ahead in ((ConsentState.GRANTED, 9000), (ConsentState.WITHDRAWN, 0)):
        with write(sessions) as session:
            record(
                session,
                clock,
                client_id=client_id,
                member_id=member_id,
                channel="email",
                state=state,
                source="test",
                occurred_at=clock.now() + timedelta(hours=ahead),
            )

    with sessions() as session:
        assert session.scalars(select(CurrentConsent.state)).one() is ConsentState.WITHDRAWN


def test_of_two_words_at_one_instant_the_later_written_counts(
    sessions, clock, client_id, member_id
) -> None:
    for state in (ConsentState.GRANTED, ConsentState.WITHDRAWN):
        with write(sessions) as session:
            record(
                session,
                clock,
                client_id=client_id,
                member_id=member_id,
                channel="sms",
                state=state,
                source="test",
            )

    with sessions() as session:
        assert session.scalars(select(CurrentConsent.state)).one() is ConsentState.WITHDRAWN


def test_a_suppression_is_kept_once_and_reaches_as_far_as_it_says(
    sessions, clock, client_id
) -> None:
    address = {"client_id": client_id, "channel": "email", "address_hash": "h"}

    def add(scope: Scope) -> bool:
        with write(sessions) as session:
            return suppress(
                session,
                clock,
                masked="a***",
                scope=scope,
                reason=SuppressionReason.UNSUBSCRIBED,
                **address,
            )

    assert add(Scope.MARKETING)
    assert not add(Scope.MARKETING)
    with write(sessions) as session:
        assert is_suppressed(session, marketing=True, **address)
        assert not is_suppressed(session, marketing=False, **address)
    assert add(Scope.ALL)
    with write(sessions) as session:
        assert is_suppressed(session, marketing=False, **address)
        assert lift(session, reason=SuppressionReason.BOUNCED, **address) == 0
        assert lift(session, reason=SuppressionReason.UNSUBSCRIBED, **address) == 2
        assert not is_suppressed(session, marketing=True, **address)


def test_a_segment_is_made_from_text_or_json_and_named_once(sessions, clock, client_id) -> None:
    with write(sessions) as session:
        made = create_segment(
            session, clock, client_id=client_id, name=" VIP ", rule='has tag "vip"'
        )
        assert (made.name, made.rule) == ("VIP", {"tag": "vip"})
        with pytest.raises(SegmentNameTakenError):
            create_segment(session, clock, client_id=client_id, name="VIP", rule={"everyone": True})
        with pytest.raises(ConditionError):
            create_segment(session, clock, client_id=client_id, name="x", rule="has tga")
        changed = update_segment(session, clock, made, rule={"everyone": True})
        assert (changed.rule, changed.version) == ({"everyone": True}, 2)


def test_segments_are_found_by_their_own_client_only(sessions, clock, client_id) -> None:
    with write(sessions) as session:
        made = create_segment(session, clock, client_id=client_id, name="VIP", rule="everyone")
        assert queries.segment_by_name(session, client_id, "VIP") is made
        with pytest.raises(SegmentNotFoundError):
            queries.segment(session, client_id + 1, made.id)


def test_a_word_from_the_future_does_not_outlast_a_later_one(
    sessions, clock, client_id, member_id
) -> None:
    def say(state: ConsentState, days: int) -> None:
        with write(sessions) as session:
            record(
                session,
                clock,
                client_id=client_id,
                member_id=member_id,
                channel="email",
                state=state,
                source="test",
                occurred_at=clock.now() + timedelta(days=days),
            )

    say(ConsentState.GRANTED, 365)
    clock.advance(seconds=1)
    say(ConsentState.WITHDRAWN, 0)

    with sessions() as session:
        assert session.scalars(select(CurrentConsent.state)).one() is ConsentState.WITHDRAWN


def test_taking_a_stop_back_does_not_revive_a_dead_number(sessions, clock, client_id) -> None:
    address = {"client_id": client_id, "channel": "sms", "address_hash": "h"}
    for reason in (SuppressionReason.STOPPED, SuppressionReason.BOUNCED, SuppressionReason.STOPPED):
        with write(sessions) as session:
            suppress(session, clock, masked="+1***", scope=Scope.ALL, reason=reason, **address)

    with write(sessions) as session:
        assert lift(session, reason=SuppressionReason.STOPPED, **address) == 0
        assert is_suppressed(session, marketing=False, **address)


def test_an_older_start_does_not_undo_a_newer_stop(sessions, clock, client_id) -> None:
    address = {"client_id": client_id, "channel": "sms", "address_hash": "h"}
    stopped = SuppressionReason.STOPPED
    with write(sessions) as session:
        suppress(session, clock, masked="+1***", scope=Scope.ALL, reason=stopped, **address)
        before = clock.now() - timedelta(seconds=1)

        assert lift(session, reason=stopped, before=before, **address) == 0
        assert lift(session, reason=stopped, before=clock.now(), **address) == 1


@pytest.fixture
def row(client_id, clock):
    def make(number: int, reason: SuppressionReason) -> dict[str, object]:
        return {
            "client_id": client_id,
            "channel": "email",
            "address_hash": f"{number:032d}",
            "masked": "a***",
            "scope": Scope.MARKETING,
            "reason": reason,
            "evidence": None,
            "since": clock.now(),
        }

    return make


def test_many_are_suppressed_at_once_and_one_named_twice_is_one(sessions, row) -> None:
    own, firm = SuppressionReason.UNSUBSCRIBED, SuppressionReason.COMPLAINED
    rows = [row(1, own), row(2, own), row(1, firm), row(3, firm), row(3, own)]

    with write(sessions) as session:
        assert suppress_many(session, rows) == 3
        assert suppress_many(session, rows) == 0
        kept = session.execute(
            select(Suppression.address_hash, Suppression.reason).order_by(Suppression.address_hash)
        )
        assert [reason for _, reason in kept] == [firm, own, firm]


@only_postgresql
def test_many_are_suppressed_by_two_at_once_in_any_order(sessions, row) -> None:
    def suppress(numbers: tuple[int, ...]) -> int:
        with write(sessions) as session:
            reason = SuppressionReason.COMPLAINED
            return suppress_many(session, [row(number, reason) for number in numbers])

    with ThreadPoolExecutor(2) as pool:
        with write(sessions) as session:
            suppress_many(session, [row(2, SuppressionReason.COMPLAINED)])
            both = [pool.submit(suppress, numbers) for numbers in ((1, 2, 3), (3, 2, 1))]
            until_waiting(session, *both)
        assert sum(one.result() for one in both) == 2
