"""A campaign paused, resumed and cancelled while it is sent (F29), and logged (F39)."""

import random
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from campaigns import control
from communications.communication import Communication, Reason
from core.clock import SystemClock
from core.db import read, write
from core.secret import Vault, vault_of
from core.settings import Settings
from echelonx.rotation import rotate
from tests.faults.conftest import LONG, note
from tests.faults.fleet import Fleet
from tests.faults.stage import Stage, fresh, phone, stage, wrong
from tests.faults.zygote import Zygote

pytestmark = pytest.mark.e2e
C = Communication


def act(on: Stage, deed: str) -> None:
    with write(on.services.sessions) as session:
        getattr(control, deed)(
            session, SystemClock(), client_id=on.client_id, campaign_id=on.campaign_id
        )


def test_pausing_holds_resuming_goes_on_and_cancelling_ends_it(
    zygote: Zygote, kind: str, tmp_path: Path
) -> None:
    people, rounds = (20_000, 12) if LONG else (3_000, 3)
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=people, script={}) as on:
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, 1 if kind == "sqlite" else 2) as fleet:
            for turn in range(rounds):
                enough = people * (turn + 1) // (rounds + 3)
                fleet.until(lambda enough=enough: on.accepted() > enough, "the next pause")
                act(on, "pause")
                fleet.until(lambda: on.counts().get("sending", 0) == 0, "what was in flight")
                paused = on.accepted()
                began = time.monotonic()
                fleet.until(lambda began=began: time.monotonic() > began + 1, "a second")
                assert on.accepted() == paused, "nothing leaves while it is paused"
                act(on, "resume")
            act(on, "cancel")
            fleet.until(on.at_rest, "the end")
        with read(on.services.sessions) as session:
            cancelled = session.scalar(
                select(func.count()).where(C.reason == Reason.CANCELLED).select_from(C)
            )
        verdict = on.judge(kills=0, ambiguous=0)
    note("F29", database=kind, counts=verdict["counts"])
    assert not wrong(verdict)
    assert cancelled
    assert cancelled == verdict["counts"]["skipped"]
    assert verdict["counts"]["accepted"] + cancelled == verdict["counts"]["communications"]


def test_no_address_and_no_secret_reaches_a_log(zygote: Zygote, kind: str, tmp_path: Path) -> None:
    """F39: everything is logged that can be, under faults and a kill; nobody is in it."""
    people = 300
    script = {"twilio": {"lost": 0.05, "500": 0.05, "400": 0.1, "odd": 0.1, "reset": 0.05}}
    loud = {"ECHELONX_LOG_LEVEL": "DEBUG", "ECHELONX_LOG_FORMAT": "json"}
    with (
        fresh(kind, tmp_path) as url,
        stage(url, tmp_path, people=people, script=script, hooks=True, settings=loud) as on,
    ):
        on.launch()
        doomed = lambda number: "C9:kill@2" if number == 0 else ""  # noqa: E731
        with Fleet(zygote, on.environment, tmp_path, 1, role="run", failpoints=doomed) as fleet:
            fleet.until(lambda: on.at_rest() and on.digested(), "the last receipt")
        with read(on.services.sessions) as session:
            token = session.scalar(text("SELECT token FROM providers"))
    said = "".join(path.read_text(errors="replace") for path in tmp_path.glob("run-*.txt"))
    dice = random.Random(39)
    planted = {phone(number) for number in dice.sample(range(people), 200)}
    planted |= {address.removeprefix("+") for address in planted}
    config = on.providers.config["twilio"]
    secrets = {config["auth_token"], on.environment["ECHELONX_SECRET_KEY"], str(token)}
    assert "stopped while sending" in said or "is up" in said, "nothing was logged"
    assert not {word for word in planted | secrets if word in said}
    assert "reply STOP" not in said, "a text was logged"


def test_keys_are_changed_while_it_sends(zygote: Zygote, kind: str, tmp_path: Path) -> None:
    """Processes that know both keys send and hear on; afterwards the new one alone opens all."""
    people = 5_000 if LONG else 600
    new = "another key for the faults of tests of 40 letters"
    with (
        fresh(kind, tmp_path) as url,
        stage(url, tmp_path, people=people, script={}, hooks=True) as on,
    ):
        on.environment["ECHELONX_VAULT_KEYS"] = new
        vault = vault_of(Settings.from_environment(on.environment))
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, 1, role="run") as fleet:
            for share in (4, 2):
                enough = people // share
                fleet.until(lambda enough=enough: on.accepted() > enough, "some messages")
                rotate(on.services.sessions, vault)
            fleet.until(lambda: on.at_rest() and on.digested(), "the last receipt")
        told = rotate(on.services.sessions, Vault(new.encode()))
        verdict = on.judge(kills=0)
    assert not wrong(verdict)
    assert {one.unreadable + one.renewed for one in told} == {0}
    assert sum(one.current for one in told) > people, "receipts are kept sealed"
