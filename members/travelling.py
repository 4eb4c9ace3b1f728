"""Travelling: members' ways through journeys, when two members become one or one is forgotten.

The tables are named here, not imported: journeys are a layer above, and a merge or an erasure is
one transaction.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, column, exists, literal, select, table, update
from sqlalchemy.orm import Session

from core.db import Json, UtcDateTime
from core.rows import among, within
from members.signal import NO_TIME, Signal

ENROLMENTS = table(
    "enrolments",
    column("id"), column("journey_id"), column("member_id"), column("entry_key"), column("status"),
    column("due_at", UtcDateTime()), column("context", Json), column("error"),
)  # fmt: skip
JOURNEYS = table("journeys", column("id"), column("client_id"))
STEPS = table("enrolment_steps", column("id"), column("enrolment_id"), column("why", Json))


def take(session: Session, client_id: int, absorbed_id: int, survivor_id: int) -> list[int]:
    """Let the survivor go on where only the absorbed member was; return the enrolments moved.

    Where both were in a journey with one key, the absorbed member's way ends, as of anybody who is
    deleted, at the next look, which is due at once. What happened and was not heard yet happened
    to the survivor.
    """
    ways: Any = ENROLMENTS.c
    other = ENROLMENTS.alias("other")
    theirs = and_(_inside(client_id), ways.member_id == absorbed_id)
    both = exists().where(
        other.c.journey_id == ways.journey_id,
        other.c.entry_key == ways.entry_key,
        other.c.member_id == survivor_id,
    )
    moved = session.scalars(
        update(ENROLMENTS).where(theirs, ~both).values(member_id=survivor_id).returning(ways.id)
    ).all()
    session.execute(
        update(ENROLMENTS).where(theirs, ways.status == "active").values(due_at=NO_TIME)
    )
    session.execute(
        update(Signal)
        .where(Signal.client_id == client_id, Signal.member_id == absorbed_id)
        .values(member_id=survivor_id)
        .execution_options(synchronize_session=False)
    )
    return sorted(moved)


def give_back(session: Session, absorbed_id: int, moved: Sequence[int]) -> None:
    """Undo a `take`, given what it returned; what ended by it has ended."""
    ways: Any = ENROLMENTS.c
    session.execute(
        update(ENROLMENTS).where(among(session, ways.id, moved)).values(member_id=absorbed_id)
    )


def _inside(client_id: int) -> ColumnElement[bool]:
    """Return the enrolments of a client's journeys: few journeys, each asked by index."""
    return ENROLMENTS.c.journey_id.in_(
        select(JOURNEYS.c.id).where(JOURNEYS.c.client_id == client_id)
    )


def forget(session: Session, client_id: int, ids: Sequence[int]) -> dict[str, Any]:
    """Empty what the ways of members say of them; where they went, and when, is kept.

    Whoever is inside is due, to end as of anybody who is deleted.
    """
    ways: Any = ENROLMENTS.c
    theirs = and_(_inside(client_id), among(session, ways.member_id, ids))
    emptied = session.scalars(
        update(ENROLMENTS)
        .where(theirs)
        .values(
            context={},
            error=None,
            due_at=case((ways.status == "active", literal(NO_TIME, UtcDateTime())), else_=None),
        )
        .returning(ways.id)
    ).all()
    which: Any = STEPS.c.enrolment_id
    steps = session.scalars(
        update(STEPS)
        .where(within(session, which, select(ways.id).where(theirs)))
        .values(why={})
        .returning(STEPS.c.id)
    ).all()
    return {"enrolments": len(emptied), "enrolment_steps": len(steps)}
