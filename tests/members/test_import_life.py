"""Mirrors members/import_job.py and members/chunk.py: queued, paused, killed and resumed."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select

from accounts.client import Client
from core.address import AddressHasher
from core.db import write
from members.errors import ImportFileError, ImportStateError
from members.import_job import (
    LEASE,
    ImportJob,
    ImportStatus,
    cancel_import,
    claim,
    pause_import,
    queue_import,
    resume_import,
)
from members.importing import ImportOptions, ImportRun, import_csv
from members.member import Member

HASHER = AddressHasher(b"h" * 32)
SPELLINGS = (
    "ana{n}@example.com",
    "ANA{n}@example.com",
    " Ana{n}@Example.COM ",
    "ana{n}@\uff45xample.com",
)


def people(count: int) -> str:
    """Return a file; every twentieth person comes again in another spelling."""
    lines = ["email,first_name"]
    for n in range(count):
        lines.append(f"ana{n}@example.com,Ana")
        if n % 20 == 0:
            lines.append(SPELLINGS[n // 20 % 4].format(n=n) + ",Ana")
    return "\n".join(lines) + "\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(people(100), encoding="utf-8")
    return path


@pytest.fixture
def queued(sessions, clock, client_id) -> int:
    with write(sessions) as session:
        return queue_import(
            session,
            clock,
            client_id=client_id,
            filename="people.csv",
            options=ImportOptions(),
            kept_as="people.csv",
        ).id


def job_of(sessions, job_id: int) -> ImportJob:
    with sessions() as session:
        return session.get_one(ImportJob, job_id)


def members(sessions) -> int:
    with sessions() as session:
        return session.scalar(select(func.count()).select_from(Member)) or 0


def adds_up(job: ImportJob) -> bool:
    return job.rows == job.created + job.updated + job.unchanged + job.rejected


def test_a_paused_import_rests_after_its_chunk_and_goes_on_there(
    sessions, clock, client_id, queued, file
) -> None:
    run = ImportRun(sessions, clock, HASHER, job_id=queued, path=file, chunk=30)
    assert run.step()
    with write(sessions) as session:
        pause_import(session, client_id=client_id, import_id=queued)

    assert not run.step()
    run.close()

    rested = job_of(sessions, queued)
    assert (rested.status, rested.rows, adds_up(rested)) == (ImportStatus.PAUSED, 30, True)
    with write(sessions) as session:
        resume_import(session, client_id=client_id, import_id=queued)
    job = ImportRun(sessions, clock, HASHER, job_id=queued, path=file, chunk=30).to_the_end()
    assert (job.status, job.rows, job.created, job.duplicates) == (ImportStatus.DONE, 105, 100, 5)
    assert members(sessions) == 100


def test_a_cancelled_import_keeps_what_was_done(sessions, clock, client_id, queued, file) -> None:
    run = ImportRun(sessions, clock, HASHER, job_id=queued, path=file, chunk=30)
    assert run.step()
    with write(sessions) as session:
        cancel_import(session, clock, client_id=client_id, import_id=queued)

    assert not run.step()
    run.close()

    job = job_of(sessions, queued)
    assert (job.status, job.rows, members(sessions)) == (ImportStatus.CANCELLED, 30, job.created)


def test_a_cancelled_import_reports_what_it_rejected_until_then(
    sessions, clock, client_id, queued, file
) -> None:
    file.write_text("email,Town\nnobody,Faro\n" + "a@example.com,Faro\n" * 9)
    run = ImportRun(sessions, clock, HASHER, job_id=queued, path=file, chunk=3)
    assert run.step()
    with write(sessions) as session:
        cancel_import(session, clock, client_id=client_id, import_id=queued)
    assert not run.step()
    run.close()

    report = job_of(sessions, queued).report
    assert [reason["code"] for reason in report["reasons"]] == ["email_syntax"]
    assert (report["header"], report["ignored"]) == (["email", "Town"], ["Town"])


def test_another_file_is_not_taken_for_the_rest_of_an_import(
    sessions, clock, client_id, queued, file
) -> None:
    run = ImportRun(sessions, clock, HASHER, job_id=queued, path=file, chunk=30)
    assert run.step()
    with write(sessions) as session:
        pause_import(session, client_id=client_id, import_id=queued)
    run.close()
    with write(sessions) as session:
        resume_import(session, client_id=client_id, import_id=queued)
    file.write_text(people(90))

    other = ImportRun(sessions, clock, HASHER, job_id=queued, path=file, chunk=30)
    with pytest.raises(ImportFileError, match="not the file"):
        other.to_the_end()

    job = job_of(sessions, queued)
    assert (job.status, job.rows) == (ImportStatus.FAILED, 30)


def test_what_has_ended_is_neither_paused_nor_cancelled_nor_run(
    sessions, clock, client_id, queued, file
) -> None:
    ImportRun(sessions, clock, HASHER, job_id=queued, path=file).to_the_end()

    with write(sessions) as session, pytest.raises(ImportStateError):
        pause_import(session, client_id=client_id, import_id=queued)
    with write(sessions) as session, pytest.raises(ImportStateError):
        cancel_import(session, clock, client_id=client_id, import_id=queued)
    with pytest.raises(ImportStateError):
        ImportRun(sessions, clock, HASHER, job_id=queued, path=file)


def test_a_job_is_taken_from_a_runner_that_died_and_from_no_other(
    sessions, clock, client_id, queued, file
) -> None:
    def take(runner: str) -> int | None:
        with write(sessions) as session:
            return claim(session, clock, runner=runner, names=["people.csv"])

    with write(sessions) as session:
        assert claim(session, clock, runner="a", names=["other.csv"]) is None
    assert take("a") == queued
    assert take("b") is None
    dead = ImportRun(sessions, clock, HASHER, job_id=queued, path=file, chunk=30, runner="a")
    assert dead.step()
    clock.set(clock.now() + LEASE * 2)
    assert take("b") == queued

    assert not dead.step()  # it lives after all, and must not write beside the other
    dead.close()
    run = ImportRun(sessions, clock, HASHER, job_id=queued, path=file, chunk=30, runner="b")
    job = run.to_the_end()

    assert (job.status, job.rows, job.created, job.duplicates) == (ImportStatus.DONE, 105, 100, 5)


def test_others_write_while_an_import_is_rehearsed(
    sessions, clock, client_id, tmp_path, file
) -> None:
    with write(sessions) as session:
        rehearsed = queue_import(
            session,
            clock,
            client_id=client_id,
            filename="people.csv",
            options=ImportOptions(),
            dry_run=True,
        ).id
    run = ImportRun(sessions, clock, HASHER, job_id=rehearsed, path=file, chunk=30)
    assert run.step()

    with write(sessions) as session:
        session.get_one(Client, client_id).name = "Renamed meanwhile"
    assert job_of(sessions, rehearsed).rows == 30

    assert run.step()
    run.close()  # and whoever goes on rehearses from the start
    clock.set(clock.now() + LEASE * 2)
    job = ImportRun(sessions, clock, HASHER, job_id=rehearsed, path=file, chunk=30).to_the_end()
    assert (job.rows, job.created, job.duplicates, members(sessions)) == (105, 100, 5, 0)


def test_two_imports_of_one_file_at_once_make_each_person_once(
    sessions, clock, client_id, tmp_path
) -> None:
    """F28 in small: three times, two at once, in different spellings."""
    path = tmp_path / "many.csv"
    path.write_text(people(600), encoding="utf-8")
    jobs: list[ImportJob] = []

    def run() -> None:
        job = import_csv(
            sessions,
            clock,
            HASHER,
            client_id=client_id,
            path=path,
            filename="many.csv",
            options=ImportOptions(),
            chunk=100,
        )
        jobs.append(job)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run()

    assert [job.status for job in jobs] == [ImportStatus.DONE] * 3
    assert all(adds_up(job) and job.rows == 630 for job in jobs)
    assert sum(job.created for job in jobs) == members(sessions) == 600
    assert jobs[2].created == 0


KILLED = """
import sys
from pathlib import Path
from sqlalchemy.orm import sessionmaker
from accounts.client import Client
from core.address import AddressHasher
from core.clock import SystemClock
from core.db import open_engine
import echelonx.tables
from members.importing import ImportRun

url, path, job = sys.argv[1:]
sessions = sessionmaker(open_engine(url), expire_on_commit=False)
run = ImportRun(
    sessions, SystemClock(), AddressHasher(b"h" * 32), job_id=int(job), path=Path(path), chunk=50
)
while run.step():
    print(run.counts().rows, flush=True)
"""


def test_a_killed_import_goes_on_exactly_where_it_was(
    sessions, clock, client_id, queued, database_url, tmp_path
) -> None:
    path = tmp_path / "many.csv"
    path.write_text(people(4000), encoding="utf-8")
    command = [sys.executable, "-c", KILLED, database_url, str(path), str(queued)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= 400:
                os.kill(child.pid, signal.SIGKILL)
                break
    stopped = job_of(sessions, queued)
    assert stopped.status is ImportStatus.RUNNING
    assert 400 <= stopped.rows < 4200
    assert adds_up(stopped)
    assert members(sessions) == stopped.created

    clock.set(stopped.leased_until + LEASE)
    job = ImportRun(sessions, clock, HASHER, job_id=queued, path=path).to_the_end()

    assert (job.status, job.rows, job.created) == (ImportStatus.DONE, 4200, 4000)
    assert members(sessions) == 4000
