"""Kills while an audience becomes messages (F06), and opt-outs while it is sent (F27)."""

import random
import signal
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from channels.channel import Channel
from communications import effects
from communications.account import AccountStatus, ProviderAccount
from communications.communication import Communication
from communications.effects import Effect
from core.clock import SystemClock
from core.db import read, write
from members.suppression import Scope, SuppressionReason
from tests.faults.conftest import LONG, note
from tests.faults.fleet import Fleet
from tests.faults.stage import LEASE_SECONDS, Stage, fresh, phone, stage, wrong
from tests.faults.zygote import Zygote

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
C = Communication


def test_kills_during_the_fan_out_forget_nobody_and_double_nobody(
    zygote: Zygote, kind: str, tmp_path: Path
) -> None:
    """Every worker dies at its second or third chunk, twenty times over."""
    people, kills = (100_000, 20) if LONG else (20_000, 3)
    dice = random.Random(6)

    def doomed(number: int) -> str:
        points = ("C2", "C3")
        return f"{dice.choice(points)}:kill@{dice.randint(1, 3)}" if number < kills else ""

    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=people, script={}) as on:
        on.launch()
        with write(on.services.sessions) as session:
            session.execute(update(ProviderAccount).values(status=AccountStatus.PAUSED))
        with Fleet(zygote, on.environment, tmp_path, 1, failpoints=doomed) as fleet:
            fleet.until(lambda: expanded(on), "the last chunk", 600)
        with read(on.services.sessions) as session:
            rows, members = session.execute(
                select(func.count(), func.count(C.member_id.distinct())).select_from(C)
            ).one()
        run = on.run()
    assert run is not None
    note("F06", database=kind, kills=len(fleet.ended), rows=rows)
    assert fleet.ended.count(-signal.SIGKILL) >= min(kills, 3)
    assert rows == members == run.expanded == run.audience_size == people


def expanded(on: Stage) -> bool:
    run = on.run()
    return run is not None and run.expanded_at is not None


def test_no_send_begins_after_an_opt_out(zygote: Zygote, kind: str, tmp_path: Path) -> None:
    people = 10_000 if LONG else 1_500
    dice = random.Random(27)
    leaving = dice.sample(range(people), people // 5)
    small = {"script": {}, "window": 10}
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=people, **small) as on:  # type: ignore[arg-type]
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, 1 if kind == "sqlite" else 2) as fleet:
            fleet.until(lambda: on.accepted() > 20, "the first messages")
            for start in range(0, len(leaving), 20):
                opt_out(on, leaving[start : start + 20])
                time.sleep(0.01)  # spread over the campaign, which goes on meanwhile
                fleet.tend()
            fleet.until(on.at_rest, "the last message")
        # What is in flight takes its time on a busy machine; without a gate, most would seem to be.
        late = {"in_flight_seconds": 1.0 if LONG else LEASE_SECONDS, "in_flight": len(leaving) // 2}
        verdict = on.judge(kills=0, audience=people, **late)
    note("F27", database=kind, verdict=verdict["oracles"]["O9"], counts=verdict["counts"])
    assert not wrong(verdict)
    assert verdict["counts"].get("skipped", 0) > 0, "nobody left in time to matter"
    assert verdict["oracles"]["O9"]["checked"] == len(leaving)


def opt_out(on: Stage, numbers: list[int]) -> None:
    """What a STOP does."""
    services = on.services
    with write(services.sessions) as session:
        effects.run(
            session,
            SystemClock(),
            [
                Effect(
                    client_id=on.client_id,
                    channel=Channel.SMS,
                    address_hash=services.hasher.hash(on.client_id, "sms", phone(number)),
                    masked="+1***",
                    scope=Scope.ALL,
                    reason=SuppressionReason.STOPPED,
                    evidence="test",
                )
                for number in numbers
            ],
        )
