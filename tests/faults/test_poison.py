"""One message among many that kills whoever touches it (F12)."""

from pathlib import Path

import pytest
from sqlalchemy import select

from campaigns.template import create_template
from communications.claim import MAX_CRASHES, POISON
from communications.communication import Communication
from communications.status import Status
from core.clock import SystemClock
from core.db import read, write
from tests.faults import poisons
from tests.faults.conftest import LONG, note
from tests.faults.fleet import Fleet
from tests.faults.stage import Stage, fresh, leases_over, phone, stage, wrong
from tests.faults.zygote import Zygote

pytestmark = pytest.mark.e2e
C = Communication
PEOPLE = 10_000 if LONG else 300
WINDOW = 12
PATIENCE = 600
WORKERS = {"sqlite": 1, "postgresql": 2}


def test_a_message_that_kills_its_renderer_is_held_after_three_and_all_others_go(
    zygote: Zygote, kind: str, tmp_path: Path
) -> None:
    """Without a count of crashes a fourth, a fifth, … worker dies of it, and the run never ends."""
    patch = f"{poisons.__name__}:rendering"
    with (
        fresh(kind, tmp_path) as url,
        stage(url, tmp_path, people=PEOPLE, script={}, window=WINDOW) as on,
    ):
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, WORKERS[kind], patch=patch) as fleet:
            fleet.until(
                lambda: leases_over(on, fleet.processes) and on.at_rest(),
                "the last message",
                PATIENCE,
            )
            deaths = len(fleet.ended)
            reword(on)
            on.again()
            fleet.until(on.at_rest, "another campaign to all of them", PATIENCE)
            fleet.tend()
            assert len(fleet.ended) == deaths, "somebody died although it was held"
        verdict = on.judge(kills=0, audience=2 * PEOPLE)
        [poison] = held(on)
    note("F12", database=kind, deaths=fleet.ended, counts=verdict["counts"])
    assert fleet.ended == [poisons.CODE] * MAX_CRASHES
    assert (poison.to_address, poison.status) == (phone(poisons.POISONED), Status.QUEUED)
    assert (poison.held, poison.crashes) == (POISON, MAX_CRASHES)
    assert not wrong(verdict)
    counts = verdict["counts"]
    assert counts["queued"] == 1
    assert counts["accepted"] == counts["sent"]
    assert counts["sent"] + counts.get("failed", 0) == 2 * PEOPLE - 1  # some replied STOP


def test_a_message_that_kills_its_sender_does_so_once(
    zygote: Zygote, kind: str, tmp_path: Path
) -> None:
    """Nobody knows how far it got: it is unknown with its window, and nobody tries it again."""
    patch = f"{poisons.__name__}:sending"
    with (
        fresh(kind, tmp_path) as url,
        stage(url, tmp_path, people=PEOPLE, script={}, window=WINDOW) as on,
    ):
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, WORKERS[kind], patch=patch) as fleet:
            fleet.until(
                lambda: leases_over(on, fleet.processes) and on.at_rest(),
                "the last message",
                PATIENCE,
            )
        verdict = on.judge(kills=1, audience=PEOPLE)
        with read(on.services.sessions) as session:
            hurt = C.to_address == phone(poisons.POISONED)
            status = session.scalar(select(C.status).where(hurt))
        assert not held(on)
    note("F12 sending", database=kind, deaths=fleet.ended, counts=verdict["counts"])
    assert fleet.ended == [poisons.CODE]
    assert status is Status.UNKNOWN
    assert not wrong(verdict)


def held(on: Stage) -> list[Communication]:
    with read(on.services.sessions) as session:
        return list(session.scalars(select(C).where(C.held.is_not(None))))


def reword(on: Stage) -> None:
    """Write another template for what comes next."""
    with write(on.services.sessions) as session:
        on.template_id = create_template(
            session, SystemClock(), client_id=on.client_id, name="u", channel="sms",
            text="Dear {{ member.first_name }}, reply STOP",
        ).id  # fmt: skip
