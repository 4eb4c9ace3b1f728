"""AuditEntry: what people, keys and the engine did, and who looked at people; append-only.

An entry is written in the caller's transaction, so that what was done and its entry are there both
or neither. It is sealed into its client's chain a moment later (audit_chain.py), and nothing can
change it from the start (audit_guard.py).

Invariants
    1. Ids, names of enums, numbers and booleans stand here as they are. No address, name of a
       person, message or secret ever does: of such a field an entry says only that it changed. So
       the log need not forget anybody, and never does.
    2. Whatever is stored reads back equal on both databases: the seal is over what was stored.
"""

import enum
from collections.abc import Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_network
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from core.bisection import first_since, last_before
from core.clock import Clock
from core.db import Base, Id, Json
from core.rows import among

CHANGED = "changed"
"""Stands for a text that an entry must not show."""
MAX_SAFE = 2**53 - 1
"""Beyond it a number in JSON is not read alike everywhere, and is kept as text."""


class AuditSource(enum.StrEnum):
    """From where somebody acted."""

    API = "api"
    CLI = "cli"
    WEB = "web"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the actions of this thread come from."""

    source: AuditSource
    ip: str | None = None
    """Truncated: nobody's own address."""


ORIGIN: ContextVar[Origin | None] = ContextVar("audit_origin", default=None)
"""Set by the edge that answers a request; elsewhere the actor's name tells the source."""


class AuditEntry(Base):
    """One action of one actor."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index(None, "client_id", "id"),
        Index(None, "actor", "id"),
        Index(None, "target", "id"),
        # Pattern operators find `campaign.` by its beginning in any collation.
        Index(None, "client_id", "action", "id", postgresql_ops={"action": "varchar_pattern_ops"}),
        Index("uq_audit_log_client_id_seq", "client_id", "seq", unique=True),
        Index(
            "ix_audit_log_unsealed",
            "id",
            sqlite_where=text("hash IS NULL"),
            postgresql_where=text("hash IS NULL"),
        ),
    )

    id: Mapped[Id]
    client_id: Mapped[int | None] = mapped_column(ForeignKey("clients.id"))
    actor: Mapped[str] = mapped_column(String(64))
    """`key:3`, `user:7`, `cli` or `system`."""
    action: Mapped[str] = mapped_column(String(64))
    """A dotted verb: `campaign.launch`."""
    target: Mapped[str | None] = mapped_column(String(64))
    detail: Mapped[dict[str, Any]] = mapped_column(default=dict)
    at: Mapped[datetime]
    source: Mapped[AuditSource] = mapped_column(server_default="system")
    ip: Mapped[str | None] = mapped_column(String(49))
    """Of the caller, truncated to /24 (IPv4) or /48 (IPv6)."""
    before: Mapped[dict[str, Any] | None] = mapped_column(Json)
    """Fields that changed, as they were."""
    after: Mapped[dict[str, Any] | None] = mapped_column(Json)
    seq: Mapped[int | None] = mapped_column(BigInteger)
    """Its place in the client's chain, from 1; none until it is sealed."""
    hash: Mapped[str | None] = mapped_column(String(64))
    """SHA-256 of the hash before and this entry (audit_chain.py)."""


def record(
    session: Session,
    clock: Clock,
    *,
    client_id: int | None,
    actor: str,
    action: str,
    target: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    **detail: Any,
) -> None:
    """Write down one action in the caller's transaction; see `difference` for before and after."""
    entry = noted(clock, client_id=client_id, actor=actor, action=action, target=target, **detail)
    entry.before, entry.after = plain(before), plain(after)
    session.add(entry)


def noted(
    clock: Clock,
    *,
    client_id: int | None,
    actor: str,
    action: str,
    target: str | None = None,
    **detail: Any,
) -> AuditEntry:
    """Return the entry of what happens now, for somebody to write down."""
    origin = ORIGIN.get() or Origin(_source(actor))
    return AuditEntry(
        client_id=client_id,
        actor=actor,
        action=action[:64],
        target=target,
        detail=plain(detail),
        source=origin.source,
        ip=origin.ip,
        at=clock.now(),
    )


def difference(
    before: Mapping[str, Any], after: Mapping[str, Any], *, shown: Collection[str] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fields that differ, as they were and as they are.

    Numbers, booleans, instants, enums and None as they are; texts, lists and objects only where
    they are named in `shown`, for any of them may be about a person.
    """
    names = [name for name in after if before.get(name) != after[name]]
    return (
        {name: _told(before.get(name), name in shown) for name in names},
        {name: _told(after[name], name in shown) for name in names},
    )


def truncated(address: str | None) -> str | None:
    """Return the network a caller's address is in: /24 of IPv4, /48 of IPv6; None if unreadable."""
    if not address:
        return None
    try:
        wide = ip_network(address.partition("%")[0])
    except ValueError:
        return None
    return str(wide.supernet(new_prefix=24 if wide.version == 4 else 48))


def entries_page(
    session: Session,
    client_id: int | None,
    *,
    actor: str | None = None,
    action: str | None = None,
    target: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> Sequence[AuditEntry]:
    """Return up to `limit` entries, newest first, older than id `before`.

    An `action` that ends in a dot means all that begin so: `campaign.`
    """
    query = select(AuditEntry).where(AuditEntry.client_id == client_id)
    for column, value in ((AuditEntry.actor, actor), (AuditEntry.target, target)):
        if value is not None:
            query = query.where(column == value)
    if action is not None:
        named = AuditEntry.action
        query = query.where(
            named.startswith(action, autoescape=True) if action.endswith(".") else named == action
        )
    ids, at = AuditEntry.id, AuditEntry.at
    if since is not None:
        query = query.where(at >= since, ids >= first_since(session, ids, at, since))
    if until is not None:
        query = query.where(at < until, ids <= last_before(session, ids, at, until))
    if before is not None:
        query = query.where(AuditEntry.id < before)
    return session.scalars(query.order_by(AuditEntry.id.desc()).limit(limit)).all()


def about(session: Session, client_id: int, targets: Sequence[str]) -> Sequence[AuditEntry]:
    """Return every entry about these targets, oldest first."""
    query = select(AuditEntry).where(
        AuditEntry.client_id == client_id, among(session, AuditEntry.target, list(targets))
    )
    return session.scalars(query.order_by(AuditEntry.id)).all()


def plain(value: Any) -> Any:
    """Return a value as JSON that both databases give back as it went in."""
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        ordered = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [plain(each) for each in ordered]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= MAX_SAFE:
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value).encode("utf-8", "replace").decode().replace("\x00", "�")


def _told(value: Any, shown: bool) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if shown or value is None or not isinstance(value, str | bytes | Mapping | Collection):
        return plain(value)
    return CHANGED


def _source(actor: str) -> AuditSource:
    kinds = {"key": AuditSource.API, "user": AuditSource.WEB, "cli": AuditSource.CLI}
    return kinds.get(actor.partition(":")[0], AuditSource.SYSTEM)
