"""Chunk: some thousand rows of a file, taken into the database together, and counted."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from core.address import AddressHasher, mask
from core.bulk import load
from core.clock import Clock
from core.doubt import doubt_of
from core.rows import among
from members.import_job import ImportJob, ImportReject
from members.person import Person
from members.rejects import Reject
from members.suppression import Suppression, suppress_many
from members.upsert import Existing, Result, upsert

KEPT_REJECTS = 10_000
"""Rejected rows that a dry run keeps; a rejects file gets all of them."""
COUNTS = ("rows", "created", "updated", "unchanged", "rejected", "duplicates", "suppressed")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of a file, read."""

    rows: int
    people: Sequence[Person]
    rejects: Sequence[Reject]

    @classmethod
    def of(cls, items: Sequence[Person | Reject]) -> "Chunk":
        """Part people from rejects."""
        return cls(
            rows=len(items),
            people=[item for item in items if isinstance(item, Person)],
            rejects=[item for item in items if isinstance(item, Reject)],
        )


class Met:
    """Which members a file was about so far: a bit each, 12 MB for a hundred million."""

    def __init__(self, bits: bytes = b"") -> None:
        self._bits = bytearray(bits)

    def __contains__(self, member_id: int) -> bool:
        at = member_id >> 3
        return at < len(self._bits) and bool(self._bits[at] >> (member_id & 7) & 1)

    def add(self, member_id: int) -> None:
        """Remember a member."""
        at = member_id >> 3
        if at >= len(self._bits):
            self._bits.extend(bytes(at + 1024 - len(self._bits)))
        self._bits[at] |= 1 << (member_id & 7)

    def copy(self) -> "Met":
        """Return another that knows the same."""
        return Met(bytes(self._bits))


@dataclass(slots=True)
class Tally:
    """What became of the rows."""

    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    duplicates: int = 0
    suppressed: int = 0
    doubtful: Counter[str] = field(default_factory=Counter)
    """How many addresses each Doubt was about."""
    _met: Met = field(default_factory=Met)
    _kept: list[Reject] = field(default_factory=list)

    @classmethod
    def of(cls, job: ImportJob) -> "Tally":
        """Return what is known of a job that goes on."""
        doubtful = Counter(job.report.get("doubtful", {}))
        return cls(**{name: getattr(job, name) for name in COUNTS}, doubtful=doubtful)

    def counts(self) -> dict[str, int]:
        """Return the numbers by name."""
        return {name: getattr(self, name) for name in COUNTS}

    def copy(self) -> "Tally":
        """Return another, to be thrown away when its transaction is."""
        return Tally(
            **self.counts(),
            doubtful=self.doubtful.copy(),
            _met=self._met.copy(),
            _kept=self._kept,
        )

    def meet(self, member_ids: Iterable[int]) -> None:
        """Remember whom earlier rows were about."""
        for one in member_ids:
            self._met.add(one)

    def count(self, results: Sequence[tuple[Result, int]]) -> None:
        """Add what became of people."""
        met = self._met
        for result, member_id in results:
            if result is Result.CREATED:
                self.created += 1
            else:
                self.updated += result is Result.UPDATED
                self.unchanged += result is Result.UNCHANGED
                self.duplicates += member_id in met
            met.add(member_id)

    def keep(self, rejects: Sequence[Reject]) -> None:
        """Keep what a dry run rejected beyond its transaction, the first of them."""
        self._kept += rejects[: KEPT_REJECTS - len(self._kept)]

    def insert_kept(self, session: Session, client_id: int, import_id: int) -> None:
        """Write down what was kept."""
        insert_rejects(session, client_id, import_id, self._kept)
        self._kept = []


def take(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    import_id: int,
    chunk: Chunk,
    existing: Existing,
    tally: Tally,
) -> None:
    """Write a chunk's people and rejects and add them to the tally; the caller commits."""
    results = upsert(
        session,
        clock,
        hasher,
        client_id=client_id,
        people=chunk.people,
        existing=existing,
        source=f"import:{import_id}",
        import_id=import_id,
    )
    insert_rejects(session, client_id, import_id, chunk.rejects)
    _suppress(session, clock, hasher, client_id, import_id, chunk.people)
    tally.rows += chunk.rows
    tally.rejected += len(chunk.rejects)
    tally.count(results)
    tally.suppressed += _suppressed(session, hasher, client_id, chunk.people)
    emails = (person.addresses.get("email") for person in chunk.people)
    tally.doubtful.update(doubt for email in emails if email and (doubt := doubt_of(email)))


def insert_rejects(
    session: Session, client_id: int, import_id: int, rejects: Sequence[Reject]
) -> None:
    """Keep rejected rows, cut to what the columns hold."""
    table: Any = ImportReject.__table__
    columns: dict[str, Any] = {
        "client_id": client_id,
        "import_id": import_id,
        "line": [one.row.line for one in rejects],
        "column": [one.column[:100] for one in rejects],
        "code": [one.code for one in rejects],
        "message": [one.message[:300] for one in rejects],
        "value": [one.value[:1000] for one in rejects],
        "original": [[cell[:1000] for cell in one.row.cells] for one in rejects],
    }
    load(session, table, columns, len(rejects))


def _suppress(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    client_id: int,
    import_id: int,
    people: Sequence[Person],
) -> None:
    """Suppress the addresses of those who left, or bounced, where the file comes from."""
    rows = []
    for person in people:
        address = person.addresses.get("email")
        if person.suppress is None or address is None:
            continue
        scope, reason = person.suppress
        rows.append(
            {
                "client_id": client_id,
                "channel": "email",
                "address_hash": hasher.hash(client_id, "email", address),
                "masked": mask("email", address)[:64],
                "scope": scope,
                "reason": reason,
                "evidence": f"import:{import_id}",
                "since": clock.now(),
            }
        )
    suppress_many(session, rows)


def _suppressed(
    session: Session, hasher: AddressHasher, client_id: int, people: Sequence[Person]
) -> int:
    """Return how many of the people have an address that is suppressed."""
    S = Suppression  # noqa: N806  (a table alias)
    if not session.scalar(select(exists().where(S.client_id == client_id))):
        return 0
    hashes = [
        {hasher.hash(client_id, kind, value) for kind, value in person.addresses.items()}
        for person in people
    ]
    wanted = sorted(set().union(*hashes))
    query = select(S.address_hash).where(
        S.client_id == client_id, among(session, S.address_hash, wanted)
    )
    held = set(session.scalars(query)) if wanted else set()
    return sum(1 for mine in hashes if mine & held)
