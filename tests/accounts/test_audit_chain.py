"""Mirrors accounts/audit_chain.py and accounts/audit_guard.py."""

import json
import re
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from accounts.audit import AuditEntry, record
from accounts.audit_chain import (
    AuditChain,
    chains,
    export_lines,
    forget,
    forgettable,
    seal,
    verify,
    verify_lines,
)
from accounts.client import create_client
from core.clock import ManualClock
from core.db import Sessions, is_sqlite, read, write

FORGOTTEN = """UPDATE audit_chains
    SET kept_after = 2, kept_after_hash = (SELECT hash FROM audit_log WHERE seq = 2)"""


@pytest.fixture
def did(sessions: Sessions, clock: ManualClock, client_id: int):
    """Write down a number of actions of the client, in one transaction."""

    def act(count: int = 1, whose: int | None = client_id, **detail: object) -> None:
        with write(sessions) as session:
            for number in range(count):
                record(
                    session, clock, client_id=whose, actor="key:1", action="campaign.launch",
                    target=f"campaign:{number}", before={"status": "draft"},
                    after={"status": "running"}, **detail,
                )  # fmt: skip

    return act


def sealed(sessions: Sessions, **how: int) -> int:
    with write(sessions) as session:
        return seal(session, **how)


def tampered(sessions: Sessions, statement: str) -> None:
    """Do what only who owns the database can: change what is there behind the triggers' back."""
    with write(sessions) as session:
        if is_sqlite(session):
            for name in ("audit_log_update", "audit_log_delete", "audit_chains_update"):
                session.execute(text(f"DROP TRIGGER IF EXISTS {name}"))
        else:
            session.execute(text("SET LOCAL session_replication_role = replica"))
        session.execute(text(statement))


def problems(sessions: Sessions, whose: int | None) -> list[str]:
    with read(sessions) as session:
        return verify(session, whose).problems


def test_each_client_has_a_chain_of_its_own_and_so_has_nobody(
    sessions, clock, client_id, did
) -> None:
    with write(sessions) as session:
        other = create_client(session, clock, name="Other").id
    did(3)
    did(2, other)
    did(1, None)
    assert sealed(sessions) == 6
    did(2)
    assert sealed(sessions, limit=1) == 1
    assert sealed(sessions) == 1
    assert sealed(sessions) == 0

    with read(sessions) as session:
        assert chains(session) == [None, client_id, other]
        found = {one: verify(session, one) for one in chains(session)}
    assert {one: (each.entries, each.seq) for one, each in found.items()} == {
        None: (1, 1), client_id: (5, 5), other: (2, 2)
    }  # fmt: skip
    assert all(not each.problems and not each.unsealed for each in found.values())


def test_what_is_not_sealed_yet_is_counted_and_breaks_nothing(sessions, client_id, did) -> None:
    did(2)
    with read(sessions) as session:
        verdict = verify(session, client_id)
    assert (verdict.entries, verdict.unsealed, verdict.problems) == (0, 2, [])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE audit_log SET actor = 'key:9' WHERE seq = 2", "entry 2 (id 2) was changed"),
        ("UPDATE audit_log SET after = '{\"status\": \"done\"}' WHERE seq = 4", "entry 4 (id 4)"),
        ("UPDATE audit_log SET at = '2026-11-20 12:00:00' WHERE seq = 1", "entry 1"),
        ("DELETE FROM audit_log WHERE seq = 3", "after entry 2 comes entry 4"),
        ("DELETE FROM audit_log WHERE seq = 5", "it ends at entry 4 and should end at 5"),
        ("DELETE FROM audit_log", "it ends at entry 0"),
        (FORGOTTEN, "no entry says that those up to 2"),
    ],
)  # fmt: skip
def test_whoever_changes_the_past_is_found_out(sessions, client_id, did, change, told) -> None:
    did(5)
    sealed(sessions)
    assert problems(sessions, client_id) == []
    tampered(sessions, change)

    [problem] = problems(sessions, client_id)
    assert told in problem


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'cli' WHERE id = 1",
        "UPDATE audit_log SET hash = 'x', seq = 9 WHERE id = 1",
        "UPDATE audit_log SET actor = 'cli' WHERE id = 2",
        "UPDATE audit_log SET actor = 'cli', hash = 'x', seq = 9 WHERE id = 2",
        "DELETE FROM audit_log WHERE id = 1",
        "DELETE FROM audit_log WHERE id = 2",
        "UPDATE audit_chains SET seq = 0",
        "UPDATE audit_chains SET kept_after = 5",
        "DELETE FROM audit_chains",
    ],
)
def test_the_database_itself_refuses(sessions, did, statement) -> None:
    did()
    sealed(sessions)
    did()
    with pytest.raises(DBAPIError, match=r"append-only|only goes forward"), write(sessions) as one:
        one.execute(text(statement))


def test_many_write_and_seal_at_once_and_one_chain_comes_of_it(
    sessions, clock, client_id, did
) -> None:
    stop = threading.Event()

    def keep_sealing() -> None:
        while not stop.is_set():
            sealed(sessions, limit=7)

    sealers = [threading.Thread(target=keep_sealing) for _ in range(2)]
    writers = [threading.Thread(target=lambda: [did(3) for _ in range(8)]) for _ in range(4)]
    for one in (*sealers, *writers):
        one.start()
    for one in writers:
        one.join()
    stop.set()
    for one in sealers:
        one.join()
    while sealed(sessions):
        pass

    with read(sessions) as session:
        verdict = verify(session, client_id)
    assert (verdict.entries, verdict.unsealed, verdict.problems) == (96, 0, [])


def test_what_is_old_is_forgotten_from_the_beginning_and_the_rest_still_verifies(
    sessions, clock, client_id, did
) -> None:
    did(5)
    clock.advance(days=400)
    did(2)
    sealed(sessions)
    before = clock.now() - timedelta(days=365)
    with write(sessions) as session:
        assert forgettable(session, client_id, before) == 5
        assert forget(session, clock, client_id=client_id, before=before, limit=3) == 3
    assert problems(sessions, client_id) == []
    with write(sessions) as session:
        assert forget(session, clock, client_id=client_id, before=before) == 2
        assert forget(session, clock, client_id=client_id, before=before) == 0
    sealed(sessions)

    with read(sessions) as session:
        verdict = verify(session, client_id)
        left = session.scalars(select(AuditEntry.seq).order_by(AuditEntry.seq)).all()
        chain = session.get_one(AuditChain, client_id)
    assert (verdict.kept_after, verdict.entries, verdict.problems) == (5, 4, [])
    assert (left, chain.kept_after) == ([6, 7, 8, 9], 5)


def test_an_export_proves_itself_without_the_database(sessions, client_id, did) -> None:
    did(4, note="Grüße, 🎁", ids=[1, 2**60], share=0.5)
    sealed(sessions)
    with read(sessions) as session:
        lines = list(export_lines(session, client_id))
        head = verify(session, client_id).hash

    verdict = verify_lines(lines)
    assert (verdict.entries, verdict.hash, verdict.problems) == (4, head, [])
    other = json.loads(lines[2]) | {"actor": "key:9"}
    assert verify_lines([*lines[:2], json.dumps(other), *lines[3:]]).problems
    for broken in (lines[:-1], lines[1:], [*lines[:2], *lines[3:]], [*lines[:2], "?", *lines[2:]]):
        assert verify_lines(broken).problems


def test_a_third_party_proves_it_with_the_script_of_the_page(
    sessions, client_id, did, tmp_path
) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/audit.md").read_text("utf-8")
    [script] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    did(3, note="Grüße, 🎁 \x1f", share=0.5)
    sealed(sessions)
    with read(sessions) as session:
        lines = list(export_lines(session, client_id))

    def run(lines: list[str]) -> subprocess.CompletedProcess[str]:
        text = "\n".join(lines)
        return subprocess.run(
            [sys.executable, "-X", "utf8", "-c", script], input=text, capture_output=True,
            encoding="utf-8",
        )  # fmt: skip

    assert run(lines).stdout == "3 entries, intact\n"
    assert "broken at entry 2" in run([*lines[:2], *lines[3:]]).stderr
