"""F03: processes that die at every point of core/failpoint.py, again and again.

One process does everything (web, scheduler, worker); each is told to die at one failpoint, and the
next one goes on with what it left. At the end every oracle looks at all of it together.
"""

import signal
from collections import Counter
from itertools import cycle, islice
from pathlib import Path

import pytest

from core.failpoint import JOURNEYS, POINTS
from tests.e2e.processes import until
from tests.faults.conftest import LONG, note
from tests.faults.stage import Stage, fresh, leases_over, stage, wrong
from tests.faults.zygote import Process, Zygote

PEOPLE = 20
TIMES = 20 if LONG else 2
"""How often each failpoint is to be hit, on each of two databases."""
CAMPAIGNS = [point for point in POINTS if point not in JOURNEYS]
LAST = len(CAMPAIGNS) * TIMES * 2
PATIENCE = 300.0
VISITS = {"C5": PEOPLE, "C7": PEOPLE, "C12": 9, "C11": 2}
"""How often a process passes it with so few messages; others once or twice."""
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(3600)]


def test_every_failpoint_is_survived(zygote: Zygote, kind: str, tmp_path: Path) -> None:
    hits: Counter[str] = Counter()
    delay = {"hooks": True, "delay": 0.05, "script": {}}
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=PEOPLE, **delay) as on:  # type: ignore[arg-type]
        on.launch()
        for number, point in enumerate(islice(cycle(CAMPAIGNS), LAST)):
            if hits[point] >= TIMES:
                continue
            on.renumber()
            visit = 1 + number // len(CAMPAIGNS) % VISITS.get(point, 1)
            on.again(due_in=0 if point == "C1" else None)
            process = start(zygote, on, f"{point}:kill@{visit}", number)
            until(lambda process=process: ended(process, on), f"{point} or the end")
            hits[point] += process.poll() == -signal.SIGKILL
            process.kill()
        last = start(zygote, on, "", LAST)
        until(lambda: is_up(on, LAST), "the last process")
        until(lambda: leases_over(on, [last]) and on.at_rest(), "the last message")
        until(on.digested, "the last receipt")
        last.terminate()
        assert last.wait(PATIENCE) == 0
        verdict = on.judge(kills=hits.total() * 2)
    note("F03", database=kind, hits=hits, wrong=sorted(wrong(verdict)), counts=verdict["counts"])
    assert not wrong(verdict)
    assert all(hits[point] >= TIMES for point in CAMPAIGNS), hits


def start(zygote: Zygote, on: Stage, failpoints: str, number: int) -> Process:
    given = on.environment | {"ECHELONX_FAILPOINTS": failpoints}
    return zygote.start(["run"], given, output(on, number))


def output(on: Stage, number: int) -> Path:
    return on.log.parent / f"run-{number}.txt"


def is_up(on: Stage, number: int) -> bool:
    said = output(on, number)
    return said.exists() and "is up" in said.read_text()


def ended(process: Process, on: Stage) -> bool:
    """Whether it died, or did all there was without ever coming to its failpoint."""
    return process.poll() is not None or (
        leases_over(on, [process]) and on.at_rest() and on.digested()
    )
