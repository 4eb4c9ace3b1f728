"""Consent: a member's yes or no for a channel and topic, with its proof.

The ledger `consents` is append-only; `consent_states` is its fold (the latest word per member,
channel and topic), kept in the same transaction so that fan-out can join one row.
"""

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, cast

from sqlalchemy import ForeignKey, Index, String, Table, Text, insert, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, Session, mapped_column

from accounts.news import News
from accounts.outbox import Fact, publish, wanting
from core.bulk import load
from core.clock import Clock
from core.db import Base, BigId, Id, is_sqlite
from core.rows import among
from members.touch import touch

MARKETING = "marketing"
"""The topic a campaign needs unless it names another."""


class ConsentState(enum.StrEnum):
    """What a member said last."""

    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


class Consent(Base):
    """One yes or no, never changed afterwards."""

    __tablename__ = "consents"
    __table_args__ = (
        Index(None, "client_id", "member_id", "id"),
        # Opt-outs, newest first: few of many.
        Index(
            "ix_consents_withdrawn",
            "client_id",
            "id",
            sqlite_where=text("state = 'withdrawn'"),
            postgresql_where=text("state = 'withdrawn'"),
        ),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(BigId)
    """The member's; a foreign key beside that of the member would cost as much as the row."""
    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))
    channel: Mapped[str] = mapped_column(String(16))
    topic: Mapped[str] = mapped_column(String(64), default=MARKETING)
    state: Mapped[ConsentState]
    source: Mapped[str] = mapped_column(String(64))
    """Where it came from: `import:12`, `api`, `unsubscribe`, `stop`, `one_click`, …"""
    wording: Mapped[str | None] = mapped_column(Text)
    """The exact text the member agreed to."""
    proof: Mapped[dict[str, Any]] = mapped_column(default=dict)
    occurred_at: Mapped[datetime]
    created_at: Mapped[datetime]


class CurrentConsent(Base):
    """The fold of the ledger for one member, channel and topic."""

    __tablename__ = "consent_states"

    member_id: Mapped[int] = mapped_column(BigId, primary_key=True)
    """The ledger's foreign key says that it is a member; another here costs 5 µs a row."""
    channel: Mapped[str] = mapped_column(String(16), primary_key=True)
    topic: Mapped[str] = mapped_column(String(64), primary_key=True)
    client_id: Mapped[int] = mapped_column(BigId)
    state: Mapped[ConsentState]
    occurred_at: Mapped[datetime]


class Word(NamedTuple):
    """One yes or no to write down."""

    member_id: int
    channel: str
    state: ConsentState
    source: str
    occurred_at: datetime | None = None
    """When it was said; now, when not given."""
    topic: str = MARKETING
    wording: str | None = None
    proof: Mapping[str, Any] = MappingProxyType({})


def record(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    member_id: int,
    channel: str,
    state: ConsentState,
    source: str,
    topic: str = MARKETING,
    wording: str | None = None,
    proof: Mapping[str, Any] | None = None,
    occurred_at: datetime | None = None,
) -> None:
    """Write down one yes or no of one member."""
    word = Word(
        member_id=member_id,
        channel=channel,
        state=state,
        source=source,
        topic=topic,
        wording=wording,
        proof=proof or {},
        occurred_at=occurred_at,
    )
    record_many(session, clock, client_id=client_id, words=[word])


def record_many(session: Session, clock: Clock, *, client_id: int, words: Sequence[Word]) -> None:
    """Write down many: four statements, whatever their number.

    The later word wins by the time it was said; of two at one instant, the one written later.
    """
    if not words:
        return
    ledger = _ledger(client_id, words, clock.now())
    session.execute(insert(Consent), ledger)
    _publish(session, clock, client_id, ledger)
    make = sqlite.insert if is_sqlite(session) else postgresql.insert
    statement = make(CurrentConsent)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["member_id", "channel", "topic"],
            set_={
                "state": statement.excluded.state,
                "occurred_at": statement.excluded.occurred_at,
            },
            where=CurrentConsent.occurred_at <= statement.excluded.occurred_at,
        ),
        _latest(ledger),
    )
    touch(session, client_id=client_id, member_ids=[word.member_id for word in words])


def _publish(
    session: Session, clock: Clock, client_id: int, ledger: Sequence[dict[str, Any]]
) -> None:
    """Tell who takes back, or gives again, consent to marketing; before it is written."""
    wanted = wanting(session, client_id)
    if not wanted.any_of(News.UNSUBSCRIBED, News.RESUBSCRIBED):
        return
    said = [row for row in _latest(ledger) if row["topic"] == MARKETING]
    states = select(CurrentConsent).where(
        CurrentConsent.topic == MARKETING,
        among(session, CurrentConsent.member_id, [row["member_id"] for row in said]),
    )
    before = {(one.member_id, one.channel): one for one in session.scalars(states)}
    facts = [
        Fact(news, f"member:{row['member_id']}", row["occurred_at"], data)
        for row in said
        if (news := _news(before.get((row["member_id"], row["channel"])), row))
        for data in [{"id": row["member_id"], "channel": row["channel"]}]
    ]
    publish(session, clock.now(), client_id=client_id, facts=facts, wanted=wanted)


def _news(before: CurrentConsent | None, row: Mapping[str, Any]) -> News | None:
    """Return what a word changes: a later word is not undone by an earlier one."""
    if before is not None and before.occurred_at > row["occurred_at"]:
        return None
    withdrawn = before is not None and before.state is ConsentState.WITHDRAWN
    if (row["state"] is ConsentState.WITHDRAWN) is withdrawn:
        return None
    return News.RESUBSCRIBED if withdrawn else News.UNSUBSCRIBED


def record_first(session: Session, clock: Clock, *, client_id: int, words: Sequence[Word]) -> None:
    """Write down words of members who were made in this transaction and have said nothing yet."""
    if not words:
        return
    ledger = _ledger(client_id, words, clock.now())
    states = _latest(ledger)
    for model, rows in ((Consent, ledger), (CurrentConsent, states)):
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        load(session, cast(Table, model.__table__), columns, len(rows))


def _ledger(client_id: int, words: Sequence[Word], now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "client_id": client_id,
            "member_id": word.member_id,
            "channel": word.channel,
            "topic": word.topic,
            "state": word.state,
            "source": word.source,
            "wording": word.wording,
            "proof": dict(word.proof),
            # Nobody speaks in the future: such a word would outlast every later one.
            "occurred_at": min(word.occurred_at or now, now),
            "created_at": now,
        }
        for word in words
    ]


def _latest(ledger: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the last word of each member, channel and topic, as `consent_states` keeps it."""
    latest: dict[tuple[int, str, str], dict[str, Any]] = {}
    columns = ("client_id", "member_id", "channel", "topic", "state", "occurred_at")
    for row in ledger:
        key = (row["member_id"], row["channel"], row["topic"])
        if key not in latest or row["occurred_at"] >= latest[key]["occurred_at"]:
            latest[key] = {name: row[name] for name in columns}
    return [latest[key] for key in sorted(latest)]
