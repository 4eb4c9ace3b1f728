"""A broker that forgets, cuts lines, fills up and restarts, and workers that die of its tasks.

Nothing is ever lost with it, because nothing but rings is ever in it (F13 to F16).
"""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from communications.account import AccountStatus, ProviderAccount, resume_account
from communications.communication import Communication
from core.clock import SystemClock
from core.db import read, write
from scheduling.occurrence import Occurrence
from scheduling.worker import alive
from tests.conftest import PG_VERSION
from tests.faults import hints
from tests.faults.conftest import LONG, note
from tests.faults.fleet import Fleet
from tests.faults.redis import Redis, redis
from tests.faults.stage import Stage, fresh, leases_over, stage, wrong
from tests.faults.zygote import Zygote

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(PG_VERSION is None, reason="no PostgreSQL answers"),
]
C = Communication
LATER = timedelta(hours=3)
PATIENCE = 600
SOON_SECONDS = 60.0
MANY = 20_000 if LONG else 800


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Redis]:
    with redis(tmp_path) as found:
        yield found


@contextmanager
def playing(broker: Redis, folder: Path, people: int) -> Iterator[Stage]:
    """A stage whose processes ring each other through the broker."""
    settings = {"ECHELONX_BROKER_URL": broker.url}
    with (
        fresh("postgresql", folder) as url,
        stage(url, folder, people=people, script={}, settings=settings) as on,
    ):
        yield on


def test_what_is_due_in_three_hours_never_waits_in_the_broker(
    zygote: Zygote, broker: Redis, tmp_path: Path
) -> None:
    """Celery's `eta` beyond the visibility timeout runs n times; a due time in a column does not.

    500 queued messages and a campaign to 500 people wait for longer than that timeout.
    """
    people, seconds = 500, 210 if LONG else hints.VISIBLE_SECONDS + 2
    with playing(broker, tmp_path, people) as on, tap(broker, tmp_path) as told:
        queue_for_later(zygote, on)
        on.again(due_in=LATER.total_seconds())
        with (
            Fleet(zygote, on.environment, tmp_path, 2, patch=patch(hints.hasty)) as fleet,
            Fleet(zygote, on.environment, tmp_path, 2, role="scheduler"),
        ):
            fleet.until(lambda: len(alive_workers(on)) >= 4, "four processes", PATIENCE)
            started = time.monotonic()
            fleet.until(lambda: rings_for(on, broker, seconds, started), "the watch", PATIENCE)
            assert on.accepted() == 0, "it was not due"
            due_now(on)
            on.services.bell.ring()
            fleet.until(on.at_rest, "the last message", PATIENCE)
            left = broker.waiting()
        verdict = on.judge(kills=0, audience=2 * people)
        rings = told()
    note("F13", seconds=seconds, rings=len(rings), counts=verdict["counts"], left=left)
    assert not wrong(verdict)
    assert verdict["counts"]["accepted"] + verdict["counts"].get("failed", 0) == 2 * people
    assert rings, "the tap heard nothing, so it proves nothing"
    assert [ring for ring in rings if ring["headers"].get("eta")] == []
    assert {ring["headers"]["task"] for ring in rings} == {"echelonx.ring"}
    assert sum(left.values()) == 0


def test_workers_that_die_of_a_ring_lose_nothing_and_the_others_look_by_themselves(
    zygote: Zygote, broker: Redis, tmp_path: Path
) -> None:
    """Work in a task that dies is lost, or with late acks done again; a look is neither."""
    kills = 50 if LONG else 4
    (tmp_path / hints.LIMIT).write_text(str(kills))
    with playing(broker, tmp_path, MANY) as on:
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, 3, patch=patch(hints.deadly)) as fleet:

            def enough() -> bool:
                on.services.bell.ring()
                return hints.deaths(tmp_path) >= kills

            fleet.until(enough, "the last death", PATIENCE)
            fleet.until(
                lambda: leases_over(on, fleet.processes) and on.at_rest(), "the rest", PATIENCE
            )
            taken = on.accepted()
            on.again()  # nobody rings
            started = time.monotonic()
            fleet.until(lambda: on.accepted() > taken, "a look", SOON_SECONDS)
            found_after = time.monotonic() - started
            fleet.until(on.at_rest, "the last message", PATIENCE)
        verdict = on.judge(kills=kills, audience=2 * MANY)
    note("F14", kills=len(fleet.ended), found_after=found_after, counts=verdict["counts"])
    assert len(fleet.ended) == kills
    assert not wrong(verdict)
    assert not LONG or found_after < float(on.environment["ECHELONX_PUMP_SECONDS"]) + 5


def test_a_broker_that_cuts_every_line_and_restarts_leaves_nobody_deaf(
    zygote: Zygote, broker: Redis, tmp_path: Path
) -> None:
    times, seconds = (20, 60.0) if LONG else (3, 0.0)
    with playing(broker, tmp_path, MANY) as on:
        with Fleet(zygote, on.environment, tmp_path, 3, patch=patch(hints.heard)) as fleet:
            everybody_hears(on, fleet)
            on.launch()
            started = time.monotonic()
            for number in range(1, times + 1):
                broker.disconnect()
                broker.restart()
                enough = MANY * number // (times + 1)
                next_at = started + seconds * number / times
                fleet.until(
                    lambda enough=enough, next_at=next_at: (  # type: ignore[misc]
                        rung(on) and on.accepted() >= enough and time.monotonic() >= next_at
                    ),
                    "sending without it",
                    PATIENCE,
                )
            fleet.until(on.at_rest, "the last message", PATIENCE)
            took = time.monotonic() - started
            deaf_for = everybody_hears(on, fleet)
            fleet.until(lambda: beating(on) == 3, "three heartbeats", PATIENCE)
        verdict = on.judge(kills=0, audience=MANY)
    note("F15", restarts=times, seconds=took, deaf_for=deaf_for, counts=verdict["counts"])
    assert fleet.ended == []
    assert not wrong(verdict)
    assert verdict["counts"]["accepted"] == MANY


@pytest.mark.parametrize("blow", ["forgets everything", "is full"])
def test_a_broker_in_trouble_in_the_middle_costs_nothing(
    zygote: Zygote, broker: Redis, tmp_path: Path, blow: str
) -> None:
    with playing(broker, tmp_path, MANY) as on:
        with Fleet(zygote, on.environment, tmp_path, 2, patch=patch(hints.heard)) as fleet:
            everybody_hears(on, fleet)
            on.launch()
            fleet.until(lambda: on.accepted() >= MANY // 4, "a quarter", PATIENCE)
            if blow == "is full":
                broker.config("maxmemory", "1mb")
                broker.disconnect()  # who comes back cannot even say that it listens
            else:
                broker.flush()
            on.services.bell.ring()
            before, started = on.accepted(), time.monotonic()
            fleet.until(lambda: on.accepted() > before, "the next message", SOON_SECONDS)
            waited = time.monotonic() - started
            fleet.until(on.at_rest, "the last message", PATIENCE)
            broker.config("maxmemory", "0")
            deaf_for = everybody_hears(on, fleet)
        verdict = on.judge(kills=0, audience=MANY)
    note(
        f"F16 {blow}", seconds=time.monotonic() - started, deaf_for=deaf_for,
        counts=verdict["counts"],
    )  # fmt: skip
    assert not LONG or waited < 10
    assert fleet.ended == []
    assert not wrong(verdict)
    assert verdict["counts"]["accepted"] == MANY


def test_no_process_of_a_fleet_starts_with_a_redis_that_evicts(
    zygote: Zygote, broker: Redis, tmp_path: Path
) -> None:
    broker.config("maxmemory-policy", "allkeys-lru")
    with playing(broker, tmp_path, 10) as on:
        on.launch()
        for role in ("worker", "scheduler", "run"):
            with Fleet(zygote, on.environment, tmp_path, 1, role=role, revive=False) as fleet:
                [process] = fleet.processes
                assert process.wait(PATIENCE) == 2
            assert "maxmemory-policy" in (tmp_path / f"{role}-0.txt").read_text()
        assert on.accepted() == 0


def patch(function: object) -> str:
    return f"{hints.__name__}:{getattr(function, '__name__', '')}"


def queue_for_later(zygote: Zygote, on: Stage) -> None:
    """Queue a message to everybody that is due in three hours."""
    account = update(ProviderAccount).where(ProviderAccount.id == on.account_id)
    on.launch()
    with write(on.services.sessions) as session:
        session.execute(account.values(status=AccountStatus.PAUSED))
    with Fleet(zygote, on.environment, on.log.parent, 1, role="worker") as fleet:
        fleet.until(lambda: (run := on.run()) is not None and bool(run.expanded_at), "the queue")
    with write(on.services.sessions) as session:
        session.execute(update(C).values(not_before=SystemClock().now() + LATER))
        resume_account(session, SystemClock(), account_id=on.account_id)


def due_now(on: Stage) -> None:
    """Let the three hours be over."""
    now = SystemClock().now()
    with write(on.services.sessions) as session:
        session.execute(update(C).values(not_before=now))
        session.execute(update(Occurrence).values(due_at=now))


def rings_for(on: Stage, broker: Redis, seconds: float, started: float) -> bool:
    """Ring, and see that nothing piles up; whether it went on for long enough."""
    on.services.bell.ring()
    assert sum(broker.waiting().values()) <= 2, "rings pile up"
    return time.monotonic() - started > seconds


@contextmanager
def tap(broker: Redis, folder: Path) -> Iterator["Tap"]:
    """Listen in on everything that is published."""
    file = folder / "published.txt"
    with file.open("wb") as output:
        process = subprocess.Popen(
            ["redis-cli", "-p", str(broker.port), "PSUBSCRIBE", "*"], stdout=output
        )
        try:
            yield Tap(file)
        finally:
            process.kill()
            process.wait()


class Tap:
    """Reads what a tap has heard."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __call__(self) -> list[dict[str, dict[str, str | None]]]:
        lines = self._file.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def everybody_hears(on: Stage, fleet: Fleet) -> float:
    """Ring until every process has heard it through the broker; say how long that took."""
    folder = on.log.parent
    hints.forget(folder)
    started = time.monotonic()

    def heard() -> bool:
        on.services.bell.ring()
        return not hints.deaf(folder, [process.pid for process in fleet.processes])

    fleet.until(heard, "a ring in every process", PATIENCE)
    return time.monotonic() - started


def rung(on: Stage) -> bool:
    on.services.bell.ring()
    return True


def alive_workers(on: Stage) -> list[str]:
    with read(on.services.sessions) as session:
        return [one.name for one in alive(session, SystemClock())]


def beating(on: Stage) -> int:
    """How many claim loops go round: a worker whose loop is stuck no longer says it is one."""
    with read(on.services.sessions) as session:
        return sum("worker" in one.roles for one in alive(session, SystemClock()))
