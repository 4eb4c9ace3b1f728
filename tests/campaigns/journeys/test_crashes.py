"""Crashes: whatever dies wherever, members go through the same steps and get the same messages."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session

from campaigns.journeys.acts import does
from campaigns.journeys.advance import advance, due_journeys
from campaigns.journeys.hear import hear
from campaigns.journeys.rehearsal import WhatIf, members_of, rehearse
from campaigns.journeys.text import parse
from channels.channel import Channel
from communications.communication import Communication
from core.db import is_sqlite, read
from members.signal import signalled
from tests.campaigns.journeys.conftest import HASHER, Shop
from tests.conftest import only_postgresql

HOUR = timedelta(hours=1)
NURTURE = """
journey "Nurture"
  when event signup
  goal event purchase
  limit 2 per 24h
  send sms "nudge" or email "a" 50 / "b" 50 as first
  tag "started"
  wait 2h
  branch
    if has tag "vip"
      set attributes.stage = "warm"
    else
      send email "a"
  split
    50
      tag "left"
    50
      untag "started"
  wait until event joined or 6h
    then
      send email "b"
    else
      go to first at most 1 times
  call "Other" and wait
  send email "a"
"""
OTHER = """
journey "Other"
  when asked
  again always
  wait 1h
  tag "called"
"""


class CrashError(BaseException):
    """The process dies here: nobody may catch it."""


@contextmanager
def crashing(engine: Engine, after: int) -> Iterator[None]:
    """Let the connection die before its statement of this number."""
    left = [after]

    def count(*_: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise CrashError

    event.listen(engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", count)


class Worker:
    """Does its share; dies now and then, and is followed by another."""

    def __init__(self, shop: Shop, dice: random.Random | None) -> None:
        self.shop, self.dice, self.deaths = shop, dice, 0

    def settle(self) -> None:
        while self._hear() + self._advance():
            pass

    def _hear(self) -> int:
        with read(self.shop.sessions) as session:
            clients = signalled(session)
        limit = self.dice.randint(1, 4) if self.dice else 1000
        return sum(
            self._one(lambda s, c=one: hear(s, self.shop.clock, client_id=c, limit=limit))
            for one in clients
        )

    def _advance(self) -> int:
        with read(self.shop.sessions) as session:
            journeys = due_journeys(session, self.shop.clock)
        limit = self.dice.randint(1, 6) if self.dice else 500
        return sum(
            self._one(
                lambda s, j=one: advance(s, self.shop.clock, HASHER, journey_id=j, limit=limit)
            )
            for one in journeys
        )

    def _one(self, work: Any) -> int:
        """Do a transaction; it dies at a random statement, or before its commit."""
        with self.shop.sessions() as session:
            if self.dice is None or self.dice.random() < 0.5:
                with session.begin():
                    return int(work(session))
            self.deaths += 1
            engine = session.get_bind()
            assert isinstance(engine, Engine)
            try:
                with crashing(engine, self.dice.randint(0, 60)):
                    work(session)
            except CrashError:
                pass
            session.rollback()
            return 1


def played(shop: Shop, worker: Worker) -> list[Any]:
    """Lead some members through; return the trail and the log of each, without row ids."""
    shop.template("nudge", Channel.SMS)
    shop.template("a")
    shop.template("b")
    shop.publish(OTHER)
    shop.publish(NURTURE)
    members = [
        shop.member(
            addresses={"sms": f"+4366010{n}"} if n % 3 else {"email": f"m{n}@example.com"},
            consents=[] if n == 5 else None,
        )
        for n in range(6)
    ]
    for n in range(6):
        shop.did(f"m{n + 1}", "signup")
    for hour in range(30):
        worker.settle()
        if hour == 4:
            for n in (1, 2):
                shop.did(f"m{n}", "joined")
        if hour == 10:
            for n in (2, 3):
                shop.did(f"m{n}", "purchase")
        worker.settle()
        shop.clock.advance(hours=1)
    return [(shop.trail(one), log(shop, one), ends(shop, one)) for one in members]


def log(shop: Shop, member_id: int) -> list[Any]:
    return [
        (row.channel, row.status, row.reason, row.template_version_id, row.not_before)
        for row in shop.log(member_id)
    ]


def ends(shop: Shop, member_id: int) -> list[Any]:
    return [
        (one.cause.partition(":")[0], one.status, one.visit, one.ended_at, one.error)
        for one in shop.enrolments(member_id)
    ]


PLAIN: dict[str, list[Any]] = {}
"""What comes out without a crash: it is the same for both databases and every seed."""


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_crashes_change_nothing(shop: Shop, seed: int | None) -> None:
    dice = random.Random(seed) if seed else None
    worker = Worker(shop, dice)

    found = played(shop, worker)

    assert found == PLAIN.setdefault("all", found)
    assert any(len(trail) > 8 for trail, _, _ in found)
    assert dice is None or worker.deaths > 20


def test_two_workers_at_once_share_the_members(shop: Shop) -> None:
    """Each takes a step while the other is in the middle of its own (PostgreSQL)."""
    shop.template("a")
    version = shop.publish('journey "J"\n  when asked\n  send email "a"\n  wait 1h\n')
    people = [shop.member() for _ in range(10)]
    shop.ask(version, *people)
    with shop.sessions() as one:
        if is_sqlite(one):
            return  # one writer at a time
        with shop.sessions() as two:
            done = [taken(shop, session, version.journey_id, 4) for session in (one, two, one)]
            two.rollback()  # this one dies
            one.commit()
    shop.settle()

    assert done == [4, 4, 2]
    with read(shop.sessions) as session:
        keys = session.scalars(select(Communication.dedup_key)).all()
    assert len(keys) == len(set(keys)) == 10


def taken(shop: Shop, session: Session, journey_id: int, limit: int) -> int:
    return advance(session, shop.clock, HASHER, journey_id=journey_id, limit=limit)


def test_one_worker_at_a_time_hears_a_client(shop: Shop) -> None:
    """So that a member's events count in their order (PostgreSQL)."""
    shop.publish('journey "J"\n  when event signup\n  wait 1h\n')
    people = [shop.member() for _ in range(2)]
    for number in (1, 2):
        shop.did(f"m{number}", "signup")
    told = {"client_id": shop.client_id, "limit": 1}
    with shop.sessions() as one:
        if is_sqlite(one):
            return  # one writer at a time
        with shop.sessions() as two:
            assert hear(one, shop.clock, **told) == 1
            assert hear(two, shop.clock, **told) == 0
            one.commit()
            assert hear(two, shop.clock, **told) == 1
            two.commit()
    assert [entry.member_id for entry in shop.enrolments()] == people


@only_postgresql  # SQLite has one writer at a time
def test_what_happens_while_a_worker_looks_is_seen_after_it(shop: Shop) -> None:
    """One holds the member and finds nothing; meanwhile it happens and is heard (PostgreSQL)."""
    version = shop.publish('journey "J"\n  when asked\n  wait until event joined or 3d\n')
    ana = shop.member()
    shop.ask(version, ana)
    with shop.sessions() as looking:
        assert taken(shop, looking, version.journey_id, 9) == 1
        shop.clock.advance(seconds=1)
        shop.did("m1", "joined")
        with shop.sessions() as hearing:
            hearing.connection().exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
            with pytest.raises(Exception, match="lock timeout"):
                hear(hearing, shop.clock, client_id=shop.client_id)
        looking.commit()
    shop.settle()

    assert shop.trail(ana) == [("wait-for-joined", "next")]


def any_journey(dice: random.Random) -> str:
    """A random journey of steps that time and an event decide."""
    lines = ["when event signup", "goal event purchase"]
    if dice.random() < 0.5:
        lines.append("quiet 21:00-08:00 member-time")
    if dice.random() < 0.5:
        lines.append("limit 2 per 24h")
    for number in range(dice.randint(3, 7)):
        lines += dice.choice(
            [
                ['send sms "nudge" or email "a"'],
                ['send email "a" 50 / "b" 50'],
                [f"wait {dice.randint(1, 50)}h"],
                ["wait until 09:00 member-time"],
                [f"wait until event joined or {dice.randint(1, 30)}h"],
                [f'tag "t{number}"'],
                ["branch", '  if has tag "t1"', "    wait 2h", "  else", f'    tag "t{number}"'],
            ]
        )
    return "\n  ".join(['journey "Any"', *lines])


@pytest.mark.parametrize("seed", range(4))
def test_a_rehearsal_and_the_real_run_agree_step_for_step(shop: Shop, seed: int) -> None:
    dice = random.Random(seed)
    text = any_journey(dice)
    joins, buys = dice.randint(1, 60) * HOUR, dice.randint(30, 200) * HOUR
    shop.template("nudge", Channel.SMS)
    shop.template("a")
    shop.template("b")
    ana = shop.member(timezone="Europe/Vienna")
    start = shop.clock.now()
    rehearsed = rehearse(
        shop.sessions, HASHER, client_id=shop.client_id, journey=parse(text), cast=members_of(ana),
        start=start, what_ifs=[WhatIf(joins, does("joined")), WhatIf(buys, does("purchase"))],
    )  # fmt: skip
    shop.publish(text)
    shop.did("m1", "signup")
    shop.settle()
    acts = sorted([(joins, "joined"), (buys, "purchase")])
    while (now := shop.clock.now()) < start + 60 * 24 * HOUR:
        (entry,) = shop.enrolments(ana)
        coming = [start + after for after, _ in acts] + [entry.due_at or now + 24 * HOUR]
        shop.clock.set(max(now, min(coming)))
        if acts and start + acts[0][0] <= shop.clock.now():
            shop.did("m1", acts.pop(0)[1])
        shop.settle()
        if entry.step is None and not acts:
            break

    left = [one for one in rehearsed.calendar if one.way]
    assert [(one.step, one.way) for one in left] == shop.trail(ana), text
    sent = [(one.at, one.channel) for one in rehearsed.sends if one.status == "sent"]
    real = [(row.not_before, row.channel) for row in shop.log(ana) if row.reason is None]
    assert sent == real, text
