"""Erasure: forgetting a person who asked for it, with a receipt that names nobody.

It is the second step: a member is deleted first, which stops what is queued. What remains says what
the client did and for how much, and no longer to whom: counts and costs stay true.

Kept on purpose
    1. Suppressions, which are keyed hashes: a forgotten person must not be written to again. Each
       address of theirs gets one, unless somebody else has it, too.
    2. When a consent was given and withdrawn, without its wording and proof.
    3. Rows of the log, events, orders and ways through journeys, emptied of addresses, texts and
       properties.
    4. Entries of the audit log, which name nobody.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, delete, exists, select, update
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from core.address import AddressHasher
from core.clock import Clock
from core.db import Base, BigId, Id
from core.rows import among
from members import exported, traces, travelling
from members.address import MemberAddress
from members.bulk import BulkError
from members.change import MemberChange
from members.consent import Consent, CurrentConsent
from members.duplicates import Duplicate
from members.errors import ErasureError, MemberNotFoundError
from members.event import Event
from members.identity import Identity
from members.member import Member, MemberTag
from members.merge import Merge
from members.note import MemberNote
from members.score import Score
from members.segment import SegmentMember
from members.signal import Signal
from members.suppression import Scope, Suppression, SuppressionReason, suppress_many
from members.tier_change import TierChange
from members.tier_rule import TierStanding
from members.touch import touch
from members.upsert import take_turn

M = Member
DELETED: dict[str, type[Any]] = {
    "addresses": MemberAddress,
    "member_tags": MemberTag,
    "consent_states": CurrentConsent,
    "identities": Identity,
    "bulk_errors": BulkError,
    "member_notes": MemberNote,
    "member_changes": MemberChange,
    "segment_members": SegmentMember,
    "scores": Score,
    "signals": Signal,
    "tier_changes": TierChange,
    "tier_standings": TierStanding,
}
KEPT = frozenset(
    {"id", "client_id", "member_id", "tier", "status", "version", "total_spend", "lifetime_value",
     "acquisition_cost", "referred_by", "merged_into", "import_id", "created_at", "updated_at",
     "deleted_at", "attributes", "first_key", "last_key"}
)  # fmt: skip
"""Columns of a member that say nothing about a person, are emptied apart, or follow the others."""
PERSONAL = tuple(c.key for c in Member.__table__.columns if c.key not in KEPT)


class Erasure(Base):
    """The receipt of one erasure."""

    __tablename__ = "erasures"
    __table_args__ = (Index(None, "client_id", "id"), Index(None, "client_id", "digest"))

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    member_id: Mapped[int] = mapped_column(BigId)
    digest: Mapped[str] = mapped_column(String(32))
    """Keyed hash of the member's key: proves who it was to whoever has the key already."""
    actor: Mapped[str | None] = mapped_column(String(100))
    erased: Mapped[dict[str, Any]]
    """Table → how many rows were emptied or deleted."""
    erased_at: Mapped[datetime]


def erase(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    id: int,
    actor: str | None = None,
) -> Erasure:
    """Forget a deleted member and all who were merged into it; return the receipt.

    It cannot be undone. Raises MemberNotFoundError, ErasureError for a member that is not deleted,
    was merged into another, or was erased before.
    """
    take_turn(session, client_id)
    found = session.scalar(select(M).where(M.client_id == client_id, M.id == id).with_for_update())
    if found is None:
        raise MemberNotFoundError(f"no member {id}")
    _refuse(session, found)
    ids = lineage(session, client_id, id)
    key = found.member_id.rpartition("#deleted-")[0]
    _suppress(session, clock, client_id, ids)
    receipt = Erasure(
        client_id=client_id,
        member_id=id,
        digest=hasher.hash(client_id, "member_id", key),
        actor=actor,
        erased=_forget(session, client_id, ids, clock.now())
        | {"exports": exported.forget(session, clock, client_id, ids)},
        erased_at=clock.now(),
    )
    _empty(session, clock, client_id, ids)
    session.expire_all()
    session.add(receipt)
    touch(session, client_id=client_id, member_ids=ids)
    session.flush()
    return receipt


def erasures_page(
    session: Session, client_id: int, *, before: int | None = None, limit: int = 50
) -> list[Erasure]:
    """Return up to `limit` receipts, newest first, older than id `before`."""
    query = select(Erasure).where(Erasure.client_id == client_id)
    if before is not None:
        query = query.where(Erasure.id < before)
    return list(session.scalars(query.order_by(Erasure.id.desc()).limit(limit)))


def lineage(session: Session, client_id: int, member_id: int) -> list[int]:
    """Return a member's id and those of all who were merged into it, one query a generation."""
    found, youngest = [member_id], [member_id]
    while youngest:
        query = select(M.id).where(
            M.client_id == client_id, among(session, M.merged_into, youngest)
        )
        youngest = [one for one in session.scalars(query) if one not in found]
        found += youngest
    return found


def _refuse(session: Session, found: Member) -> None:
    if session.scalar(select(Erasure.id).where(Erasure.member_id == found.id).limit(1)) is not None:
        raise ErasureError("this member was erased already")
    if found.merged_into is not None:
        raise ErasureError(
            f"it was merged into member {found.merged_into}", remedy="erase that member"
        )
    if found.deleted_at is None:
        raise ErasureError(
            "the member is not deleted",
            remedy="delete it first, which stops what is queued, then erase it",
        )


def _suppress(session: Session, clock: Clock, client_id: int, ids: Sequence[int]) -> None:
    """Keep the members' addresses, as keyed hashes, from ever being written to."""
    other = aliased(MemberAddress)
    alone = ~exists().where(
        other.client_id == client_id,
        other.channel == MemberAddress.channel,
        other.hash == MemberAddress.hash,
        ~among(session, other.member_id, ids),
    )
    query = select(MemberAddress.channel, MemberAddress.hash).distinct()
    mine = query.where(
        MemberAddress.client_id == client_id, among(session, MemberAddress.member_id, ids), alone
    )
    told = {
        "client_id": client_id,
        "masked": SuppressionReason.ERASED.value,
        "scope": Scope.ALL,
        "reason": SuppressionReason.ERASED,
        "evidence": None,
        "since": clock.now(),
    }
    found = session.execute(mine).all()
    rows = [told | {"channel": channel, "address_hash": hash} for channel, hash in found]
    suppress_many(session, rows)
    theirs = among(session, Suppression.address_hash, [hash for _, hash in found])
    session.execute(
        update(Suppression)
        .where(Suppression.client_id == client_id, theirs)
        .values(masked=told["masked"])
        .execution_options(synchronize_session=False)
    )


def _forget(session: Session, client_id: int, ids: Sequence[int], now: datetime) -> dict[str, Any]:
    """Delete or empty what belongs to the members; return how many rows of each table."""
    # Before their addresses are gone, by which others' tables know them.
    counts = traces.forget(session, client_id, ids, now=now)
    counts |= {
        name: _rows(
            session,
            delete(model)
            .where(model.client_id == client_id, among(session, model.member_id, ids))
            .returning(model.member_id),
        )
        for name, model in DELETED.items()
    }
    for one in (Duplicate.first_id, Duplicate.second_id):
        pairs = delete(Duplicate).where(Duplicate.client_id == client_id, among(session, one, ids))
        session.execute(pairs.execution_options(synchronize_session=False))
    emptied: Mapping[Any, dict[str, Any]] = {
        Consent: {"wording": None, "proof": {}},
        Event: {"properties": {}},
        Merge: {"moved": {}},
    }
    for model, values in emptied.items():
        whose = Merge.survivor_id if model is Merge else model.member_id
        counts[model.__tablename__] = _rows(
            session,
            update(model)
            .where(model.client_id == client_id, among(session, whose, ids))
            .values(**values)
            .returning(model.id),
        )
    return counts | travelling.forget(session, client_id, ids)


def _rows(session: Session, statement: Any) -> int:
    return len(session.execute(statement.execution_options(synchronize_session=False)).all())


def _empty(session: Session, clock: Clock, client_id: int, ids: Sequence[int]) -> None:
    for one in ids:
        session.execute(
            update(M)
            .where(M.client_id == client_id, M.id == one)
            .values(
                **dict.fromkeys(PERSONAL),
                attributes={},
                member_id=f"#erased-{one}",
                version=M.version + 1,
                updated_at=clock.now(),
            )
            .execution_options(synchronize_session=False)
        )
