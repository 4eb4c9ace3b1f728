"""Importing: a file becomes members, some thousand rows a transaction.

The next rows are read and checked in a thread while the database takes the last ones. The dry run
takes every step of the real one in one transaction and then takes it back, so that what it promises
is what happens.

Invariants
    1. rows = created + updated + unchanged + rejected, for every file and after every chunk.
    2. A rejected row is kept with its line, column, code, value and reason.
    3. An import never lifts a suppression and never overrules a withdrawn consent.
    4. A chunk and the place where the next begins are one transaction: a crash repeats nothing.
"""

import gc
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import Session

from accounts.client import Client
from core.address import AddressHasher
from core.clock import Clock
from core.db import Sessions, is_sqlite, read, rehearsal, write
from members.chunk import Chunk, Tally, take
from members.columns import check
from members.errors import ImportFileError, ImportStateError
from members.guess import Certainty
from members.import_job import (
    ImportJob,
    ImportReject,
    ImportStatus,
    claim,
    hold,
    locked_import,
    queue_import,
    tell_finished,
)
from members.member import Member
from members.options import ImportOptions, from_json
from members.reading import RowReader
from members.rejects import RejectFile
from members.source import Source, open_source

CHUNK = 5_000
"""Rows of one transaction on PostgreSQL: about a quarter of a second, and 60 MB."""
SQLITE_CHUNK = 2_000
"""On SQLite nobody else writes meanwhile, so it is shorter."""
ATTEMPTS = 3
"""How often a chunk is tried that others were in the way of."""
RARELY = 200_000
"""New objects behind which Python looks for cycles, while an import runs."""
REASONS = 20
"""Reasons of rejection that the report lists."""

REFRESH_AFTER = (1, 16)
"""Chunks behind which the planner gets to know the tables; its own way to it takes a minute."""
STATISTICS = "ANALYZE members (client_id, member_id), addresses (client_id, channel, value, hash)"

__all__ = ["ImportCounts", "ImportOptions", "ImportRun", "import_csv"]


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """What became of the rows so far."""

    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    duplicates: int = 0
    suppressed: int = 0
    total: int | None = None
    """About how many rows there are."""


Progress = Callable[[ImportCounts], None]


def import_csv(
    sessions: Sessions,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    path: Path,
    filename: str,
    options: ImportOptions,
    dry_run: bool = False,
    rejects_path: Path | None = None,
    on_progress: Progress | None = None,
    chunk: int | None = None,
    format: str = "csv",
) -> ImportJob:
    """Import a file; return the finished job with its counts.

    Commits chunk by chunk. `rejects_path` gets the rejected rows as they were, with line, column,
    code, message and value behind them. Raises ImportFileError for a file without a usable header;
    the job then says so too. Cost of a new row: 24 µs of CPU here and 46 µs at PostgreSQL with one
    address, 51 and 114 µs with all there is (two cores, load 5; bench/README.md).
    """
    with write(sessions) as session:
        job_id = queue_import(
            session,
            clock,
            client_id=client_id,
            filename=filename,
            options=options,
            format=format,
            dry_run=dry_run,
        ).id
    run = ImportRun(sessions, clock, hasher, job_id=job_id, path=path, chunk=chunk)
    return run.to_the_end(rejects_path, on_progress)


class ImportRun:
    """One runner's work on one import, chunk by chunk: `step()` until it says that it is over.

    Takes the job up; raises ImportStateError when it is not there to be taken.
    """

    def __init__(
        self,
        sessions: Sessions,
        clock: Clock,
        hasher: AddressHasher,
        *,
        job_id: int,
        path: Path,
        chunk: int | None = None,
        runner: str | None = None,
    ) -> None:
        self.job_id = job_id
        self._sessions, self._clock, self._hasher = sessions, clock, hasher
        self._runner = runner or secrets.token_hex(8)
        self._path = path
        self._stack = ExitStack()
        self._rejects: RejectFile | None = None
        self._source: Source | None = None
        self._next: Future[Chunk | None] | None = None
        self._pool = self._stack.enter_context(ThreadPoolExecutor(1, "import-reader"))
        if runner is None:
            with write(sessions) as session:
                if claim(session, clock, runner=self._runner, id=job_id) is None:
                    raise ImportStateError(
                        "the import does not wait to be run", remedy="look at its status"
                    )
        with read(sessions) as session:
            job = session.get_one(ImportJob, job_id)
            client = session.get_one(Client, job.client_id)
            self._size = chunk or (SQLITE_CHUNK if is_sqlite(session) else CHUNK)
            # What a rehearsal had done is gone with whoever did it: it begins anew.
            self._tally = Tally() if job.dry_run else Tally.of(job)
            if self._tally.rows:
                mine = select(Member.id).where(Member.import_id == job_id)
                self._tally.meet(session.scalars(mine.where(Member.client_id == job.client_id)))
        self._client_id, self._dry_run, self._format = job.client_id, job.dry_run, job.format
        self._options = from_json(job.options)
        self._country = self._options.country or client.country
        self._begun: dict[str, Any] = dict(job.report)
        """What the report says from the first chunk on."""
        self._chunks = self._read(skip=self._tally.rows)
        self._rehearsal: Session | None = None
        self._taken = 0

    def to_the_end(
        self, rejects_path: Path | None = None, on_progress: Progress | None = None
    ) -> ImportJob:
        """Run until the file is done, or somebody pauses or cancels; return the job."""
        with self._stack, rare_collection():
            self._rejects = RejectFile(self._stack, rejects_path)
            while self.step():
                if on_progress is not None:
                    on_progress(self.counts())
        with read(self._sessions) as session:
            return session.get_one(ImportJob, self.job_id)

    def counts(self) -> ImportCounts:
        """Return what became of the rows so far."""
        total = self._source.total if self._source is not None else None
        return ImportCounts(**self._tally.counts(), total=total)

    def step(self) -> bool:
        """Take the next chunk; False when there is none, or the import is no longer ours.

        Raises ImportFileError when the file cannot be read and DBAPIError when the database cannot
        be written; the job has failed then, and says why.
        """
        try:
            chunk = self._ahead()
            if chunk is not None and self._stored(chunk):
                return True
            self._finish(chunk is None)
        except ImportFileError as error:
            self._fail(str(error))
            raise
        except DBAPIError as error:
            self._fail(f"the database refused a chunk: {type(error.orig).__name__}")
            raise
        return False

    def close(self) -> None:
        """Let go of the file; the job is taken up again when its lease has run out."""
        self._stack.close()

    def _ahead(self) -> Chunk | None:
        """Return the next chunk, and begin to read the one behind it."""
        chunk = self._next.result() if self._next is not None else next(self._chunks, None)
        if chunk is not None:
            self._next = self._pool.submit(next, self._chunks, None)
        return chunk

    def _read(self, skip: int) -> Iterator[Chunk]:
        self._same_file()
        options, country = self._options, self._country
        source = self._source = open_source(self._path, self._format, options, country=country)
        check(source.targets)
        self._begun |= told_of(source)
        reader = RowReader(
            source.header,
            source.targets,
            options,
            country=country,
            source=f"import:{self.job_id}",
        )
        rows = islice(source.rows, skip, None)
        while batch := list(islice(rows, self._size)):
            yield Chunk.of([reader.read(row) for row in batch])

    def _same_file(self) -> None:
        """Raise ImportFileError when this is another file than the one an import began with."""
        try:
            size = self._path.stat().st_size
        except OSError:
            return  # it is gone, as open_source() says
        if self._begun.setdefault("bytes", size) != size:
            raise ImportFileError(
                "this is not the file that the import began with",
                field="file",
                remedy="import it anew: who is a member already is not made again",
            )

    def _stored(self, chunk: Chunk) -> bool:
        """Take a chunk in one transaction; say whether the job was still ours."""
        if self._dry_run:
            return self._rehearsed(chunk)
        for attempt in range(1, ATTEMPTS + 1):
            tally = self._tally.copy()
            try:
                with write(self._sessions) as session:
                    if not self._held(session):
                        return False
                    self._take(session, chunk, tally)
                    self._held(session, self._progress(tally))
                break
            except (IntegrityError, OperationalError):
                # A deadlock, or somebody wrote the same person without waiting for a turn.
                if attempt == ATTEMPTS:
                    raise
        self._tally = tally
        self._told(chunk)
        self._taken += 1
        if self._taken in REFRESH_AFTER:
            self._refresh()
        return True

    def _refresh(self) -> None:
        """Tell PostgreSQL what the tables hold now: by what it last knew they may be empty."""
        with write(self._sessions) as session:
            if not is_sqlite(session):
                session.execute(text(STATISTICS))

    def _rehearsed(self, chunk: Chunk) -> bool:
        """Do everything in one transaction that is taken back at the end; keep the job's place."""
        if self._rehearsal is None:
            self._rehearsal = self._stack.enter_context(rehearsal(self._sessions))
        self._take(self._rehearsal, chunk, self._tally)
        self._rehearsal.flush()
        self._tally.keep(chunk.rejects)
        self._told(chunk)
        with write(self._sessions) as session:
            return self._held(session, self._progress(self._tally))

    def _take(self, session: Session, chunk: Chunk, tally: Tally) -> None:
        take(
            session,
            self._clock,
            self._hasher,
            client_id=self._client_id,
            import_id=self.job_id,
            chunk=chunk,
            existing=self._options.existing,
            tally=tally,
        )

    def _told(self, chunk: Chunk) -> None:
        if self._rejects is not None and self._source is not None:
            self._rejects.write(self._source.header, chunk.rejects)

    def _progress(self, tally: Tally) -> dict[str, Any]:
        total = self._source.total if self._source is not None else None
        report = self._begun | {"doubtful": dict(tally.doubtful)}
        return tally.counts() | {"total": total, "report": report}

    def _held(self, session: Session, values: dict[str, Any] | None = None) -> bool:
        return hold(session, self._clock, id=self.job_id, runner=self._runner, values=values)

    def _finish(self, over: bool) -> None:
        if self._rehearsal is not None:
            self._rehearsal.rollback()  # it holds locks
        with write(self._sessions) as session:
            if self._dry_run and self._held(session):
                self._tally.insert_kept(session, self._client_id, self.job_id)
            if over and self._held(session):
                self._end(session, ImportStatus.DONE, None)
            elif not over:
                self._cancelled(session)

    def _cancelled(self, session: Session) -> None:
        """Let the report of a cancelled import say why rows were rejected until then."""
        job = locked_import(session, self._client_id, self.job_id)
        if job.status is ImportStatus.CANCELLED:
            why = reasons(session, self._client_id, self.job_id)
            job.report = self._begun | job.report | {"reasons": why}

    def _fail(self, error: str) -> None:
        if self._rehearsal is not None:
            self._rehearsal.rollback()  # it holds locks
        with write(self._sessions) as session:
            if self._held(session):
                self._end(session, ImportStatus.FAILED, error[:1000])

    def _end(self, session: Session, status: ImportStatus, error: str | None) -> None:
        job = session.get_one(ImportJob, self.job_id)
        job.status, job.error, job.finished_at = status, error, self._clock.now()
        job.runner, job.leased_until = None, None
        if self._dry_run or status is ImportStatus.DONE:
            for name, value in self._tally.counts().items():
                setattr(job, name, value)
        job.total = job.rows
        told = {"reasons": reasons(session, self._client_id, self.job_id)}
        job.report = self._begun | {"doubtful": dict(self._tally.doubtful)} | told
        tell_finished(session, self._clock, job)


def told_of(source: Source) -> dict[str, Any]:
    """Return what a report says of a file: its header, and what was left out, guessed, doubted."""
    columns = source.columns
    return {
        "header": source.header,
        "ignored": [one.name for one in columns if one.target is None],
        "guessed": {
            one.name: one.guess
            for one in columns
            if one.taken and one.certainty is Certainty.GUESS and one.doubt is None
        },
        "doubts": {one.name: one.doubt for one in columns if one.taken and one.doubt},
    }


@contextmanager
def rare_collection() -> Iterator[None]:
    """Let Python look for reference cycles less often while this lasts.

    A chunk is some hundred thousand small objects without a cycle among them; to go through them
    again and again takes half of an import's time.
    """
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], RARELY), 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def reasons(session: Session, client_id: int, import_id: int) -> list[dict[str, Any]]:
    """Return the most frequent reasons of rejection: column, code, message and count."""
    R = ImportReject  # noqa: N806  (a table alias)
    count = func.count().label("count")
    query = (
        select(R.column, R.code, func.min(R.message).label("message"), count)
        .where(R.client_id == client_id, R.import_id == import_id)
        .group_by(R.column, R.code)
        .order_by(count.desc(), R.code, R.column)
        .limit(REASONS)
    )
    return [dict(row._mapping) for row in session.execute(query)]
