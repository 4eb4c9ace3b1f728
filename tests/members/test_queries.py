"""Mirrors members/queries.py: pages of who is meant by what happened, however they are found."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event

from core.clock import ManualClock
from core.condition.text import parse
from core.db import Sessions, read, write
from core.page import Walk
from members.event import EventDay
from members.member import Member
from members.queries import members_page
from tests.conftest import only_postgresql
from tests.factories import Factory

MADE = 12
TWICE = "did purchase at least 2 times in the last 30 days"
RULES = (
    "clicked within 30 days",
    'clicked within 30 days and not has tag "a"',
    f"clicked within 30 days and {TWICE}",
    TWICE,
    f"{TWICE} or did purchase at least 3 times in the last 90 days",
)


@pytest.fixture
def lively(sessions: Sessions, clock: ManualClock, client_id: int) -> list[int]:
    """Members that clicked and bought twice lately, among some that did once, or long ago."""
    make = Factory(sessions, clock, client_id)
    stranger = make.another_client()
    stranger.message(stranger.member(), clicked_at=clock.now())
    ids = [make.member() for _ in range(MADE)]
    for place, one in enumerate(ids):
        for days in (1, 2) if place % 3 else (90, 91):
            make.message(one, clicked_at=clock.now() - timedelta(days=days))
        _bought(sessions, clock, client_id, one, times=2 if place % 3 else 1)
    with write(sessions) as session:
        session.get_one(Member, ids[1]).deleted_at = clock.now()
    return [one for place, one in enumerate(ids) if place % 3 and place != 1]


def _bought(
    sessions: Sessions, clock: ManualClock, client_id: int, member_id: int, *, times: int
) -> None:
    """Once a day."""
    with write(sessions) as session:
        for number in range(times):
            at = clock.now() - timedelta(days=number)
            session.add(
                EventDay(
                    client_id=client_id, name="purchase", day=at.date(), member_id=member_id,
                    count=1, amount=Decimal(1), first_at=at, last_at=at,
                )
            )  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(("few", "near"), [(50_000, 5_000), (-1, 5_000), (-1, 4), (-1, 1)])
def test_pages_of_who_did_something_hold_everybody_once(
    sessions: Sessions, clock: ManualClock, client_id: int, lively: list[int], rule: str,
    few: int, near: int, monkeypatch: pytest.MonkeyPatch, *, descending: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr("members.rule.FEW", few)
    monkeypatch.setattr("members.queries.NEAR", near)
    pages: list[list[int]] = []
    with read(sessions) as session:
        while not pages or pages[-1]:
            edge = (pages[-1][-1],) if pages else None
            walk = Walk(descending=descending, edge=edge)
            page = members_page(
                session, client_id, condition=parse(rule), now=clock.now(), walk=walk, limit=3
            )
            pages.append([one.id for one in page])

    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert [one for page in pages for one in page] == sorted(lively, reverse=descending)


@pytest.mark.parametrize(("rule", "among_them"), list(zip(RULES, (1, 1, 1, 1, 0), strict=True)))
@only_postgresql  # SQLite reads each set of ids once anyway
def test_who_did_something_rare_is_looked_for_there(
    sessions: Sessions, clock: ManualClock, client_id: int, rule: str, among_them: int
) -> None:
    """Not among all members in turn, who may all be walked before the first is met."""
    seen: list[str] = []
    with read(sessions) as session:
        event.listen(
            session.connection(),
            "before_cursor_execute",
            lambda _c, _u, said, *_: seen.append(said),
        )
        members_page(session, client_id, condition=parse(rule), now=clock.now())

    assert seen[-1].count("JOIN LATERAL") == among_them
