"""History: what a member did, handed to another member and handed back, rollups and all.

The rollups are added up rather than counted anew: they also remember events that were forgotten
since (members.event). An undo takes off exactly what was added.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from core.rows import among
from members.event import Event, EventDay, EventTotal
from members.moving import Moved, Pair

ROLLUPS: dict[str, tuple[type[Any], tuple[str, ...]]] = {
    # table → (model, what tells the rows of one member apart)
    "event_days": (EventDay, ("name", "day")),
    "event_totals": (EventTotal, ("name",)),
}

Row = dict[str, Any]


def take_events(session: Session, pair: Pair) -> Moved:
    """Move the absorbed member's events to the survivor; return what `give_events_back` needs."""
    moved = session.scalars(
        update(Event)
        .where(Event.client_id == pair.client_id, Event.member_id == pair.absorbed_id)
        .values(member_id=pair.survivor_id)
        .returning(Event.id)
        .execution_options(synchronize_session=False)
    )
    return {
        "events": sorted(moved),
        "rollups": {name: _add(session, pair, *what) for name, what in ROLLUPS.items()},
    }


def give_events_back(session: Session, pair: Pair, moved: Moved, *, since: datetime) -> None:
    """Undo `take_events`; `since` is when that was, and what came later stays with the survivor."""
    session.execute(
        update(Event)
        .where(Event.client_id == pair.client_id, among(session, Event.id, moved["events"]))
        .values(member_id=pair.absorbed_id)
        .execution_options(synchronize_session=False)
    )
    later = session.execute(
        select(Event.name, Event.occurred_at).where(
            Event.client_id == pair.client_id,
            Event.member_id == pair.survivor_id,
            Event.received_at >= since,
        )
    ).all()
    times = [(row.name, row.occurred_at) for row in later]
    for name, (model, keys) in ROLLUPS.items():
        _take_off(session, pair, model, keys, moved["rollups"][name], times)


def _add(session: Session, pair: Pair, model: type[Any], keys: Sequence[str]) -> Moved:
    """Add the absorbed member's rows to the survivor's; return both as they were."""
    theirs = _rows(session, pair, model, pair.absorbed_id)
    wanted = {tuple(row[key] for key in keys) for row in theirs}
    own = {
        key: row
        for row in _rows(session, pair, model, pair.survivor_id)
        if (key := tuple(row[name] for name in keys)) in wanted
    }
    sums = [_sum(row, own.get(tuple(row[key] for key in keys))) for row in theirs]
    _replace(session, pair, model, keys, list(own.values()), sums, pair.survivor_id)
    _clear(session, pair, model, pair.absorbed_id)
    return {
        "theirs": [_told(row) for row in theirs],
        "own": [_told(row) for row in own.values()],
    }


def _sum(row: Row, own: Row | None) -> Row:
    if own is None:
        return row
    return row | {
        "count": row["count"] + own["count"],
        "amount": row["amount"] + own["amount"],
        "first_at": min(row["first_at"], own["first_at"]),
        "last_at": max(row["last_at"], own["last_at"]),
    }


def _take_off(
    session: Session,
    pair: Pair,
    model: type[Any],
    keys: Sequence[str],
    moved: Moved,
    later: Sequence[tuple[str, datetime]],
) -> None:
    theirs = [_read(row) for row in moved["theirs"]]
    own = {tuple(row[key] for key in keys): row for row in map(_read, moved["own"])}
    wanted = {tuple(row[key] for key in keys) for row in theirs}
    now = {
        key: row
        for row in _rows(session, pair, model, pair.survivor_id)
        if (key := tuple(row[name] for name in keys)) in wanted
    }
    left: list[Row] = []
    for row in theirs:
        key = tuple(row[name] for name in keys)
        held = now.get(key)
        if held is None or held["count"] <= row["count"]:
            continue
        before = own.get(key)
        times = [at for name, at in later if (name, at.date())[: len(key)] == key]
        times += [before["first_at"], before["last_at"]] if before is not None else []
        left.append(
            held
            | {
                "count": held["count"] - row["count"],
                "amount": held["amount"] - row["amount"],
                "first_at": min(times, default=held["first_at"]),
                "last_at": max(times, default=held["last_at"]),
            }
        )
    _replace(session, pair, model, keys, list(now.values()), left, pair.survivor_id)
    _insert(session, pair, model, theirs, pair.absorbed_id)


def _rows(session: Session, pair: Pair, model: type[Any], member_id: int) -> list[Row]:
    query = select(model.__table__).where(
        model.client_id == pair.client_id, model.member_id == member_id
    )
    left_out = ("client_id", "member_id")
    return [
        {name: row[name] for name in row if name not in left_out}
        for row in session.execute(query).mappings()
    ]


def _replace(
    session: Session,
    pair: Pair,
    model: type[Any],
    keys: Sequence[str],
    old: Sequence[Row],
    new: Sequence[Row],
    member_id: int,
) -> None:
    """Put rows in the place of others of the same member."""
    table = model.__table__
    for row in old:
        session.execute(
            delete(table).where(
                table.c.client_id == pair.client_id,
                table.c.member_id == member_id,
                *[table.c[key] == row[key] for key in keys],
            )
        )
    _insert(session, pair, model, new, member_id)


def _insert(
    session: Session, pair: Pair, model: type[Any], rows: Sequence[Row], member_id: int
) -> None:
    if rows:
        whose = {"client_id": pair.client_id, "member_id": member_id}
        session.execute(insert(model.__table__), [row | whose for row in rows])


def _clear(session: Session, pair: Pair, model: type[Any], member_id: int) -> None:
    session.execute(
        delete(model)
        .where(model.client_id == pair.client_id, model.member_id == member_id)
        .execution_options(synchronize_session=False)
    )


def _told(row: Row) -> Row:
    """Return a row as JSON holds it."""
    return {
        name: value.isoformat()
        if isinstance(value, date)
        else str(value)
        if isinstance(value, Decimal)
        else value
        for name, value in row.items()
    }


def _read(row: Mapping[str, Any]) -> Row:
    found = dict(row)
    found["amount"] = Decimal(row["amount"])
    for name in ("first_at", "last_at"):
        found[name] = datetime.fromisoformat(row[name])
    if "day" in row:
        found["day"] = date.fromisoformat(row["day"])
    return found
