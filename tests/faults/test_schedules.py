"""Many schedulers, long absences and clocks that jump (F17, F18, F19)."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from campaigns.campaign import Campaign, CampaignStatus
from campaigns.launch import schedule_key
from campaigns.run import Run
from core.clock import Clock, ManualClock, SystemClock
from core.db import Sessions, read, write
from echelonx.scheduler import HANDLERS, MISSED
from scheduling.occurrence import Occurrence, OccurrenceState, occurrences, plan
from scheduling.tick import tick
from tests.faults import ticks
from tests.faults.conftest import note
from tests.faults.fleet import Fleet
from tests.faults.stage import Stage, fresh, stage, wrong
from tests.faults.zygote import Zygote

pytestmark = pytest.mark.e2e
PATIENCE = 300.0
PATCH = f"{ticks.__name__}:counted"
ROUNDS = 3


def test_four_schedulers_and_as_many_threads_start_200_campaigns_once_each(
    zygote: Zygote, kind: str, tmp_path: Path
) -> None:
    """A scheduler without the guarded UPDATE fires each of them eight times (lokole #1)."""
    count = 200
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=2, script={}) as on:
        ids = [on.again(due_in=3600) for _ in range(count)]
        with Fleet(zygote, on.environment, tmp_path, 4, role="scheduler", patch=PATCH) as fleet:
            fleet.until(lambda: schedulers(tmp_path) == 4, "four schedulers", PATIENCE)
            move(on, due=SystemClock().now())
            with ThreadPoolExecutor(4) as pool:
                here = list(pool.map(lambda _: ticked(on), range(4)))
            fleet.until(lambda: planned(on) == 0, "the last start", PATIENCE)
        with read(on.services.sessions) as session:
            runs = Counter(session.scalars(select(Run.campaign_id)))
    elsewhere = ticks.fired(tmp_path)
    note("F17", database=kind, here=here, elsewhere=elsewhere, runs=runs.total())
    assert runs == Counter(ids)
    assert sum(here) + elsewhere == count


def schedulers(folder: Path) -> int:
    """How many said that they are up."""
    return sum("is up" in path.read_text() for path in folder.glob("scheduler-*.txt"))


def ticked(on: Stage) -> int:
    """Tick as one more scheduler would, a few times."""
    sessions = on.services.sessions
    return sum(tick(sessions, SystemClock(), HANDLERS, MISSED) for _ in range(ROUNDS))


def move(on: Stage, *, due: datetime, apart: timedelta = timedelta()) -> None:
    """Let the times of all campaigns have come at `due`, the ones before it so far `apart`."""
    with write(on.services.sessions) as session:
        rows = session.scalars(select(Occurrence).order_by(Occurrence.id.desc()))
        for place, row in enumerate(rows):
            row.due_at = due - place * apart
            session.execute(
                update(Campaign)
                .where(Campaign.id == int(row.schedule_key.partition(":")[2]))
                .values(scheduled_at=row.due_at)
            )


def planned(on: Stage) -> int:
    waiting = select(func.count()).where(Occurrence.state == OccurrenceState.PLANNED)
    with read(on.services.sessions) as session:
        return session.scalar(waiting) or 0


@pytest.mark.parametrize(
    ("away", "starts"), [(timedelta(minutes=30), True), (timedelta(hours=5), False)]
)
def test_after_an_absence_over_20_due_times_each_starts_once_or_is_shown_as_missed(
    zygote: Zygote, kind: str, tmp_path: Path, away: timedelta, starts: bool
) -> None:
    """APScheduler's own misfire rule drops them all; firing whatever is due sends at night."""
    count, people = 20, 5
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=people, script={}) as on:
        ids = [on.again(due_in=3600) for _ in range(count)]
        move(on, due=SystemClock().now() - away, apart=timedelta(minutes=1))
        with (
            Fleet(zygote, on.environment, tmp_path, 1) as workers,
            Fleet(zygote, on.environment, tmp_path, 2, role="scheduler", patch=PATCH) as fleet,
        ):
            fleet.until(lambda: planned(on) == 0, "the last decision", PATIENCE)
            if starts:
                workers.until(on.at_rest, "the last message", PATIENCE)
        with read(on.services.sessions) as session:
            runs = Counter(session.scalars(select(Run.campaign_id)))
            seen = Counter(session.scalars(select(Campaign.status).where(Campaign.id.in_(ids))))
            states = Counter(session.scalars(select(Occurrence.state)))
        verdict = on.judge(kills=0, audience=count * people if starts else 0)
        told = shown(zygote, on, ids[0])
        taken = on.accepted()
    note("F18", database=kind, away=away.total_seconds(), runs=runs.total(), accepted=taken)
    assert not wrong(verdict)
    if starts:
        assert runs == Counter(ids)
        assert ticks.fired(tmp_path) == count
        assert verdict["counts"]["communications"] == count * people
        return
    assert (runs, taken) == (Counter(), 0)
    assert states == {OccurrenceState.MISSED: count}
    assert seen == {CampaignStatus.PAUSED: count}, "it must not look as if it still waited"
    assert "passed" in told["why"]
    assert "new time" in told["why"]


def shown(zygote: Zygote, on: Stage, campaign_id: int) -> dict[str, str]:
    """What its owner sees at the command line."""
    output = on.log.parent / "shown.txt"
    asked = ["campaign", "show", str(campaign_id), "--json"]
    assert zygote.start(asked, on.environment, output).wait(PATIENCE) == 0
    document: dict[str, str] = json.loads(output.read_text())
    return document


LOCAL_TIMES = {
    # zone: (a local time that comes twice, one that never comes), in the years that have them
    "America/New_York": ("2026-11-01T01:30", "2026-03-08T02:30"),
    "Europe/London": ("2026-10-25T01:30", "2026-03-29T01:30"),
    "Australia/Lord_Howe": ("2026-04-05T01:45", "2026-10-04T02:15"),  # by half an hour
    "America/Sao_Paulo": ("2018-02-17T23:30", "2018-11-04T00:30"),  # at midnight
    "Pacific/Apia": ("2021-04-04T03:30", "2011-12-30T12:00"),  # the day that never was
    "Asia/Kolkata": ("2026-11-01T01:30", "2028-02-29T00:30"),  # no change; a leap day
}
STEPS = (10, 10, 10, 20, -120, 30, 30, 30, 30, 30, -60, 120, -120, 180, 10)
"""Minutes by which the clock goes on or is set, from an hour before the time."""


@pytest.mark.parametrize("zone", LOCAL_TIMES)
@pytest.mark.parametrize("which", [0, 1], ids=["twice", "never"])
def test_a_local_time_fires_once_however_the_clock_is_set_around_it(
    sessions: Sessions, zone: str, which: int
) -> None:
    """A key by instant fires twice: APScheduler 3 does at 05:30Z and 06:30Z on 1 November."""
    local = LOCAL_TIMES[zone][which]
    readings = [
        datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)
        for fold in (0, 1)
    ]
    clock = ManualClock(readings[0] - timedelta(hours=1))  # what is planned first stays
    fired: list[datetime] = []

    def handler(session: Session, clock: Clock, occurrence: Occurrence) -> None:
        fired.append(clock.now())

    assert (readings[0] != readings[1]) is (zone != "Asia/Kolkata")
    for number, minutes in enumerate(STEPS):
        for due in (readings[number % 2], readings[(number + 1) % 2]):
            with write(sessions) as session:
                key = f"{local}[{zone}]#rule"
                plan(session, clock, schedule_key="test:1", occurrence_key=key, due_at=due)
        clock.advance(minutes=minutes)
        tick(sessions, clock, {"test": handler})
    assert len(fired) == 1


@pytest.mark.parametrize("steps", [(90, -120, 180), (70, 5, -180, 240), (180, -180, 70)])
def test_a_campaign_starts_at_most_once_when_the_clock_is_set_back_and_forth(
    kind: str, tmp_path: Path, steps: tuple[int, ...]
) -> None:
    """Due in an hour; the last one jumps over it by more than two hours, so that it is missed."""
    jumped = steps[0] > 60 + 120 - 1
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=2, script={}) as on:
        campaign_id = on.again(due_in=3600 - (120 if jumped else 0))
        clock, sessions = ManualClock(SystemClock().now()), on.services.sessions
        for minutes in steps:
            clock.advance(minutes=minutes)
            tick(sessions, clock, HANDLERS, MISSED)
            tick(sessions, clock, HANDLERS, MISSED)
        with read(sessions) as session:
            [found] = occurrences(session, schedule_key(campaign_id))
            runs = session.scalar(select(func.count()).select_from(Run))
    expected = (OccurrenceState.MISSED, 0) if jumped else (OccurrenceState.FIRED, 1)
    assert (found.state, runs) == expected
