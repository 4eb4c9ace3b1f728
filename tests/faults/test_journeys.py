"""Journeys as the source of sends, while the workers that advance and send are killed."""

import random
import signal
import time
from datetime import timedelta
from itertools import cycle, islice
from pathlib import Path

import pytest
import sqlalchemy as sa

from campaigns.journeys.ask import ask
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, EnrolmentStep
from campaigns.journeys.publish import create_journey, publish
from communications.communication import Communication
from communications.status import OPEN
from core.clock import SystemClock
from core.db import read, write
from members.tracking import ToldEvent, track
from tests.faults.conftest import LONG, note
from tests.faults.fleet import Fleet
from tests.faults.stage import Stage, fresh, leases_over, stage, wrong
from tests.faults.zygote import Zygote

PEOPLE, KILLS, WAIT = (20_000, 40, 60) if LONG else (500, 4, 5)
POINTS = ("C15", "C13", "C14", "C4", "C5", "C6", "C7", "C8", "C9", "C10")
"""Of core/failpoint.py: those that a worker passes while journeys send."""
TIMES, AT_ONCE = (20, 50) if LONG else (1, 10)
WORKERS = {"sqlite": 1, "postgresql": 3}
JOURNEY = f"""
journey "Three steps"
  when asked
  send sms "t" as first
  wait {WAIT}s
  tag "seen"
  send sms "t" as last
"""
STEPS = ["first", f"wait-{WAIT}s", "tag-seen", "last"]
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


def published(on: Stage, text: str) -> int:
    clock = SystemClock()
    with write(on.services.sessions) as session:
        made = create_journey(session, clock, client_id=on.client_id, text=text)
        publish(session, clock, client_id=on.client_id, journey_id=made.id)
        return made.id


def begin(on: Stage) -> None:
    """Let everybody in."""
    clock, id = SystemClock(), published(on, JOURNEY)
    with write(on.services.sessions) as session:
        members = range(1, PEOPLE + 1)
        entered = ask(session, clock, client_id=on.client_id, journey_id=id, member_ids=members)
    assert len(entered) == PEOPLE


def over(on: Stage) -> bool:
    """Whether nobody is inside and nothing is on its way."""
    inside = sa.select(Enrolment.id).where(Enrolment.status == EnrolmentStatus.ACTIVE)
    waiting = sa.select(Communication.id).where(Communication.status.in_(OPEN))
    with read(on.services.sessions) as session:
        return all(session.scalar(query.limit(1)) is None for query in (inside, waiting))


def test_kill_9_repeats_no_step_and_loses_nobody(zygote: Zygote, kind: str, tmp_path: Path) -> None:
    dice, started = random.Random(1), time.monotonic()
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=PEOPLE) as on:
        begin(on)
        with Fleet(zygote, on.environment, tmp_path, WORKERS[kind]) as fleet:
            for kill in range(KILLS):
                enough = 2 * PEOPLE * (kill + 1) // (KILLS + 1)
                fleet.until(lambda enough=enough: on.accepted() >= enough, "the next kill")
                fleet.strike(signal.SIGKILL, dice)
                fleet.until(lambda kill=kill: len(fleet.ended) > kill, "the death")
            fleet.until(lambda: leases_over(on, fleet.processes) and over(on), "the last message")
        verdict = on.judge(kills=KILLS)
        note(
            "F-journeys", database=kind, seconds=round(time.monotonic() - started, 1),
            kills=len(fleet.ended), wrong=sorted(wrong(verdict)), counts=verdict["counts"],
        )  # fmt: skip
        assert not wrong(verdict)
        assert len(fleet.ended) == KILLS
        each_step_once(on, PEOPLE)


def test_a_process_may_die_at_every_point_of_a_journey(
    zygote: Zygote, kind: str, tmp_path: Path
) -> None:
    """Hearing, advancing and sending (F03): each process dies at another point of them."""
    points, started = list(islice(cycle(POINTS), len(POINTS) * TIMES)), time.monotonic()
    people = len(points) * AT_ONCE
    dying = lambda number: f"{points[number]}:kill@1" if number < len(points) else ""  # noqa: E731
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=people, script={}) as on:
        published(on, JOURNEY.replace("when asked", "when event joined"))
        with Fleet(zygote, on.environment, tmp_path, 1, failpoints=dying) as fleet:
            for number, point in enumerate(points):
                join(on, range(number * AT_ONCE, (number + 1) * AT_ONCE))
                fleet.until(lambda number=number: len(fleet.ended) > number, f"death at {point}")
            fleet.until(lambda: leases_over(on, fleet.processes) and over(on), "the last message")
        verdict = on.judge(kills=len(points))
        note(
            "F03-journeys", database=kind, seconds=round(time.monotonic() - started, 1),
            kills=len(fleet.ended), points=points, wrong=sorted(wrong(verdict)),
            counts=verdict["counts"],
        )  # fmt: skip
        assert set(fleet.ended) == {-signal.SIGKILL}
        assert not wrong(verdict)
        each_step_once(on, people)


def join(on: Stage, numbers: range) -> None:
    """Tell of an event that lets these people in."""
    told = [ToldEvent("joined", f"j{n}", {"member_id": f"m{n}"}, {}) for n in numbers]
    with write(on.services.sessions) as session:
        track(session, SystemClock(), on.services.hasher, client_id=on.client_id, events=told)


def each_step_once(on: Stage, people: int) -> None:
    """Everybody went through every step once, in time, with one row for each message."""
    c, s = Communication, EnrolmentStep
    with read(on.services.sessions) as session:
        ends = session.execute(sa.select(Enrolment.status, sa.func.count()).group_by("status"))
        assert [tuple(row) for row in ends] == [(EnrolmentStatus.COMPLETED, people)]
        steps = session.execute(sa.select(s.step, sa.func.count()).group_by(s.step))
        assert {row[0]: row[1] for row in steps} == dict.fromkeys(STEPS, people)
        messages = sa.select(c.member_id, sa.func.count()).group_by(c.member_id)
        assert {count for _, count in session.execute(messages)} == {2}
        linked = sa.select(sa.func.count(sa.distinct(s.communication_id)))
        assert session.scalar(linked) == 2 * people
        waited = sa.select(s.came_at, s.left_at).where(s.step == STEPS[1])
        assert all(
            row.left_at - row.came_at >= timedelta(seconds=WAIT) for row in session.execute(waited)
        )
