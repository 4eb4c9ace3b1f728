"""News of communications: what clients' endpoints are told of them (accounts/outbox.py).

Evidence is told by `learnt`, a stage at its first fact; what we do ourselves by `changed`. Each
costs one small query where the client has no endpoint.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, String, cast, literal, select
from sqlalchemy.orm import Session

from accounts.news import News
from accounts.outbox import Fact as Told
from accounts.outbox import Wanting, publish, publish_found, wanting
from communications.communication import Communication, Reason
from communications.status import FACTS, STATUS_OF, Fact, Rank, Status
from core.clock import Clock
from core.db import UtcDateTime
from core.rows import among
from core.sql import json_object

C = Communication
NEWS = {
    Fact.SENT: News.SENT,
    Fact.UNDELIVERED: News.FAILED,
    Fact.BOUNCED_SOFT: News.BOUNCED,
    Fact.DELIVERED: News.DELIVERED,
    Fact.BOUNCED_HARD: News.BOUNCED,
    Fact.OPENED: News.READ,
    Fact.CLICKED: News.CLICKED,
    Fact.REPLIED: News.REPLIED,
}
OURS = {News.SKIPPED: Status.SKIPPED, News.FAILED: Status.FAILED, News.UNKNOWN: Status.UNKNOWN}


@dataclass(frozen=True, slots=True)
class Learnt:
    """One fact about one communication."""

    communication_id: int
    fact: Fact
    at: datetime
    code: str | None


def learnt(session: Session, clock: Clock, client_id: int, facts: Iterable[Learnt]) -> None:
    """Tell of facts, before they are folded: those of a stage that had none yet."""
    wanted = wanting(session, client_id)
    if not wanted.any_of(*NEWS.values()):
        return
    by_id: dict[int, list[Learnt]] = defaultdict(list)
    for one in facts:
        by_id[one.communication_id].append(one)
    rows = _before(session, sorted(by_id))
    told = [fact for row in rows for fact in _first(row, by_id[row.id])]
    publish(session, clock.now(), client_id=client_id, facts=told, wanted=wanted)


def changed(session: Session, now: datetime, rows: Iterable[tuple[int, int]]) -> None:
    """Tell what became of communications, by client and id, that were written as of `now`.

    Those that were accepted, skipped, refused or became unknown at that very instant.
    """
    by_client: dict[int, list[int]] = defaultdict(list)
    for client_id, communication_id in rows:
        by_client[client_id].append(communication_id)
    for client_id, ids in by_client.items():
        wanted = wanting(session, client_id)
        meant = [among(session, C.id, ids), C.client_id == client_id]
        _accepted(session, now, client_id, meant, wanted)
        tell(session, now, client_id, meant, wanted=wanted)


def tell(
    session: Session,
    now: datetime,
    client_id: int,
    meant: Sequence[ColumnElement[bool]],
    *,
    wanted: Wanting | None = None,
) -> None:
    """Tell of those of the communications meant that were decided as of `now`."""
    wanted = wanted or wanting(session, client_id)
    for news, status in OURS.items():
        if wanted.by(news):
            found = _found(now).where(*meant, C.status == status, C.updated_at == now)
            publish_found(session, now, client_id=client_id, news=news, found=found, wanted=wanted)


def _accepted(
    session: Session,
    now: datetime,
    client_id: int,
    meant: Sequence[ColumnElement[bool]],
    wanted: Wanting,
) -> None:
    if wanted.by(News.SENT):
        found = _found(now).where(*meant, C.sent_at == now)
        publish_found(session, now, client_id=client_id, news=News.SENT, found=found, wanted=wanted)


def _found(now: datetime) -> Any:
    data = json_object(
        {
            "id": C.id, "member_id": C.member_id, "campaign_id": C.campaign_id,
            "run_id": C.run_id, "channel": C.channel, "status": C.status, "reason": C.reason,
            "code": C.error_code,
        }
    )  # fmt: skip
    about = literal("communication:") + cast(C.id, String)
    return select(about.label("object"), literal(now, UtcDateTime()), data.label("data"))


def _before(session: Session, ids: Sequence[int]) -> Sequence[Any]:
    stages = [getattr(C, stage) for stage in {stage: 1 for _, _, stage in FACTS.values()}]
    columns = (C.id, C.member_id, C.campaign_id, C.run_id, C.channel, C.rank, *stages)
    return session.execute(select(*columns).where(among(session, C.id, ids)).order_by(C.id)).all()


def _first(row: Any, facts: Sequence[Learnt]) -> Iterator[Told]:
    """Return what is new of one communication, in the order of how far it leads."""
    rank = max([row.rank, *[FACTS[one.fact][0] for one in facts]])
    seen: set[News] = set()
    for one in sorted(facts, key=lambda one: (FACTS[one.fact][0], one.at)):
        known = getattr(row, FACTS[one.fact][2])
        if known is None and NEWS[one.fact] not in seen:
            seen.add(NEWS[one.fact])
            about = f"communication:{row.id}"
            yield Told(NEWS[one.fact], about, one.at, _data(row, Rank(rank), one))


def _data(row: Any, rank: Rank, one: Learnt) -> Mapping[str, Any]:
    return {
        "id": row.id,
        "member_id": row.member_id,
        "campaign_id": row.campaign_id,
        "run_id": row.run_id,
        "channel": row.channel.value,
        "status": STATUS_OF[rank].value,
        "reason": Reason.UNDELIVERED.value if rank is Rank.UNDELIVERED else None,
        "code": one.code,
    }
