"""Importing: a CSV file becomes members, a thousand rows a transaction.

The dry run takes every step of the real one in one transaction and then takes it back, so that
what it promises is what happens.

Invariants
    1. rows = created + updated + unchanged + rejected, for every file.
    2. A rejected row is kept with its line, column, code, value and reason.
    3. An import never lifts a suppression and never overrules a withdrawn consent.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from accounts.client import Client
from core.address import AddressHasher
from core.clock import Clock
from core.db import Sessions, write
from core.errors import InvalidError
from members.columns import CONSENT, IDENTITIES, targets_of, typed
from members.consent import ConsentState
from members.csv_file import PROBLEMS, Row, rows
from members.errors import ImportFileError
from members.import_job import ImportJob, ImportReject, ImportStatus
from members.person import Permission, Person, read_person
from members.rejects import Reject, RejectFile
from members.upsert import Existing, Result, upsert

CHUNK = 1000
KEPT_REJECTS = 10_000
"""Rejected rows that a dry run keeps; rejects_path gets all of them."""
YES = frozenset({"yes", "y", "true", "1", "granted", "ja", "oui", "si"})
NO = frozenset({"no", "n", "false", "0", "withdrawn", "nein", "non"})


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a file is read."""

    mapping: Mapping[str, str | None] = field(default_factory=dict)
    """Header → field, `attributes.<name>`, `consent.<channel>`, or None to leave it out."""
    existing: Existing = Existing.FILL
    encoding: str | None = None
    delimiter: str | None = None
    country: str | None = None
    """Where phone numbers without a country code are (ISO 3166)."""
    consent_channels: Sequence[str] = ()
    """Channels that everybody in the file agreed to."""
    consent_wording: str | None = None
    """The text they agreed to."""
    consent_at: datetime | None = None
    tags: Sequence[str] = ()
    """Tags that everybody in the file gets."""


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """What became of the rows so far."""

    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0


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
    on_progress: Callable[[ImportCounts], None] | None = None,
) -> ImportJob:
    """Import a file; return the finished job with its counts.

    Commits chunk by chunk. `rejects_path` gets the rejected rows as they were, with line, column,
    code, message and value behind them. Raises ImportFileError for a file without a usable header;
    the job then says so too. Measured: bench/README.md.
    """
    job_id = _open(sessions, clock, client_id, filename, options, dry_run)
    reader = _Reader(sessions, client_id, path, options, job_id)
    try:
        with ExitStack() as stack:
            rejects = RejectFile(stack, rejects_path)
            if dry_run:
                counts = _rehearse(sessions, clock, hasher, client_id, reader, rejects, on_progress)
            else:
                counts = _run(sessions, clock, hasher, client_id, reader, rejects, on_progress)
    except ImportFileError as error:
        _close(sessions, clock, job_id, ImportStatus.FAILED, ImportCounts(), str(error))
        raise
    return _close(sessions, clock, job_id, ImportStatus.DONE, counts, None, reader.header)


def _open(
    sessions: Sessions,
    clock: Clock,
    client_id: int,
    filename: str,
    options: ImportOptions,
    dry_run: bool,
) -> int:
    with write(sessions) as session:
        job = ImportJob(
            client_id=client_id,
            filename=Path(filename).name[:255],
            dry_run=dry_run,
            options={
                "mapping": dict(options.mapping),
                "existing": options.existing.value,
                "consent_channels": list(options.consent_channels),
                "consent_wording": options.consent_wording,
            },
            created_at=clock.now(),
        )
        session.add(job)
        session.flush()
        return job.id


def _close(
    sessions: Sessions,
    clock: Clock,
    job_id: int,
    status: ImportStatus,
    counts: ImportCounts,
    error: str | None,
    header: Sequence[str] = (),
) -> ImportJob:
    with write(sessions) as session:
        job = session.get_one(ImportJob, job_id)
        job.status, job.error, job.finished_at = status, error, clock.now()
        job.options = {**job.options, "header": list(header)}  # for rejects.csv
        for name in ("rows", "created", "updated", "unchanged", "rejected"):
            setattr(job, name, getattr(counts, name))
        return job


def _run(
    sessions: Sessions,
    clock: Clock,
    hasher: AddressHasher,
    client_id: int,
    reader: "_Reader",
    rejects: "RejectFile",
    on_progress: Callable[[ImportCounts], None] | None,
) -> ImportCounts:
    counts = ImportCounts()
    for chunk in reader.chunks():
        with write(sessions) as session:
            counts = _take(session, clock, hasher, client_id, reader, chunk, counts)
            session.execute(
                update(ImportJob)
                .where(ImportJob.id == reader.job_id)
                .values(rows=counts.rows, rejected=counts.rejected)
            )
        rejects.write(reader.header, chunk)
        if on_progress is not None:
            on_progress(counts)
    return counts


def _rehearse(
    sessions: Sessions,
    clock: Clock,
    hasher: AddressHasher,
    client_id: int,
    reader: "_Reader",
    rejects: "RejectFile",
    on_progress: Callable[[ImportCounts], None] | None,
) -> ImportCounts:
    """Do everything in one transaction and take it back; what would be rejected is kept."""
    counts = ImportCounts()
    refused: list[dict[str, Any]] = []
    with sessions() as session:
        for chunk in reader.chunks():
            counts = _take(session, clock, hasher, client_id, reader, chunk, counts)
            found = [_stored(client_id, reader.job_id, r) for r in chunk if isinstance(r, Reject)]
            refused += found[: KEPT_REJECTS - len(refused)]
            rejects.write(reader.header, chunk)
            if on_progress is not None:
                on_progress(counts)
        session.rollback()
    if refused:
        with write(sessions) as session:
            session.execute(insert(ImportReject), refused)
    return counts


def _take(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    client_id: int,
    reader: "_Reader",
    chunk: Sequence[Person | Reject],
    counts: ImportCounts,
) -> ImportCounts:
    people = [item for item in chunk if isinstance(item, Person)]
    refused = [item for item in chunk if isinstance(item, Reject)]
    written = upsert(
        session,
        clock,
        hasher,
        client_id=client_id,
        people=people,
        existing=reader.options.existing,
    )
    if refused:
        session.execute(
            insert(ImportReject), [_stored(client_id, reader.job_id, one) for one in refused]
        )
    became = [result for result, _ in written]
    return replace(
        counts,
        rows=counts.rows + len(chunk),
        created=counts.created + became.count(Result.CREATED),
        updated=counts.updated + became.count(Result.UPDATED),
        unchanged=counts.unchanged + became.count(Result.UNCHANGED),
        rejected=counts.rejected + len(refused),
    )


def _stored(client_id: int, job_id: int, reject: Reject) -> dict[str, Any]:
    return {
        "client_id": client_id,
        "import_id": job_id,
        "line": reject.row.line,
        "column": reject.column[:100],
        "code": reject.code,
        "message": reject.message[:300],
        "value": reject.value[:1000],
        "original": [cell[:1000] for cell in reject.row.cells],
    }


class _Reader:
    """Reads a file's rows into people or rejects."""

    def __init__(
        self, sessions: Sessions, client_id: int, path: Path, options: ImportOptions, job_id: int
    ) -> None:
        self.options = options
        self.job_id = job_id
        self.header: list[str] = []
        self._path = path
        with sessions() as session:
            client = session.get(Client, client_id)
        self._country = options.country or (client.country if client is not None else None)

    def chunks(self) -> Iterator[list[Person | Reject]]:
        records = rows(self._path, encoding=self.options.encoding, delimiter=self.options.delimiter)
        first = next(records, None)
        if first is None or first.problem is not None:
            raise ImportFileError("the file has no header", field="file", remedy="add one")
        self.header = [cell.strip() for cell in first.cells]
        targets = targets_of(self.header, self.options.mapping)
        while batch := list(islice(records, CHUNK)):
            yield [self._read(row, targets) for row in batch]

    def _read(self, row: Row, targets: Sequence[str | None]) -> Person | Reject:
        if row.problem is not None:
            value = ",".join(row.cells)
            return Reject(row, "", row.problem, PROBLEMS[row.problem], value)
        values, consents = self._values(row, targets)
        try:
            person = read_person(values, country=self._country)
            person.consents = tuple(self._consents(consents))
        except InvalidError as error:
            return self._refused(row, targets, error)
        if not any(values.get(name) for name in IDENTITIES):
            return Reject(row, "", "no_identity", "the row has no member_id, email or phone", "")
        return person

    def _values(
        self, row: Row, targets: Sequence[str | None]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        values: dict[str, Any] = {"tags": list(self.options.tags), "attributes": {}}
        consents: dict[str, str] = {}
        for target, cell in zip(targets, row.cells, strict=True):
            text = cell.strip()
            if target is None or not text:
                continue
            if target.startswith("attributes."):
                values["attributes"][target.removeprefix("attributes.")] = typed(text)
            elif target.startswith(CONSENT):
                consents[target.removeprefix(CONSENT)] = text
            elif target == "tags":
                values["tags"] += text.replace(";", ",").split(",")
            else:
                values[target] = text
        return values, consents

    def _consents(self, told: Mapping[str, str]) -> Iterator[Permission]:
        source = f"import:{self.job_id}"
        words = dict.fromkeys(self.options.consent_channels, ConsentState.GRANTED)
        for channel, text in told.items():
            if text.casefold() not in YES | NO:
                raise ImportFileError(
                    f"“{text[:40]}” is neither yes nor no", field=CONSENT + channel
                )
            agreed = text.casefold() in YES
            words[channel] = ConsentState.GRANTED if agreed else ConsentState.WITHDRAWN
        for channel, state in words.items():
            yield Permission(
                channel=channel,
                state=state,
                source=source,
                wording=self.options.consent_wording,
                occurred_at=self.options.consent_at,
            )

    def _refused(self, row: Row, targets: Sequence[str | None], error: InvalidError) -> Reject:
        target = error.field or ""
        number = targets.index(target) if target in targets else None
        column = self.header[number] if number is not None else target
        value = row.cells[number] if number is not None else ""
        code = getattr(error, "reason", None) or error.code
        message = f"{error} ({error.remedy})" if error.remedy else str(error)
        return Reject(row, column, str(code)[:40], message, value)
