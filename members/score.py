"""Score: a number about a member with its reasons, and what a client's numbers are computed by.

Invariants
    1. Computing a score again for the instant it was computed at gives what is stored.
    2. A number that the data do not carry is None, and the details say why.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, ForeignKey, Index, String, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.types import TypeEngine

from core.clock import Clock
from core.db import Base, BigId
from core.rows import table
from core.sql import insert_into
from members.member import Member
from members.touch import touch


class ScoreKind(enum.StrEnum):
    """What a number says."""

    ENGAGEMENT = "engagement"  # 0 to 100
    LIFETIME_VALUE = "lifetime_value"  # major units of the currency in its details
    CHURN_RISK = "churn_risk"  # probability, 0 to 1


class Score(Base):
    """One number about one member."""

    __tablename__ = "scores"
    __table_args__ = (Index(None, "client_id", "kind", "value"),)

    member_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"), primary_key=True)
    kind: Mapped[ScoreKind] = mapped_column(primary_key=True)
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    value: Mapped[float | None]
    """None where there is not enough data."""
    low: Mapped[float | None]
    high: Mapped[float | None]
    """An interval that holds the true value four times in five, where one is known."""
    version: Mapped[str] = mapped_column(String(40))
    """The formula and its settings."""
    reasons: Mapped[dict[str, Any]]
    """`top`: up to five reasons with their points; beside it what the kind of number needs."""
    computed_at: Mapped[datetime]


class ScoreModel(Base):
    """What one client's numbers of one kind are computed by, and how well that does."""

    __tablename__ = "score_models"

    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"), primary_key=True)
    kind: Mapped[ScoreKind] = mapped_column(primary_key=True)
    method: Mapped[str] = mapped_column(String(40))
    """`not enough data` where nothing could be fitted."""
    parameters: Mapped[dict[str, Any]]
    quality: Mapped[dict[str, Any]]
    """What it was fitted on, and how it does on members it has not seen."""
    fitted_at: Mapped[datetime]


class ScoreRun(Base):
    """How far a client's daily computation has come."""

    __tablename__ = "score_runs"

    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"), primary_key=True)
    started_at: Mapped[datetime]
    position: Mapped[int] = mapped_column(BigId, default=0)
    """Members up to this id are done."""
    finished_at: Mapped[datetime | None]
    fresh_at: Mapped[datetime]
    """Whoever was active since is computed before the next day."""


@dataclass(frozen=True, slots=True)
class Computed:
    """A number about a member as it was computed."""

    member_id: int
    value: float | None
    reasons: dict[str, Any]
    low: float | None = None
    high: float | None = None


def store_scores(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    kind: ScoreKind,
    version: str,
    computed: Sequence[Computed],
) -> None:
    """Put new numbers in the place of the members' old ones; one statement, sent as a set."""
    rows = [
        {
            "member_id": one.member_id,
            "kind": kind,
            "client_id": client_id,
            "value": one.value,
            "low": one.low,
            "high": one.high,
            "version": version,
            "reasons": one.reasons,
            "computed_at": clock.now(),
        }
        for one in sorted(computed, key=lambda one: one.member_id)
    ]
    if not rows:
        return
    statement = insert_into(session, Score)
    replaced = ("value", "low", "high", "version", "reasons", "computed_at")
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["member_id", "kind"],
            set_={name: statement.excluded[name] for name in replaced},
        ),
        rows,
    )


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was learnt of one client: a ScoreModel before it is stored."""

    kind: ScoreKind
    method: str
    parameters: dict[str, Any]
    quality: dict[str, Any]


def store_model(session: Session, clock: Clock, *, client_id: int, fitted: Fitted) -> ScoreModel:
    """Remember by what a client's numbers are computed from now on."""
    key = (client_id, fitted.kind)
    found = session.get(ScoreModel, key) or ScoreModel(client_id=client_id, kind=fitted.kind)
    found.method, found.parameters, found.quality = fitted.method, fitted.parameters, fitted.quality
    found.fitted_at = clock.now()
    session.add(found)
    session.flush()
    return found


def models_of(session: Session, client_id: int) -> dict[ScoreKind, ScoreModel]:
    """Return what a client's numbers are computed by."""
    query = select(ScoreModel).where(ScoreModel.client_id == client_id)
    return {model.kind: model for model in session.scalars(query)}


def scores_of(session: Session, client_id: int, member_id: int) -> dict[ScoreKind, Score]:
    """Return a member's stored numbers by kind."""
    query = select(Score).where(Score.client_id == client_id, Score.member_id == member_id)
    return {score.kind: score for score in session.scalars(query)}


def ids_after(session: Session, client_id: int, *, after: int, limit: int) -> list[int]:
    """Return up to `limit` ids of the client's members after id `after`, in order."""
    query = (
        select(Member.id)
        .where(Member.client_id == client_id, Member.id > after, Member.deleted_at.is_(None))
        .order_by(Member.id)
        .limit(limit)
    )
    return list(session.scalars(query))


def found_first(client_id: int) -> ColumnElement[bool]:
    """Return `is the client's`, for members that an UPDATE finds by the ids of rows it was given.

    The sum keeps SQLite from the index of clients: it would read the rows anew for every member of
    the client, minutes instead of milliseconds.
    """
    return Member.client_id + 0 == client_id


def note_values(
    session: Session,
    *,
    client_id: int,
    field: str,
    values: Sequence[tuple[int, float | Decimal | None]],
    kind: TypeEngine[Any],
) -> list[int]:
    """Write (member id, number) onto members where it differs; return whose number changed.

    Conditions ask for `engagement_score` and `lifetime_value` there, so their notes are taken. A
    version is not raised: nobody edited the member.
    """
    columns: dict[str, TypeEngine[Any]] = {"id": BigInteger(), "value": kind}
    column = getattr(Member, field)
    changed: list[int] = []
    if values:
        told = table(session, columns, values).c
        changed = sorted(
            session.scalars(
                update(Member)
                .where(
                    found_first(client_id),
                    Member.id == told.id,
                    column.is_distinct_from(told.value),
                )
                .values({field: told.value})
                .returning(Member.id)
                .execution_options(synchronize_session=False)
            )
        )
    touch(session, client_id=client_id, member_ids=changed)
    return changed
