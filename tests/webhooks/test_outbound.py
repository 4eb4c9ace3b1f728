"""Mirrors webhooks/outbound.py: whose turn it is, in what order, and what becomes of failures."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from accounts.audit import AuditEntry
from accounts.client import Client, ClientStatus
from accounts.endpoint import Endpoint, add_endpoint, enable, endpoint
from accounts.news import News
from accounts.outbox import DeliveryState, EndpointDelivery, Fact, publish
from core.clock import ManualClock
from core.db import Base, Sessions, is_sqlite, read, write
from core.secret import Vault
from tests.factories import KEY
from webhooks import delivery, outbound
from webhooks.outbound import (
    LEASE,
    PATIENCE,
    PLAN,
    TIRED,
    Answer,
    Turn,
    claim,
    disable,
    give_up,
    is_forsaken,
    note,
)

HOOK = "https://crm.example.com/hook"


@dataclass
class Office:
    """One client's endpoints, and a worker who says what came of posts."""

    sessions: Sessions
    clock: ManualClock
    client_id: int
    vault: Vault = field(default_factory=lambda: Vault(KEY))

    def endpoint(self, *types: str, url: str = HOOK) -> int:
        with write(self.sessions) as session:
            return add_endpoint(
                session, self.clock, self.vault, client_id=self.client_id, url=url,
                types=types or ("*",),
            ).id  # fmt: skip

    def tell(self, *objects: str, news: News = News.MEMBER_UPDATED) -> None:
        with write(self.sessions) as session:
            facts = [Fact(news, one, self.clock.now(), {"id": 1}) for one in objects]
            publish(session, self.clock.now(), client_id=self.client_id, facts=facts)

    def turn(self, *, slow: bool = True) -> Turn | None:
        with write(self.sessions) as session:
            return claim(session, self.clock, self.vault, slow=slow)

    def end(
        self, turn: Turn | None, status: int | None = 200, ms: int = 5, wish: float | None = None
    ) -> None:
        assert turn is not None
        retry = timedelta(seconds=wish) if wish else None
        problem = None if status else "no answer in time"
        answer = Answer(self.clock.now(), status, ms, problem, "hm", retry)
        with write(self.sessions) as session:
            note(session, self.clock, turn, {one.delivery_id: answer for one in turn.posts})

    def gives_up(self) -> bool:
        """Whether there was something to give up, a slice of which was."""
        with write(self.sessions) as session:
            found = is_forsaken(session, self.clock)
            give_up(session, self.clock)
        return found

    def told(self, turn: Turn | None) -> list[str]:
        """The objects that a turn tells of."""
        ids = [one.delivery_id for one in turn.posts] if turn else []
        by_id = {row.id: row.object for row in self.log()}
        return [by_id[one] for one in ids]

    def log(self) -> list[EndpointDelivery]:
        with read(self.sessions) as session:
            return list(session.scalars(select(EndpointDelivery).order_by(EndpointDelivery.id)))

    def state(self, endpoint_id: int) -> Endpoint:
        with read(self.sessions) as session:
            return session.get_one(Endpoint, endpoint_id)


@contextmanager
def no_update_of(session: Session, model: type[Base]) -> Iterator[None]:
    """Fail when a statement changes rows of a table."""
    told: list[str] = []

    def note_it(*seen: object) -> None:
        told.append(str(seen[2]))

    connection = session.connection()
    event.listen(connection, "before_cursor_execute", note_it)
    yield
    event.remove(connection, "before_cursor_execute", note_it)
    assert not [one for one in told if one.startswith(f"UPDATE {model.__tablename__} ")]


@pytest.fixture
def office(sessions: Sessions, clock: ManualClock, client_id: int) -> Office:
    return Office(sessions, clock, client_id)


def test_a_failure_is_tried_again_by_the_plan_and_then_given_up(office: Office) -> None:
    office.endpoint()
    office.tell("member:1")
    ids = set()
    for number in range(len(PLAN)):
        turn = office.turn()
        assert turn is not None, f"try {number}"
        ids.add(turn.posts[0].message_id)
        office.end(turn, 500)
        if number + 1 < len(PLAN):
            wait = PLAN[number + 1]
            due = office.log()[0].due_at - office.clock.now()
            assert wait <= due <= wait * 1.1 + timedelta(seconds=1)
            office.clock.advance(seconds=(wait * 1.1).total_seconds() + 1)

    (row,) = office.log()
    assert row.state is DeliveryState.FAILED
    assert len(row.attempts) == len(PLAN)
    assert row.attempts[0]["problem"] == "answered with 500"
    assert len(ids) == 1, "the receiver knows a repeat by its id"
    assert office.turn() is None


def test_who_dies_before_writing_it_down_is_followed_with_the_same_id(office: Office) -> None:
    office.endpoint()
    office.tell("member:1")
    first = office.turn()
    assert office.turn() is None, "somebody has its turn"

    office.clock.advance(seconds=LEASE.total_seconds() + 1)
    second = office.turn()
    assert first is not None
    assert second is not None
    assert [one.message_id for one in first.posts] == [one.message_id for one in second.posts]
    office.end(second)
    office.end(first, 500)
    (row,) = office.log()
    assert (row.state, len(row.attempts)) == (DeliveryState.DELIVERED, 1)


def test_news_that_is_being_written_keeps_no_endpoint_from_its_turn(office: Office) -> None:
    endpoint_id = office.endpoint()
    office.tell("member:1")
    with office.sessions() as session:
        more = [Fact(News.MEMBER_UPDATED, "member:2", office.clock.now(), {"id": 2})]
        publish(session, office.clock.now(), client_id=office.client_id, facts=more)
        if is_sqlite(session):
            session.commit()  # it has one writer at a time
        turn = office.turn()
        assert "member:1" in office.told(turn)
        office.end(turn)
        with write(office.sessions) as another:
            assert endpoint(another, office.client_id, endpoint_id, lock=True).owner is None


def test_facts_of_one_object_are_told_in_their_order(office: Office) -> None:
    office.endpoint()
    office.tell("member:1", "member:1", "member:2")
    turn = office.turn()
    assert office.told(turn) == ["member:1", "member:2"]
    office.end(turn, 500)
    office.tell("member:2", "member:3")

    turn = office.turn()
    assert office.told(turn) == ["member:3"], "the failed ones hold up what is behind them only"
    office.end(turn)
    assert office.told(office.turn()) == []
    assert office.turn() is None, "and nobody looks for these until the first is due"
    office.clock.advance(seconds=10)
    turn = office.turn()
    assert sorted(office.told(turn)) == ["member:1", "member:2"]
    office.end(turn)
    turn = office.turn()
    assert sorted(office.told(turn)) == ["member:1", "member:2"]
    office.end(turn)
    assert {row.state for row in office.log()} == {DeliveryState.DELIVERED}


def test_an_endpoint_that_fails_rests_and_others_do_not(office: Office) -> None:
    bad = office.endpoint("member.*")
    office.tell(*[f"member:{number}" for number in range(TIRED + 5)])
    office.end(office.turn(), None, ms=15_000)
    office.tell("member:99")
    assert office.turn() is None, "it rests"
    office.endpoint("campaign.*")
    office.tell("campaign:1", news=News.LAUNCHED)
    turn = office.turn()
    assert office.told(turn) == ["campaign:1"]
    office.end(turn)

    office.clock.advance(minutes=10)
    assert office.turn(slow=False) is None, "quick threads leave slow endpoints alone"
    turn = office.turn()
    assert turn is not None
    assert len(turn.posts) == 1, "one is tried before the others"
    office.end(turn)
    again = office.state(bad)
    assert (again.failures, again.failing_since, again.slow) == (0, None, False)
    assert len(office.told(office.turn(slow=False))) == TIRED + 5


def test_a_wish_to_wait_is_kept_for_the_whole_endpoint(office: Office) -> None:
    office.endpoint()
    office.tell("member:1", "member:2")
    office.end(office.turn(), 429, wish=600)
    office.tell("member:3")
    office.clock.advance(seconds=599)
    assert office.turn() is None
    office.clock.advance(seconds=1)
    assert len(office.told(office.turn())) == 3


def test_an_endpoint_that_is_gone_is_disabled_and_others_are_told(office: Office) -> None:
    gone = office.endpoint("member.*")
    watcher = office.endpoint("endpoint.*", url="https://ops.example.com/hook")
    office.tell("member:1", "member:1")
    office.end(office.turn(), 410)

    found = office.state(gone)
    assert (found.enabled, found.disabled_reason) == (False, "it answered 410 Gone")
    office.tell("member:2")
    while office.gives_up():
        pass
    states = {(row.endpoint_id, row.type): row.state for row in office.log()}
    assert states == {
        (gone, News.MEMBER_UPDATED): DeliveryState.FAILED,
        (watcher, News.DISABLED): DeliveryState.WAITING,
    }
    with read(office.sessions) as session:
        (entry,) = session.scalars(select(AuditEntry))
    assert (entry.action, entry.target) == ("endpoint.disable", f"endpoint:{gone}")


def test_what_waits_for_a_disabled_endpoint_fails_slice_by_slice(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "SLICE", 2)
    one, other = office.endpoint("member.*"), office.endpoint("member.*", url=HOOK + "/2")
    office.tell("member:1", "member:1", "member:2", "member:3")
    turn = office.turn()
    assert turn is not None
    busy, idle = turn.endpoint_id, ({one, other} - {turn.endpoint_id}).pop()

    def waiting(endpoint_id: int) -> int:
        mine = [row for row in office.log() if row.endpoint_id == endpoint_id]
        return sum(row.state is DeliveryState.WAITING for row in mine)

    for endpoint_id in (busy, idle):
        with write(office.sessions) as session, no_update_of(session, EndpointDelivery):
            found = endpoint(session, office.client_id, endpoint_id)
            disable(session, office.clock, found, reason="by hand", actor="cli")
    assert (waiting(busy), waiting(idle)) == (4, 4)
    assert office.turn() is None
    left = []
    while office.gives_up():
        left.append((waiting(busy), waiting(idle)))
    assert left == [(4, 2), (4, 0)], "what is on its way is somebody's to write down"

    office.end(turn)
    taken = len(turn.posts)
    while office.gives_up():
        pass
    mine = [row.state for row in office.log() if row.endpoint_id == busy]
    assert mine.count(DeliveryState.DELIVERED) == taken
    assert mine.count(DeliveryState.FAILED) == 4 - taken


def test_a_replay_of_many_goes_slice_by_slice_in_their_order(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "REPLAYED_AT_ONCE", 2)
    one = office.endpoint()
    office.tell("member:1", "member:2", "member:1")
    with write(office.sessions) as session:
        found = endpoint(session, office.client_id, one)
        disable(session, office.clock, found, reason="by hand", actor="cli")
    while office.gives_up():
        pass

    told, counts = [], []
    for _ in range(3):
        with write(office.sessions) as session:
            found = enable(session, office.clock, endpoint(session, office.client_id, one))
            since = office.clock.now() - timedelta(days=1)
            counts.append(
                delivery.replay_failed(session, office.clock, found, since=since, until=None)
            )
        turn = office.turn()
        told.append(office.told(turn))
        if turn is not None:
            office.end(turn)
    assert counts == [2, 1, 0]
    assert told == [["member:1", "member:2"], ["member:1"], []]


def test_five_days_without_one_success_disable_it(office: Office) -> None:
    one = office.endpoint()
    office.tell("member:1")
    office.end(office.turn(), 500)
    office.clock.advance(seconds=PATIENCE.total_seconds() - 1)
    office.end(office.turn(), 500)
    assert office.state(one).enabled
    office.clock.advance(hours=2)
    office.end(office.turn(), None)
    assert office.state(one).disabled_reason == "it has failed for five days: no answer in time"


def test_a_client_that_is_suspended_is_told_nothing_until_it_is_back(office: Office) -> None:
    office.endpoint()
    office.tell("member:1")
    for status, told in ((ClientStatus.SUSPENDED, []), (ClientStatus.ACTIVE, ["member:1"])):
        with write(office.sessions) as session:
            session.get_one(Client, office.client_id).status = status
        assert office.told(office.turn()) == told


def test_a_secret_of_another_key_stops_its_endpoint_alone(office: Office) -> None:
    one = office.endpoint()
    office.tell("member:1")
    office.vault = Vault(bytes(range(1, 33)))
    assert office.turn() is None
    assert not office.state(one).enabled
