"""Moving: what belongs to one member handed to another, table by table, and handed back.

Each table has a `take` that moves rows in a statement or two and returns what it did as JSON, and a
`give_back` that undoes exactly that. What was added to the survivor since then stays with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, column, delete, exists, or_, select, table, update
from sqlalchemy.orm import Session

from core.rows import among
from core.sql import insert_into
from members import travelling
from members.address import MemberAddress
from members.change import MemberChange
from members.consent import Consent, ConsentState, CurrentConsent
from members.duplicates import Duplicate
from members.identity import FORMER_KEY, Identity, hand_over
from members.member import Member, MemberTag
from members.note import MemberNote
from members.order import Order
from members.referral import Commission
from members.segment import SegmentMember

COMMUNICATIONS = table(
    "communications",
    column("id"), column("client_id"), column("member_id"), column("run_id"), column("channel"),
)  # fmt: skip
"""Named here, not imported: the log is a layer above, and a merge is one transaction."""
OWNED: dict[str, tuple[type[Any], str]] = {
    # what: (model, the column that says whose)
    "consents": (Consent, "member_id"),
    "member_notes": (MemberNote, "member_id"),
    "member_changes": (MemberChange, "member_id"),
    "orders": (Order, "member_id"),
    "commissions_of": (Commission, "referred_id"),
    "commissions_by": (Commission, "referrer_id"),
}
"""Rows that just change hands."""

DUPLICATE = tuple(column.key for column in Duplicate.__table__.columns)

Moved = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pair:
    """Who takes, who gives, and for which client."""

    client_id: int
    survivor_id: int
    absorbed_id: int


def take(session: Session, pair: Pair) -> Moved:
    """Move everything of the absorbed member to the survivor; return what `give_back` needs."""
    return {
        "rows": {name: _take_rows(session, pair, *whose) for name, whose in OWNED.items()},
        "communications": _take_communications(session, pair),
        "enrolments": travelling.take(session, pair.client_id, pair.absorbed_id, pair.survivor_id),
        "identities": [
            list(name)
            for name in hand_over(
                session,
                client_id=pair.client_id,
                from_id=pair.absorbed_id,
                to_id=pair.survivor_id,
            )
        ],
        "addresses": _take_addresses(session, pair),
        "tags": _copy(session, pair, MemberTag, "tag"),
        "segments": _copy(session, pair, SegmentMember, "segment_id"),
        "states": _join_consent(session, pair),
        "duplicates": _drop_duplicates(session, pair),
    }


def give_back(session: Session, pair: Pair, moved: Moved) -> None:
    """Undo a `take`, given what it returned."""
    for name, ids in moved["rows"].items():
        _give_rows(session, pair, *OWNED[name], ids)
    log: Any = COMMUNICATIONS.c
    session.execute(
        update(COMMUNICATIONS)
        .where(log.client_id == pair.client_id, among(session, log.id, moved["communications"]))
        .values(member_id=pair.absorbed_id)
    )
    # A merge of before there were journeys has noted none.
    travelling.give_back(session, pair.absorbed_id, moved.get("enrolments", []))
    for kind, value in moved["identities"]:
        session.execute(
            update(Identity)
            .where(
                Identity.client_id == pair.client_id,
                Identity.kind == kind,
                Identity.value == value,
            )
            .values(member_id=pair.absorbed_id)
            .execution_options(synchronize_session=False)
        )
    _give_addresses(session, pair, moved["addresses"])
    _uncopy(session, pair, MemberTag, "tag", moved["tags"])
    _uncopy(session, pair, SegmentMember, "segment_id", moved["segments"])
    _part_consent(session, pair, moved["states"])
    _restore_duplicates(session, moved["duplicates"])


def _take_rows(session: Session, pair: Pair, model: type[Any], whose: str) -> list[int]:
    moved = session.scalars(
        update(model)
        .where(model.client_id == pair.client_id, getattr(model, whose) == pair.absorbed_id)
        .values({whose: pair.survivor_id})
        .returning(model.id)
        .execution_options(synchronize_session=False)
    )
    return sorted(moved)


def _give_rows(
    session: Session, pair: Pair, model: type[Any], whose: str, ids: Sequence[int]
) -> None:
    session.execute(
        update(model)
        .where(model.client_id == pair.client_id, among(session, model.id, ids))
        .values({whose: pair.absorbed_id})
        .execution_options(synchronize_session=False)
    )


def _take_communications(session: Session, pair: Pair) -> list[int]:
    """Move messages; where both had one of the same run and channel, theirs stay where they are.

    Of two that wait, one is sent: the absorbed member is deleted, and the gate refuses its own.
    """
    log, other = COMMUNICATIONS.c, COMMUNICATIONS.alias("other")
    both = exists().where(
        other.c.run_id == log.run_id,
        other.c.channel == log.channel,
        other.c.member_id == pair.survivor_id,
    )
    moved = session.scalars(
        update(COMMUNICATIONS)
        .where(
            log.client_id == pair.client_id,
            log.member_id == pair.absorbed_id,
            or_(log.run_id.is_(None), ~both),
        )
        .values(member_id=pair.survivor_id)
        .returning(log.id)
    )
    return sorted(moved)


def _take_addresses(session: Session, pair: Pair) -> Moved:
    """Move addresses the survivor does not have; they are primary only where it had none."""
    A = MemberAddress  # noqa: N806  (a table alias)
    held = session.scalars(
        select(A)
        .where(
            A.client_id == pair.client_id,
            or_(A.member_id == pair.survivor_id, A.member_id == pair.absorbed_id),
        )
        .order_by(A.id)
    ).all()
    own = {(a.channel, a.value) for a in held if a.member_id == pair.survivor_id}
    served = {a.channel for a in held if a.member_id == pair.survivor_id and a.is_primary}
    theirs = [a for a in held if a.member_id == pair.absorbed_id]
    fresh = [a for a in theirs if (a.channel, a.value) not in own]
    demoted = [a.id for a in fresh if a.is_primary and a.channel in served]
    _set(session, pair, demoted, is_primary=False)
    _set(session, pair, [a.id for a in fresh], member_id=pair.survivor_id)
    return {"moved": [a.id for a in fresh], "demoted": demoted}


def _give_addresses(session: Session, pair: Pair, moved: Moved) -> None:
    A = MemberAddress  # noqa: N806  (a table alias)
    mine = session.execute(
        select(A.id, A.channel, A.is_primary).where(
            A.client_id == pair.client_id, among(session, A.id, moved["moved"])
        )
    ).all()
    # A moved address made primary since then leaves the survivor without one of its kind.
    lost = {row.channel for row in mine if row.is_primary and row.id in moved["demoted"]}
    _set(session, pair, [row.id for row in mine], member_id=pair.absorbed_id)
    _set(session, pair, moved["demoted"], is_primary=True)
    for channel in sorted(lost):
        first = session.scalar(
            select(A.id)
            .where(A.member_id == pair.survivor_id, A.channel == channel)
            .order_by(A.id)
            .limit(1)
        )
        _set(session, pair, [first] if first is not None else [], is_primary=True)


def _set(session: Session, pair: Pair, ids: Sequence[int], **values: Any) -> None:
    if ids:
        session.execute(
            update(MemberAddress)
            .where(MemberAddress.client_id == pair.client_id, among(session, MemberAddress.id, ids))
            .values(**values)
            .execution_options(synchronize_session=False)
        )


def _copy(session: Session, pair: Pair, model: type[Any], name: str) -> list[Any]:
    """Give the survivor what it lacks of a set; the absorbed member, who is deleted, keeps its own.

    Returns what was added.
    """
    key, rows_of = getattr(model, name), select(model.__table__)
    own = set(session.scalars(select(key).where(model.member_id == pair.survivor_id)))
    theirs = session.execute(rows_of.where(model.member_id == pair.absorbed_id)).mappings()
    # Whole rows: who was kept out of a segment by hand must not be put into it.
    rows = [{**row, "member_id": pair.survivor_id} for row in theirs if row[name] not in own]
    if rows:
        session.execute(insert_into(session, model).on_conflict_do_nothing(), rows)
    return sorted(row[name] for row in rows)


def _uncopy(
    session: Session, pair: Pair, model: type[Any], name: str, added: Sequence[Any]
) -> None:
    if added:
        session.execute(
            delete(model)
            .where(
                model.client_id == pair.client_id,
                model.member_id == pair.survivor_id,
                among(session, getattr(model, name), added),
            )
            .execution_options(synchronize_session=False)
        )


def _join_consent(session: Session, pair: Pair) -> list[Moved]:
    """Fold two members' last words into one, where a withdrawal of either wins.

    The joined word is as old as the later of the two: whatever is said from now on overrules it.
    """
    S = CurrentConsent  # noqa: N806  (a table alias)
    found = session.scalars(
        select(S).where(
            S.client_id == pair.client_id,
            or_(S.member_id == pair.survivor_id, S.member_id == pair.absorbed_id),
        )
    ).all()
    words = {(s.member_id == pair.survivor_id, s.channel, s.topic): s for s in found}
    done: list[Moved] = []
    for mine, channel, topic in sorted(words):
        if mine:
            continue
        theirs = words[False, channel, topic]
        own = words.get((True, channel, topic))
        states = {word.state for word in (theirs, own) if word is not None}
        withdrawn = ConsentState.WITHDRAWN in states
        after = {
            "state": (ConsentState.WITHDRAWN if withdrawn else ConsentState.GRANTED).value,
            "occurred_at": max(w.occurred_at for w in (theirs, own) if w is not None).isoformat(),
        }
        done.append(
            {
                "key": [channel, topic],
                "before": None
                if own is None
                else {"state": own.state.value, "occurred_at": own.occurred_at.isoformat()},
                "after": after,
            }
        )
    _write_states(session, pair, [(step["key"], step["after"]) for step in done])
    return done


def _part_consent(session: Session, pair: Pair, done: Sequence[Moved]) -> None:
    """Put the survivor's last words back, where nothing was said since."""
    S = CurrentConsent  # noqa: N806  (a table alias)
    back: list[tuple[Sequence[str], Mapping[str, str]]] = []
    for step in done:
        channel, topic = step["key"]
        unchanged: ColumnElement[bool] = and_(
            S.member_id == pair.survivor_id,
            S.channel == channel,
            S.topic == topic,
            S.state == ConsentState(step["after"]["state"]),
            S.occurred_at == datetime.fromisoformat(step["after"]["occurred_at"]),
        )
        gone = session.execute(
            delete(S)
            .where(unchanged)
            .returning(S.member_id)
            .execution_options(synchronize_session=False)
        ).all()
        if gone and step["before"] is not None:
            back.append((step["key"], step["before"]))
    _write_states(session, pair, back)


def _write_states(
    session: Session, pair: Pair, words: Sequence[tuple[Sequence[str], Mapping[str, str]]]
) -> None:
    rows = [
        {
            "client_id": pair.client_id,
            "member_id": pair.survivor_id,
            "channel": key[0],
            "topic": key[1],
            "state": ConsentState(word["state"]),
            "occurred_at": datetime.fromisoformat(word["occurred_at"]),
        }
        for key, word in words
    ]
    if rows:
        statement = insert_into(session, CurrentConsent)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["member_id", "channel", "topic"],
                set_={
                    "state": statement.excluded.state,
                    "occurred_at": statement.excluded.occurred_at,
                },
            ),
            rows,
        )
        session.expire_all()


def _drop_duplicates(session: Session, pair: Pair) -> list[Moved]:
    """Forget the pairs the absorbed member was in: it is nobody's twin any more."""
    D = Duplicate  # noqa: N806  (a table alias)
    mine = and_(
        D.client_id == pair.client_id,
        or_(D.first_id == pair.absorbed_id, D.second_id == pair.absorbed_id),
    )
    found = session.scalars(select(D).where(mine).order_by(D.id)).all()
    kept = [{name: _told(getattr(one, name)) for name in DUPLICATE} for one in found]
    session.execute(delete(D).where(mine).execution_options(synchronize_session="fetch"))
    return kept


def _restore_duplicates(session: Session, kept: Sequence[Moved]) -> None:
    if kept:
        instants = ("found_at", "dismissed_at")
        rows = [
            row | {name: datetime.fromisoformat(row[name]) for name in instants if row[name]}
            for row in kept
        ]
        session.execute(insert_into(session, Duplicate).on_conflict_do_nothing(), rows)


def _told(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def followers(session: Session, pair: Pair) -> list[int]:
    """Let the members whom the absorbed one referred be referred by the survivor; return them."""
    moved = session.scalars(
        update(Member)
        .where(
            Member.client_id == pair.client_id,
            Member.referred_by == pair.absorbed_id,
            Member.id != pair.survivor_id,
        )
        .values(referred_by=pair.survivor_id)
        .returning(Member.id)
        .execution_options(synchronize_session=False)
    )
    return sorted(moved)


def unfollow(session: Session, pair: Pair, ids: Sequence[int]) -> None:
    """Let these members be referred by the absorbed one again."""
    session.execute(
        update(Member)
        .where(
            Member.client_id == pair.client_id,
            Member.referred_by == pair.survivor_id,
            among(session, Member.id, ids),
        )
        .values(referred_by=pair.absorbed_id)
        .execution_options(synchronize_session=False)
    )


def forget_key(session: Session, pair: Pair, key: str) -> None:
    """Let the absorbed member's own key lead to nobody else any more."""
    session.execute(
        delete(Identity)
        .where(
            Identity.client_id == pair.client_id,
            Identity.kind == FORMER_KEY,
            Identity.value == key,
        )
        .execution_options(synchronize_session=False)
    )
