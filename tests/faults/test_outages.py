"""Outages that begin and end: of the provider (F10, F35), the disk (F30), the database (F31)."""

import json
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.db import open_engine
from tests.faults.conftest import LONG, note
from tests.faults.fleet import Fleet
from tests.faults.postgres import cluster
from tests.faults.stage import ANSWER_SECONDS, Stage, fresh, stage, wrong
from tests.faults.zygote import Zygote

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1500)]


def faults(on: Stage, **twilio: float) -> None:
    """Change what the provider does from now on."""
    on.providers.ask("POST", "/_sim/faults", {"twilio": twilio})


def times(on: Stage) -> list[float]:
    """When the provider took messages, in order."""
    lines = (json.loads(line) for line in on.log.read_text().splitlines())
    return sorted(line["at"] for line in lines if "at" in line)


@pytest.mark.chaos
def test_an_outage_loses_nobody_and_ends_without_a_wave(
    zygote: Zygote, kind: str, tmp_path: Path
) -> None:
    """F10: 503 for a minute under a backlog, then back."""
    people = 6_000
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=people, script={}) as on:
        on.launch()
        workers = 1 if kind == "sqlite" else 4
        with Fleet(zygote, on.environment, tmp_path, workers) as fleet:
            fleet.until(lambda: on.accepted() > people // 6, "a sixth")
            faults(on, **{"503": 1.0, "retry_after": 2})
            down = on.accepted()
            began = time.monotonic()
            fleet.until(lambda: time.monotonic() > began + 60, "a minute")
            during = on.accepted() - down
            faults(on)
            back = time.time()
            fleet.until(on.at_rest, "the last message", 900)
        verdict = on.judge(kills=0, ambiguous=0, audience=people)
        after = Counter(int(at - back) for at in times(on) if at > back)
    steady = sorted(after.values())[len(after) // 2]
    note("F10", database=kind, during=during, first_seconds=[after[s] for s in range(10)])
    assert not wrong(verdict)
    assert during <= 100, "only what was on its way"
    assert verdict["counts"]["accepted"] == people
    assert after[0] <= 1.5 * max(steady, max(after.values()) / 1.5), after


@pytest.mark.chaos
def test_a_provider_that_falls_silent_costs_its_window_and_no_more(
    zygote: Zygote, kind: str, tmp_path: Path
) -> None:
    """F35: connections stay open and nothing comes: timeouts fire, and the account rests."""
    people = 2_000 if LONG else 400
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=people, script={}) as on:
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, 1) as fleet:
            fleet.until(lambda: on.accepted() > people // 4, "a quarter")
            faults(on, hang=1.0)
            began = time.monotonic()
            fleet.until(lambda: on.counts().get("unknown", 0) > 0, "the first timeout")
            waited = time.monotonic() - began
            fleet.until(lambda: on.counts().get("sending", 0) == 0, "the batch's end")
            unknown = on.counts()["unknown"]
            assert waited < ANSWER_SECONDS + 20
            assert unknown <= on.window, "the account rests after ten"
            if LONG:
                faults(on)
                fleet.until(on.at_rest, "the last message", 300)
        verdict = on.judge(kills=0, ambiguous=unknown + 16, at_rest=LONG)
    note("F35", database=kind, unknown=unknown, waited=round(waited, 1))
    assert not wrong(verdict)


@pytest.mark.chaos
def test_a_database_that_crashes_again_and_again(zygote: Zygote, tmp_path: Path) -> None:
    """PostgreSQL restarts at once, five times, while four workers send and one is killed."""
    people, crashes = 10_000, 5
    with (
        cluster(tmp_path) as database,
        stage(database.url, tmp_path, people=people, script={}) as on,
    ):
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, 4) as fleet:
            for crash in range(crashes):
                enough = people * (crash + 1) // (crashes + 1)
                fleet.until(lambda enough=enough: on.accepted() > enough, "the next crash")
                database.restart_immediately()
            fleet.until(lambda: rests(on), "the last message", 600)
            revived = len(fleet.ended)
        verdict = on.judge(kills=crashes * 4, audience=people)
    note("PG", crashes=crashes, processes_ended=revived, counts=verdict["counts"])
    assert not wrong(verdict)
    assert revived == 0, "a worker outlives its database's restart"


def rests(on: Stage) -> bool:
    try:
        return on.at_rest()
    except sa.exc.OperationalError:
        return False


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of that size; skips the test where one may not be mounted."""
    place = folder / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


class Still:
    """Says whether a number has stood still for so long."""

    def __init__(self, look: Callable[[], int], *, seconds: float) -> None:
        self._look, self._seconds = look, seconds
        self._last, self._since = look(), time.monotonic()

    def __call__(self) -> bool:
        found = self._look()
        if found != self._last:
            self._last, self._since = found, time.monotonic()
        return time.monotonic() > self._since + self._seconds


@pytest.mark.chaos
def test_a_full_disk_sends_nothing_and_recovers_by_itself(zygote: Zygote, tmp_path: Path) -> None:
    """F30: no send without a durable intent; room again, and it goes on without a hand."""
    people = 2_000
    with (
        small_disk(tmp_path, "24m") as disk,
        stage(f"sqlite:///{disk}/chaos.db", tmp_path, people=people, script={}) as on,
    ):
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, 1) as fleet:
            fleet.until(lambda: on.accepted() > people // 4, "a quarter")
            ballast = disk / "ballast"
            with ballast.open("wb", buffering=0) as file:  # else closing it fails, too
                try:
                    while True:
                        file.write(b"x" * 4096)
                except OSError:
                    pass
            full = on.accepted()
            # The log of the database holds pages that were written before: they take a few more.
            still = Still(on.accepted, seconds=10)
            fleet.until(still, "ten seconds without a message", 120)
            stopped = on.accepted()
            ballast.unlink()
            fleet.until(on.at_rest, "the last message", 300)
        verdict = on.judge(kills=len(fleet.ended) + 3, audience=people)
    note("F30", accepted_while_full=stopped - full, counts=verdict["counts"])
    assert not wrong(verdict)
    assert stopped < people, "it went on until the end"


def test_a_worker_that_is_stopped_while_the_database_is_slow_ends_in_order(
    zygote: Zygote, tmp_path: Path
) -> None:
    """F31: a lock held on the log for seconds delays, and makes nothing unknown."""
    with fresh("postgresql", tmp_path) as url, stage(url, tmp_path, people=600, script={}) as on:
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, 2) as fleet:
            fleet.until(lambda: on.accepted() > 50, "the first messages")
            engine = open_engine(url)
            with engine.begin() as connection:
                connection.execute(sa.text("LOCK TABLE communications IN EXCLUSIVE MODE"))
                began = time.monotonic()
                fleet.until(lambda: time.monotonic() > began + 3, "three seconds")
            engine.dispose()
            fleet.until(on.at_rest, "the last message")
            fleet.strike(signal.SIGTERM, random.Random(1))
        verdict = on.judge(kills=0, ambiguous=0, audience=600)
    assert not wrong(verdict)
    assert verdict["counts"]["accepted"] == 600
