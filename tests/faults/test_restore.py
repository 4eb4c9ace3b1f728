"""A backup is put back over a database that has gone on, or is started beside it (F33)."""

import dataclasses
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import make_url, select, update

from campaigns.campaign import Campaign, CampaignStatus
from campaigns.launch import latest_run
from communications.communication import Communication
from communications.status import OPEN
from core.clock import SystemClock
from core.db import read, write
from core.settings import Settings
from echelonx import wiring
from echelonx.holding import Hold, current_hold
from scheduling.occurrence import Occurrence
from scheduling.worker import workers
from tests.e2e.processes import accepts
from tests.echelonx.copies import another, copy, drop
from tests.faults import ticks
from tests.faults.conftest import LONG, note
from tests.faults.fleet import Fleet
from tests.faults.stage import Stage, fresh, stage, wrong
from tests.faults.zygote import Zygote

pytestmark = pytest.mark.e2e
C = Communication
PEOPLE = 20_000 if LONG else 240
PATIENCE = 300.0
WORKERS = {"sqlite": 1, "postgresql": 2}
DONE = (CampaignStatus.COMPLETED, CampaignStatus.PAUSED)
LOOKS = 3
SLOWLY = {"twilio": {"latency": 0.0 if LONG else 0.1}}
"""So few are sent slowly enough for a backup to find the campaign in the middle."""
PATCH = f"{ticks.__name__}:hurried"
"""Heartbeats as often as workers look, so that looks can be counted by them."""


@pytest.mark.parametrize(
    "when",
    ["in the middle", pytest.param("before the first message", marks=pytest.mark.chaos)],
)
def test_a_restored_backup_sends_nothing_until_resumed_and_nobody_gets_it_twice(
    zygote: Zygote, kind: str, tmp_path: Path, when: str
) -> None:
    """A restored queue that is simply worked on sends to everybody again (listmonk #1801)."""
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=PEOPLE, script=SLOWLY) as on:
        first = on.campaign_id
        if when == "before the first message":
            with playing(zygote, on, kind) as fleet:
                looks(on, fleet)
        on.launch()
        later = on.again(due_in=3600)
        if when == "in the middle":
            back_up_in_the_middle(zygote, on, kind)
        else:
            back_up(on)
        lost = SystemClock().now()
        fall_due(on, later, lost)
        with playing(zygote, on, kind) as fleet:
            fleet.until(on.at_rest, "the last message", PATIENCE)
        done = on.accepted()

        restore(on)
        fall_due(on, later, lost)
        known = on.counts()
        with playing(zygote, on, kind) as fleet:
            fleet.until(lambda: current(on) is not None, "the hold", PATIENCE)
            hold = current(on)
            looks(on, fleet)
            assert on.accepted() == done, "something was sent while it was held"
            unknown = on.counts().get("unknown", 0)
            fleet.until(lambda: status(on, first) in DONE, "the first campaign's end", PATIENCE)
            statuses = {one: status(on, one) for one in (first, later)}
            resume(zygote, on)
            on.again()
            fleet.until(lambda: decided(on), "what is new", PATIENCE)
        after = on.accepted() - done
        verdict = on.judge(kills=0, ambiguous=PEOPLE)
        copies = Counter(accepts(on.log).values())
        drop(another(url))
    note(
        "F33", database=kind, when=when, done=done, after=after, unknown=unknown,
        counts=verdict["counts"], wrong=sorted(wrong(verdict)),
    )  # fmt: skip
    assert hold is not None
    assert ("restored" if kind == "sqlite" else "copy") in hold.reason
    assert unknown == known.get("queued", 0) + known.get("sending", 0) + known.get("unknown", 0)
    assert unknown > 0 or when != "in the middle"
    assert statuses[later] is CampaignStatus.PAUSED, "its time was lost, it must not seem to wait"
    reached = CampaignStatus.COMPLETED if when == "in the middle" else CampaignStatus.PAUSED
    assert statuses[first] is reached, "nobody knows how far its fan-out had come"
    assert after > PEOPLE * 0.9, "what is new goes"
    assert max(copies) <= 3, "three campaigns went to each"
    assert not wrong(verdict)


def test_a_copy_beside_the_original_is_held_while_that_goes_on(
    zygote: Zygote, kind: str, tmp_path: Path
) -> None:
    """A clone for testing, with its workers on, must not send production's queue too."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=PEOPLE, script=SLOWLY) as on:
        on.launch()
        back_up_in_the_middle(zygote, on, kind)
        other = on.environment | {
            "ECHELONX_DATABASE_URL": another(url),
            "ECHELONX_DATA_DIR": str(elsewhere),
        }
        with closing(wiring.build(Settings.from_environment(other))) as services:
            beside = dataclasses.replace(on, environment=other, services=services)
            with playing(zygote, beside, kind, folder=elsewhere) as clones:
                clones.until(lambda: current(beside) is not None, "the hold", PATIENCE)
                looks(beside, clones)
                alone = on.accepted()
                with playing(zygote, on, kind) as originals:
                    originals.until(on.at_rest, "the last message", PATIENCE)
                looks(beside, clones)
            hold, left = current(beside), beside.counts()
        verdict = on.judge(kills=0, audience=PEOPLE)
        drop(another(url))
    note("F33 copy", database=kind, counts=verdict["counts"], copy=left)
    assert hold is not None
    assert "copy" in hold.reason
    assert alone < PEOPLE, "nothing was left to send twice"
    assert left.get("queued", 0) == 0 < left["unknown"]
    assert set(accepts(on.log).values()) == {1}
    assert not wrong(verdict)


@contextmanager
def playing(zygote: Zygote, on: Stage, kind: str, folder: Path | None = None) -> Iterator[Fleet]:
    """Workers and a scheduler over the stage's database; the fleet yielded is the workers'."""
    where = folder or on.log.parent
    with (
        Fleet(zygote, on.environment, where, WORKERS[kind], patch=PATCH) as workers,
        Fleet(zygote, on.environment, where, 1, role="scheduler", patch=PATCH),
    ):
        yield workers


def back_up_in_the_middle(zygote: Zygote, on: Stage, kind: str) -> None:
    """Make a backup when a third was sent; of SQLite while it runs."""
    with playing(zygote, on, kind) as fleet:
        fleet.until(lambda: on.accepted() >= PEOPLE // 3, "the time for a backup", PATIENCE)
        if kind == "sqlite":
            back_up(on)
    if kind != "sqlite":
        back_up(on)


def back_up(on: Stage) -> None:
    """Copy the database beside itself."""
    url = on.environment["ECHELONX_DATABASE_URL"]
    on.services.engine.dispose()
    copy(url, another(url))


def restore(on: Stage) -> None:
    """Put the backup in the place of the database; SQLite's into the file that is there."""
    url = on.environment["ECHELONX_DATABASE_URL"]
    on.services.engine.dispose()
    if not url.startswith("sqlite"):
        copy(another(url), url)
        return
    here, there = (str(make_url(one).database) for one in (url, another(url)))
    with closing(sqlite3.connect(there)) as before, closing(sqlite3.connect(here)) as after:
        before.backup(after)


def fall_due(on: Stage, campaign_id: int, at: datetime) -> None:
    """Let a campaign that waits, the only one, have waited for this moment."""
    with write(on.services.sessions) as session:
        session.execute(update(Occurrence).values(due_at=at))
        session.execute(update(Campaign).where(Campaign.id == campaign_id).values(scheduled_at=at))


def current(on: Stage) -> Hold | None:
    with read(on.services.sessions) as session:
        return current_hold(session)


def looks(on: Stage, fleet: Fleet) -> None:
    """Wait until every worker has looked for work several times."""
    beats: dict[int, set[datetime]] = {process.pid: set() for process in fleet.processes}

    def often() -> bool:
        with read(on.services.sessions) as session:
            for worker in workers(session):
                beats.get(int(worker.name.split(":")[1]), set()).add(worker.heartbeat_at)
        return all(len(seen) > LOOKS for seen in beats.values())

    fleet.until(often, "a few looks", PATIENCE)


def resume(zygote: Zygote, on: Stage) -> None:
    """What an operator does."""
    output = on.log.parent / "resumed.txt"
    assert zygote.start(["resume", "--yes"], on.environment, output).wait(PATIENCE) == 0
    assert "it sends again" in output.read_text()


def decided(on: Stage) -> bool:
    """Whether the newest campaign has reached everybody and nothing is open."""
    with read(on.services.sessions) as session:
        run = latest_run(session, on.campaign_id)
        open_row = session.scalar(select(C.id).where(C.status.in_(OPEN)).limit(1))
    return run is not None and run.expanded_at is not None and open_row is None


def status(on: Stage, campaign_id: int) -> CampaignStatus:
    with read(on.services.sessions) as session:
        return session.get_one(Campaign, campaign_id).status
