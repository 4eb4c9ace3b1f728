"""Workers that are killed, frozen and restarted while they send (F01, F02, F04, F05).

The same runs with the naive variant end in second copies: the harness would catch us.
"""

import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from communications.communication import Communication
from core.clock import SystemClock
from core.db import read
from tests.faults.conftest import LONG, note
from tests.faults.fleet import Fleet
from tests.faults.naive import PATCH
from tests.faults.stage import Stage, fresh, leases_over, stage, wrong
from tests.faults.zygote import Zygote

PEOPLE, KILLS, SEEDS = (50_000, 20, (1, 2, 3)) if LONG else (2_000, 3, (1,))
WORKERS = {"sqlite": 1, "postgresql": 4}
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


def killed(
    zygote: Zygote, kind: str, folder: Path, seed: int, *, naive: bool = False
) -> dict[str, Any]:
    """Send to everybody while workers are killed; return the verdict."""
    dice = random.Random(seed)
    with fresh(kind, folder) as url, stage(url, folder, people=PEOPLE, seed=seed) as on:
        on.launch()
        started = time.monotonic()
        patch = PATCH if naive else ""
        with Fleet(zygote, on.environment, folder, WORKERS[kind], patch=patch) as fleet:
            for kill in range(KILLS):
                enough = PEOPLE * (kill + 1) // (KILLS + 1)
                fleet.until(
                    lambda enough=enough: on.accepted() >= enough or on.at_rest(), "the next kill"
                )
                fleet.strike(signal.SIGKILL, dice)
            fleet.until(
                lambda: leases_over(on, fleet.processes) and on.at_rest(), "the last message"
            )
        verdict = on.judge(kills=KILLS, audience=PEOPLE)
        note(
            "F01" if kind == "postgresql" else "F02",
            database=kind, seed=seed, naive=naive, seconds=round(time.monotonic() - started, 1),
            kills=len(fleet.ended), twice=verdict["oracles"]["O1"]["note"],
            unknown=verdict["oracles"]["O4"]["note"], wrong=sorted(wrong(verdict)),
            counts=verdict["counts"],
        )  # fmt: skip
        return verdict


@pytest.mark.parametrize("seed", SEEDS)
def test_kill_9_makes_no_second_copy_and_loses_nobody(
    zygote: Zygote, kind: str, tmp_path: Path, seed: int
) -> None:
    verdict = killed(zygote, kind, tmp_path, seed)

    assert not wrong(verdict)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_naive_variant_is_caught(zygote: Zygote, kind: str, tmp_path: Path, seed: int) -> None:
    verdict = killed(zygote, kind, tmp_path, seed, naive=True)

    assert "O1" in wrong(verdict), "people got second copies, and nobody noticed"


def test_a_rolling_restart_leaves_nothing_unknown(
    zygote: Zygote, kind: str, tmp_path: Path
) -> None:
    people, rounds = (20_000, 10) if LONG else (1_500, 2)
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=people, script={}) as on:
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, WORKERS[kind]) as fleet:
            for turn in range(rounds):
                enough = people * (turn + 1) // (rounds + 1)
                fleet.until(lambda enough=enough: on.accepted() >= enough, "the next restart")
                for process in list(fleet.processes):
                    process.terminate()
                    fleet.until(lambda process=process: process.poll() is not None, "the end")
                    assert process.returncode == 0
            fleet.until(on.at_rest, "the last message")
        verdict = on.judge(kills=0, audience=people)
    assert not wrong(verdict)
    assert verdict["counts"].get("unknown", 0) == 0
    assert verdict["counts"]["accepted"] == people


@pytest.mark.chaos
def test_a_worker_that_freezes_and_wakes_sends_nothing_late(
    zygote: Zygote, kind: str, tmp_path: Path
) -> None:
    """Frozen right after the intent, it wakes past its deadline and lets the message be (F04)."""
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=100, script={}) as on:
        frozen = lambda number: "C6:stop@1" if number == 0 else ""  # noqa: E731
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, 1, failpoints=frozen, revive=False) as fleet:
            until_frozen(fleet, on)
            before = on.accepted()
            fleet.until(lambda: on.run() is not None and lease_is_over(on), "the lease's end")
            fleet.processes[0].send_signal(signal.SIGCONT)
            fleet.until(on.at_rest, "the last message", 120)
        verdict = on.judge(kills=1)
    assert before == 0
    assert not wrong(verdict)


def until_frozen(fleet: Fleet, on: Stage) -> None:
    fleet.until(lambda: on.counts().get("sending", 0) > 0, "the intent")


def lease_is_over(on: Stage) -> bool:
    with read(on.services.sessions) as session:
        last = session.scalar(select(func.max(Communication.lease_until)))
    return last is None or last < SystemClock().now()
