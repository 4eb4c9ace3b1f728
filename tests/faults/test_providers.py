"""Providers that answer wrongly, late or not at all (F07, F08, F09, F11, F34, F36)."""

import json
from pathlib import Path

import pytest
from sqlalchemy import select

from communications.account import (
    AccountStatus,
    ProviderAccount,
    account_config,
    resume_account,
    seal,
)
from communications.attempt import Attempt
from core.clock import SystemClock
from core.db import read, write
from tests.faults.conftest import LONG, note
from tests.faults.fleet import Fleet
from tests.faults.stage import ANSWER_SECONDS, Stage, fresh, stage, wrong
from tests.faults.zygote import Zygote

pytestmark = pytest.mark.e2e
MANY = 10_000 if LONG else 400


def unknown(on: Stage) -> int:
    return on.counts().get("unknown", 0)


@pytest.mark.parametrize(
    ("scenario", "faults"),
    [
        ("F07", {"lost": 0.05}),
        ("F08", {"slow": 0.02, "slow_seconds": ANSWER_SECONDS * 2}),
    ],
)
def test_what_was_taken_without_an_answer_is_unknown_until_its_receipt(
    zygote: Zygote, kind: str, tmp_path: Path, scenario: str, faults: dict[str, float]
) -> None:
    script = {"twilio": faults}
    people = MANY if scenario == "F07" else 200
    with (
        fresh(kind, tmp_path) as url,
        stage(url, tmp_path, people=people, script=script, hooks=True) as on,
    ):
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, 1) as fleet:
            fleet.until(on.at_rest, "the last message")
            lost = unknown(on)
            assert on.accepted() == people, "nothing is sent again"
            assert 0 < lost == on.ambiguous()
            with Fleet(zygote, on.environment, tmp_path, 1, role="web") as web:
                web.until(lambda: on.digested() and unknown(on) == 0, "the last receipt")
        verdict = on.judge(kills=0, audience=people)
    note(scenario, database=kind, lost=lost, counts=verdict["counts"])
    assert not wrong(verdict)


def test_an_odd_answer_of_2xx_is_an_acceptance(zygote: Zygote, kind: str, tmp_path: Path) -> None:
    script = {"twilio": {"empty": 0.4, "odd": 0.4}}
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=200, script=script) as on:
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, 1) as fleet:
            fleet.until(on.at_rest, "the last message")
        verdict = on.judge(kills=0)
    assert not wrong(verdict)
    assert verdict["counts"]["accepted"] == verdict["counts"]["sent"] == 200


def test_refused_credentials_pause_the_account_and_nobody_is_lost(
    zygote: Zygote, kind: str, tmp_path: Path
) -> None:
    people = 20_000 if LONG else 1_000
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=people, script={}) as on:
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, workers(kind)) as fleet:
            fleet.until(lambda: on.accepted() > people // 5, "a fifth")
            good = credentials(on, auth_token="0" * 32)
            fleet.until(lambda: account(on).status is AccountStatus.PAUSED, "the pause")
            assert "401" in str(account(on).status_reason) or "20003" in str(
                account(on).status_reason
            )
            held = on.accepted()
            waiting = on.counts()["queued"]
            credentials(on, **good)
            with write(on.services.sessions) as session:
                resume_account(session, SystemClock(), account_id=on.account_id)
            fleet.until(on.at_rest, "the last message")
        verdict = on.judge(kills=0, audience=people)
    assert not wrong(verdict)
    assert held < people
    assert waiting >= people - held - 100, "the rest waits"
    assert verdict["counts"]["accepted"] == verdict["counts"]["sent"] == people


def account(on: Stage) -> ProviderAccount:
    with read(on.services.sessions) as session:
        return session.scalars(select(ProviderAccount)).one()


def credentials(on: Stage, **values: str) -> dict[str, str]:
    """Change the account's settings, as an operator would; return what they were."""
    vault = on.services.vault
    with write(on.services.sessions) as session:
        found = session.scalars(select(ProviderAccount)).one()
        config = account_config(vault, found)
        before = {name: config[name] for name in values}
        found.config = seal(vault, found.token, config | values)
        found.updated_at = SystemClock().now()
    return before


def workers(kind: str) -> int:
    """A SQLite file has one sender."""
    return 2 if kind == "postgresql" else 1


def patience(on: Stage) -> list[float]:
    """When the provider said 429, by our own records: Unix time in seconds."""
    with read(on.services.sessions) as session:
        query = select(Attempt.finished_at).where(Attempt.retry_after_seconds.is_not(None))
        return sorted(at.timestamp() for at in session.scalars(query) if at is not None)


@pytest.mark.chaos
def test_a_provider_that_asks_for_patience_gets_it(
    zygote: Zygote, kind: str, tmp_path: Path
) -> None:
    """F11: after a 429 nobody asks before its Retry-After is over."""
    wait = 7
    script = {"twilio": {"429": 0.3, "retry_after": wait}}
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=60, script=script) as on:
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, workers(kind)) as fleet:
            fleet.until(on.at_rest, "the last message", 600)
        verdict = on.judge(kills=0)
        times = sorted(json.loads(line)["at"] for line in on.log.read_text().splitlines())
        asked = patience(on)
    assert not wrong(verdict)
    assert verdict["counts"]["sent"] == 60
    # What was on the wire when patience was asked for comes within a second.
    early = [at for at in times if any(then + 1 < at < then + wait - 0.5 for then in asked)]
    note("F11", database=kind, seconds=times[-1] - times[0], asked=len(asked), early=len(early))
    assert asked
    assert not early, "somebody asked before the time was over"


@pytest.mark.chaos
def test_a_name_that_does_not_resolve_sends_nothing_and_loses_nothing(
    zygote: Zygote, kind: str, tmp_path: Path
) -> None:
    """F36: everything is certainly not sent; with the name back, everything goes."""
    with fresh(kind, tmp_path) as url, stage(url, tmp_path, people=300, script={}) as on:
        good = credentials(on, base_url="http://provider.invalid")
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, workers(kind)) as fleet:
            fleet.until(lambda: account(on).rest_until is not None, "the rest")
            assert on.counts().get("unknown", 0) == on.accepted() == 0
            credentials(on, **good)
            fleet.until(on.at_rest, "the last message", 300)
        verdict = on.judge(kills=0)
    assert not wrong(verdict)
    assert verdict["counts"]["sent"] == 300
