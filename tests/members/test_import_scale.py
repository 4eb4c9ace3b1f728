"""F28: one file three times, two at once, killed in between: each person once, however spelled.

Short as a rule; with ECHELONX_TEST_CHAOS (a file for the numbers) a hundred thousand rows.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from core.address import AddressHasher
from core.db import Sessions, write
from members.import_job import LEASE, ImportJob, ImportStatus, queue_import
from members.importing import ImportOptions, ImportRun
from members.member import Member

RESULTS = os.environ.get("ECHELONX_TEST_CHAOS")
PEOPLE, CHUNK = (95_000, None) if RESULTS else (1_900, 100)
TWIN = 19
"""Every so manyeth person comes again: one in twenty rows."""
KILLED_AT = PEOPLE // 3
HASHER = AddressHasher(b"h" * 32)
FULLWIDTH = str.maketrans("abcdefghijklmnopqrstuvwxyz@", "".join(
    chr(ord(letter) + 0xFEE0) for letter in "abcdefghijklmnopqrstuvwxyz@"
))  # fmt: skip
EMAIL_TWINS = (str.upper, str.title, "  {}\u00a0".format, lambda text: text.translate(FULLWIDTH))
PHONE_TWINS = (
    lambda n: f"({n[:3]}) {n[3:6]}-{n[6:]}",
    lambda n: f"+1 {n[:3]} {n[3:6]} {n[6:]}",
    lambda n: f"{n[:3]}.{n[3:6]}.{n[6:]}",
    lambda n: f"\uff0b1{n}",
)

RUN = """
import sys
from pathlib import Path
from sqlalchemy.orm import sessionmaker
from core.address import AddressHasher
from core.clock import SystemClock
from core.db import open_engine
import echelonx.tables
from members.importing import ImportRun

url, path, job, chunk = sys.argv[1:]
sessions = sessionmaker(open_engine(url), expire_on_commit=False)
run = ImportRun(
    sessions, SystemClock(), AddressHasher(b"h" * 32), job_id=int(job), path=Path(path),
    chunk=int(chunk) or None,
)
while run.step():
    print(run.counts().rows, flush=True)
"""


def written(path: Path) -> int:
    """Write people with an e-mail address or a phone, and their twins; return the rows."""
    lines = ["email,phone,first_name"]
    for n in range(PEOPLE):
        turn = n // TWIN
        if n % 2:
            number = f"201{2_000_000 + n}"
            lines.append(f",+1{number},Ana")
            twin = f',"{PHONE_TWINS[turn // 2 % 4](number)}",Ana'
        else:
            email = f"ana.{n}+x@b{n % 50}.example"
            lines.append(f"{email},,Ana")
            twin = f"{EMAIL_TWINS[turn // 2 % 4](email)},,Ana"
        if n % TWIN == 0:
            lines.append(twin)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines) - 1


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def test_f28_each_person_is_there_once(
    sessions: Sessions, clock, client_id: int, database_url: str, file: Path
) -> None:
    rows = written(file)

    def queued() -> int:
        with write(sessions) as session:
            return queue_import(
                session, clock, client_id=client_id, filename=file.name, options=ImportOptions()
            ).id

    def started(job_id: int) -> subprocess.Popen[bytes]:
        arguments = [database_url, str(file), str(job_id), str(CHUNK or 0)]
        return subprocess.Popen(
            [sys.executable, "-c", RUN, *arguments],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )

    def job_of(job_id: int) -> ImportJob:
        with sessions() as session:
            return session.get_one(ImportJob, job_id)

    killed, other = queued(), queued()
    begun = time.perf_counter()
    with started(killed) as child, started(other) as beside:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= KILLED_AT:
                os.kill(child.pid, signal.SIGKILL)
                break
        beside.communicate()
    two = time.perf_counter() - begun
    stopped = job_of(killed)
    assert (stopped.status, stopped.rows < rows) == (ImportStatus.RUNNING, True)

    assert stopped.leased_until is not None
    clock.set(stopped.leased_until + LEASE)
    begun = time.perf_counter()
    ImportRun(sessions, clock, HASHER, job_id=killed, path=file, chunk=CHUNK).to_the_end()
    resumed = time.perf_counter() - begun
    begun = time.perf_counter()
    again = ImportRun(sessions, clock, HASHER, job_id=queued(), path=file, chunk=CHUNK).to_the_end()
    third = time.perf_counter() - begun

    jobs = [job_of(killed), job_of(other), again]
    with sessions() as session:
        members = session.scalar(select(func.count()).select_from(Member))
    assert members == PEOPLE
    assert sum(job.created for job in jobs) == PEOPLE
    assert (again.created, again.updated, again.unchanged) == (0, 0, rows)
    assert again.duplicates == rows - PEOPLE
    for job in jobs:
        assert (job.status, job.rows, job.rejected) == (ImportStatus.DONE, rows, 0)
        assert job.rows == job.created + job.updated + job.unchanged
    if RESULTS:
        numbers = {
            "scenario": f"F28 import, {database_url.partition(':')[0]}",
            "rows": rows,
            "people": PEOPLE,
            "created": [job.created for job in jobs],
            "killed_at": stopped.rows,
            "seconds": {
                "two at once": round(two, 1),
                "resumed": round(resumed, 1),
                "third": round(third, 1),
            },
        }
        with Path(RESULTS).open("a") as results:
            results.write(json.dumps(numbers) + "\n")
