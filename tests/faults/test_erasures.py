"""People are forgotten while messages to them are on their way (RELIABILITY.md section 6)."""

import random
from pathlib import Path

import pytest
from sqlalchemy import LargeBinary, select

from communications.communication import Communication, Reason
from communications.status import Status
from core.clock import SystemClock
from core.db import read, write
from echelonx.tables import METADATA
from members import traces
from members.edit import delete_member
from members.erasure import erase
from members.member import Member
from tests.faults.conftest import LONG, note
from tests.faults.fleet import Fleet
from tests.faults.stage import Stage, fresh, phone, stage, wrong
from tests.faults.zygote import Zygote
from webhooks.inbox import InboxItem, opened

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]
C = Communication
MIX = {"lost": 0.02, "500": 0.02, "400": 0.05, "reset": 0.02, "slow": 0.1, "slow_seconds": 0.3}
"""What the provider does wrong; slow enough for people to be forgotten meanwhile."""


def test_nothing_of_the_erased_is_left_or_sent(zygote: Zygote, kind: str, tmp_path: Path) -> None:
    """Rows that wait are skipped, what is on its way ends, and what is told later is emptied."""
    people, leaving = (2_000, 1_000) if LONG else (300, 100)
    dice = random.Random(17)
    order = dice.sample(range(people), leaving)
    erased: dict[int, int] = {}
    with (
        fresh(kind, tmp_path) as url,
        stage(url, tmp_path, people=people, script={"twilio": MIX}, hooks=True, window=10) as on,
    ):
        ids = numbers(on)
        on.launch()
        with Fleet(zygote, on.environment, tmp_path, 1, role="run") as fleet:
            fleet.until(lambda: on.accepted() > 5, "the first messages")
            for number in order:
                erased[number] = ids[number]
                forget(on, ids[number])
                fleet.tend()
            fleet.until(lambda: on.at_rest() and on.digested(), "the last receipt")
        while sweep(on):
            pass
        left = everything(on)
        with read(on.services.sessions) as session:
            rows = session.execute(
                select(C.status, C.reason).where(C.member_id.in_(erased.values()))
            ).all()
        verdict = on.judge(kills=0)
    skipped = sum(row.reason is Reason.MEMBER_DELETED for row in rows)
    told = sum(row.status is not Status.SKIPPED for row in rows)
    note("erasures", database=kind, erased=len(erased), skipped=skipped, on_their_way=told)
    assert not wrong(verdict)
    found = [line for line in left.splitlines() for n in erased if phone(n)[1:] in line]
    assert not found, found[0][:600]
    assert skipped, "nobody was erased in time to matter"
    assert told, "nobody was erased too late to matter"
    assert phone(next(n for n in range(people) if n not in erased)) in left, "the search is blind"


def numbers(on: Stage) -> dict[int, int]:
    """Return the id of each number-th member."""
    with read(on.services.sessions) as session:
        return {
            int(key.removeprefix("m")): id
            for id, key in session.execute(select(Member.id, Member.member_id))
        }


def forget(on: Stage, id: int) -> None:
    """Delete and erase a member, as the API does one after the other."""
    clock = SystemClock()
    with write(on.services.sessions) as session:
        delete_member(session, clock, client_id=on.client_id, id=id)
    with write(on.services.sessions) as session:
        erase(session, clock, on.services.hasher, client_id=on.client_id, id=id)


def sweep(on: Stage) -> int:
    with write(on.services.sessions) as session:
        return traces.sweep(session, now=SystemClock().now())


def everything(on: Stage) -> str:
    """Every value of every row, as text, and what is under seal in stored webhooks."""
    with read(on.services.sessions) as session:
        rows = [
            str(row)
            for table in METADATA.sorted_tables
            for row in session.execute(
                select(*(c for c in table.columns if not isinstance(c.type, LargeBinary)))
            )
        ]
        stored = session.scalars(select(InboxItem).where(InboxItem.request != b"")).all()
        # A receipt is a form: its + is %2B.
        return "\n".join(rows + [str(opened(on.services.vault, one)) for one in stored])
