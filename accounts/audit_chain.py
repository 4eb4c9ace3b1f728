"""AuditChain: the entries of one client, each sealed to the one before; and the proof of it.

`hash = SHA-256(hash before + canonical entry)`, so that whoever changes, takes out, puts in or
moves an entry changes every hash after it. docs/reference/audit.md tells third parties how.

Entries are sealed afterwards, by care, in the order they are found (id, as a rule), not by whoever
writes them: the head of a chain is one row, and a launch, an import or a thousand reads that each
held it until they commit would wait for each other, and could deadlock. The price is a moment in
which an entry is protected by triggers only, and its hash is not there yet.

Invariants
    1. Only who holds the lock of a chain's row seals in it or forgets of it.
    2. `seq` has no gaps, whatever the ids do.
    3. What is forgotten is the beginning of a chain. Its last seq and hash are kept in the chain's
       row, and in an entry `audit.forget` of the same chain.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, cast

from sqlalchemy import BigInteger, Select, String, Table, bindparam, delete, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.audit import AuditEntry, record
from core.clock import Clock
from core.db import Base
from core.rows import among
from core.sql import insert_into

FORMAT = "echelonx-audit-1"
START = "0" * 64
"""The hash before the first entry."""
FORGET = "audit.forget"
SYSTEM = "system"
NO_CLIENT = 0
"""The chain of what concerns no client."""
SEALED_AT_ONCE = 500
BATCH = 1000
FIELDS = (
    "seq", "id", "client_id", "at", "actor", "action", "target", "source", "ip", "before", "after",
    "detail",
)  # fmt: skip
"""What a hash is over."""
End = tuple[int, str]
"""A seq and its hash."""
E = AuditEntry
LOG = cast("Table", AuditEntry.__table__)


class AuditChain(Base):
    """Where the chain of one client ends, and where what is kept of it begins."""

    __tablename__ = "audit_chains"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """The client's id; 0 for what concerns none."""
    seq: Mapped[int] = mapped_column(BigInteger, default=0)
    """Of the newest sealed entry."""
    hash: Mapped[str] = mapped_column(String(64), default=START)
    kept_after: Mapped[int] = mapped_column(BigInteger, default=0)
    """Entries up to this seq are forgotten; this and the next are the checkpoint."""
    kept_after_hash: Mapped[str] = mapped_column(String(64), default=START)


@dataclass(slots=True)
class Verdict:
    """What was found about one chain."""

    client_id: int | None
    kept_after: int = 0
    entries: int = 0
    unsealed: int = 0
    seq: int = 0
    hash: str = START
    problems: list[str] = field(default_factory=list)
    """What does not fit, in words; nothing when the chain is whole."""


class Walk:
    """Goes along a chain and says where it breaks."""

    def __init__(self, seq: int, hash: str, noted: End | None = None) -> None:
        self.seq, self.hash, self._noted = seq, hash, noted
        self.entries = 0
        self.problems: list[str] = []

    def step(self, entry: Mapping[str, Any], hash: str | None) -> None:
        """Take the next entry with the hash it claims to have."""
        if self.problems:
            return  # one break makes all that follows look broken
        if entry["seq"] != self.seq + 1:
            self.problems.append(f"after entry {self.seq} comes entry {entry['seq']}")
        elif hash != (right := sealed(self.hash, entry)):
            self.problems.append(f"entry {entry['seq']} (id {entry['id']}) was changed")
        else:
            self.seq, self.hash = entry["seq"], right
            self.entries += 1
            if self._noted and self._noted[0] == self.seq and self._noted[1] != self.hash:
                self.problems.append(f"entry {self.seq} is not the one that was noted")

    def end(self, seq: int, hash: str) -> None:
        """Say where the chain should have ended."""
        if not self.problems and (self.seq, self.hash) != (seq, hash):
            self.problems.append(f"it ends at entry {self.seq} and should end at {seq}")
        if not self.problems and self._noted and self._noted[0] > self.seq:
            self.problems.append(f"entry {self._noted[0]}, which was noted, is not there")


def canonical(entry: Mapping[str, Any]) -> bytes:
    """Return the one way to write an entry: JSON, names sorted, no spaces, UTF-8 (RFC 8785)."""
    told = {name: entry[name] for name in FIELDS}
    return json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sealed(before: str, entry: Mapping[str, Any]) -> str:
    """Return the hash of an entry that follows the one with the hash `before`."""
    return sha256(before.encode() + canonical(entry)).hexdigest()


def shown(row: Mapping[str, Any], seq: int | None = None) -> dict[str, Any]:
    """Return a row of the log as it is hashed and exported; `seq` for one that has none yet."""
    return {name: row[name] for name in FIELDS} | {
        "seq": row["seq"] if seq is None else seq,
        "at": row["at"].isoformat(timespec="microseconds"),
    }


def unsealed_waits(session: Session) -> bool:
    """Say whether there is an entry to seal."""
    return session.scalar(select(E.id).where(E.hash.is_(None)).limit(1)) is not None


def seal(session: Session, *, limit: int = SEALED_AT_ONCE) -> int:
    """Seal the oldest waiting entries, up to `limit` of each chain; return how many.

    A chain that somebody else is sealing is left to them.
    """
    oldest = select(E.client_id).where(E.hash.is_(None)).order_by(E.id).limit(limit).subquery()
    chains = session.scalars(select(oldest.c.client_id).distinct()).all()
    return sum(_seal(session, each, limit) for each in sorted(chains, key=lambda one: one or 0))


def _seal(session: Session, client_id: int | None, limit: int) -> int:
    chain = _locked(session, client_id)
    if chain is None:
        return 0
    # Asked for only under the lock: what another sealed meanwhile is sealed.
    waiting = select(LOG).where(LOG.c.client_id == client_id, LOG.c.hash.is_(None))
    rows = []
    for entry in _rows(session, waiting.order_by(LOG.c.id).limit(limit)):
        chain.seq += 1
        chain.hash = sealed(chain.hash, shown(entry, chain.seq))
        rows.append({"b_id": entry["id"], "b_seq": chain.seq, "b_hash": chain.hash})
    if rows:
        statement = update(LOG).where(LOG.c.id == bindparam("b_id"))
        session.connection().execute(
            statement.values(seq=bindparam("b_seq"), hash=bindparam("b_hash")), rows
        )
    session.flush()
    return len(rows)


def _locked(session: Session, client_id: int | None) -> AuditChain | None:
    """Return a chain's row, locked; None while somebody else holds it."""
    values = {"id": client_id or NO_CLIENT, "seq": 0, "hash": START}
    made = insert_into(session, AuditChain).values(**values, kept_after=0, kept_after_hash=START)
    session.execute(made.on_conflict_do_nothing(index_elements=["id"]))
    return session.scalar(
        select(AuditChain)
        .where(AuditChain.id == (client_id or NO_CLIENT))
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )


def verify(session: Session, client_id: int | None, *, noted: End | None = None) -> Verdict:
    """Go along the chain of one client (None: of what concerns none) and say what does not fit.

    `noted` is a seq and its hash from earlier: a chain that was written anew from the start fits
    itself, but not a note.
    """
    start, end = _ends(session, client_id)
    walk = Walk(*start, noted)
    for row in _kept(session, client_id, start[0]):
        walk.step(shown(row), row["hash"])
    # Beyond the end is what was sealed while we walked.
    walk.end(*(end if walk.seq <= end[0] else (walk.seq, walk.hash)))
    if _ends(session, client_id)[0] != start:
        return verify(
            session, client_id, noted=noted
        )  # its beginning was forgotten while we walked
    if start != (0, START) and _last_forgotten(session, client_id) != start:
        walk.problems.append(f"no entry says that those up to {start[0]} were forgotten")
    unsealed = select(func.count()).where(E.client_id == client_id, E.hash.is_(None))
    return Verdict(
        client_id,
        kept_after=start[0],
        entries=walk.entries,
        unsealed=session.scalar(unsealed) or 0,
        seq=walk.seq,
        hash=walk.hash,
        problems=walk.problems,
    )


def _ends(session: Session, client_id: int | None) -> tuple[End, End]:
    """Return what is before the first entry that is kept, and the newest."""
    chain = session.get(AuditChain, client_id or NO_CLIENT, populate_existing=True)
    if chain is None:
        return (0, START), (0, START)
    return (chain.kept_after, chain.kept_after_hash), (chain.seq, chain.hash)


def _last_forgotten(session: Session, client_id: int | None) -> End:
    query = select(E.detail).where(E.client_id == client_id, E.action == FORGET)
    detail = session.scalar(query.order_by(E.id.desc()).limit(1)) or {}
    return detail.get("seq", 0), detail.get("hash", START)


def chains(session: Session) -> list[int | None]:
    """Return whose chains there are."""
    found = set(session.scalars(select(AuditChain.id)))
    found |= {one or NO_CLIENT for one in session.scalars(select(E.client_id).distinct())}
    return [one or None for one in sorted(found)]


def _kept(session: Session, client_id: int | None, after: int) -> Iterator[Mapping[str, Any]]:
    """Yield the sealed entries of a chain beyond `after`, in order."""
    while True:
        query = select(LOG).where(LOG.c.client_id == client_id, LOG.c.seq > after)
        page = _rows(session, query.order_by(LOG.c.seq).limit(BATCH))
        yield from page
        if len(page) < BATCH:
            return
        after = page[-1]["seq"]


def _rows(session: Session, query: Select[Any]) -> Sequence[Mapping[str, Any]]:
    return [dict(row) for row in session.execute(query).mappings()]


def export_lines(session: Session, client_id: int | None) -> Iterator[str]:
    """Yield a chain as JSON lines: where it begins, every sealed entry, where it ends."""
    (seq, hash), _ = _ends(session, client_id)
    yield _line({"format": FORMAT, "client_id": client_id, "seq": seq, "hash": hash})
    for row in _kept(session, client_id, seq):
        seq, hash = row["seq"], row["hash"]
        yield _line(shown(row) | {"hash": hash})
    yield _line({"end": True, "seq": seq, "hash": hash})


def verify_lines(lines: Iterable[str], *, noted: End | None = None) -> Verdict:
    """Say what does not fit in an exported chain; needs no database."""
    told = iter(lines)
    head = _read(next(told, ""))
    verdict = Verdict(head.get("client_id"), kept_after=head.get("seq", 0))
    if head.get("format") != FORMAT:
        verdict.problems.append(f"it does not begin as an export of the format {FORMAT}")
        return verdict
    walk = Walk(head["seq"], head["hash"], noted)
    end: dict[str, Any] = {}
    for line in told:
        entry = _read(line)
        if entry.get("end"):
            end = entry
        elif set(FIELDS) <= entry.keys():
            walk.step(entry, entry.get("hash"))
        else:
            walk.problems.append(f"what follows entry {walk.seq} is no entry")
    if end:
        walk.end(end["seq"], end["hash"])
    elif not walk.problems:
        walk.problems.append("its last line is missing")
    verdict.entries, verdict.seq, verdict.hash = walk.entries, walk.seq, walk.hash
    verdict.problems = walk.problems
    return verdict


def forgettable(session: Session, client_id: int | None, before: datetime) -> int:
    """Return up to which seq a chain is older than `before`; 0 for none."""
    mine = E.client_id == client_id
    young = select(E.seq).where(mine, E.seq.is_not(None), E.at >= before)
    first_kept = session.scalar(young.order_by(E.seq).limit(1))
    if first_kept is not None:
        return int(first_kept) - 1
    return int(session.scalar(select(func.max(E.seq)).where(mine)) or 0)


def forget(
    session: Session, clock: Clock, *, client_id: int | None, before: datetime, limit: int = BATCH
) -> int:
    """Delete up to `limit` entries from the beginning of a chain, all older than `before`.

    The checkpoint moves first: the triggers allow no entry beyond it to be deleted.
    """
    mine = E.client_id == client_id
    chain = _locked(session, client_id)
    if chain is None:
        return 0
    last = min(forgettable(session, client_id, before), chain.kept_after + limit)
    if last <= chain.kept_after:
        return 0
    hash = session.scalar(select(E.hash).where(mine, E.seq == last))
    chain.kept_after, chain.kept_after_hash = last, hash or START
    session.flush()
    ids: Sequence[int] = session.scalars(select(E.id).where(mine, E.seq <= last)).all()
    session.execute(
        delete(E)
        .where(among(session, E.id, list(ids)))
        .execution_options(synchronize_session=False)
    )
    record(
        session, clock, client_id=client_id, actor=SYSTEM, action=FORGET, seq=last, hash=hash,
        entries=len(ids),
    )  # fmt: skip
    session.flush()
    return len(ids)


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _read(line: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
