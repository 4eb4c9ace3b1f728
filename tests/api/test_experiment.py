"""Mirrors campaigns/experiment.py: a test from its draft to its verdict, through the API."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import ColumnElement, delete, event, select, update

from campaigns.fan_out import step
from campaigns.run import Run
from channels.adapter import EventType
from channels.channel import Channel
from communications.communication import Communication
from communications.event import CommunicationEvent
from communications.status import Rank, Status
from core.clock import ManualClock
from core.db import Sessions, write
from echelonx.wiring import Services
from members.address import MemberAddress
from members.consent import CurrentConsent
from members.member import Member
from members.order import Order, OrderKind
from tests.api.caller import Caller, refused
from tests.api.test_templates import EMAIL
from tests.factories import Factory
from webhooks.unsubscribe import act

C = Communication
PEOPLE = 260
Happen = Callable[..., list[int]]


@pytest.fixture
def campaign(api: Caller, make: Factory, sessions: Sessions, clock: ManualClock) -> int:
    """A test of two emails that everybody was drawn for and a provider took."""
    make.account("smtp", Channel.EMAIL, {})
    people(sessions, make, clock)
    templates = [api.post("/templates", EMAIL | {"name": name})["id"] for name in ("Old", "New")]
    body = {
        "name": "Subject", "type": "email", "target_audience": {"rule": "everyone"},
        "variants": [{"channel": "email", "template_id": id} for id in templates],
    }  # fmt: skip
    made = int(api.post("/campaigns", body)["id"])
    assert api.get(f"/campaigns/{made}/experiment") == {
        "goal": "click", "run_id": None, "trials": [],
    }  # fmt: skip
    api.post(f"/campaigns/{made}/launch")
    while step(sessions, clock):
        pass
    clock.advance(seconds=60)
    with write(sessions) as session:
        sent = {"status": Status.SENT, "rank": Rank.SENT, "sent_at": clock.now()}
        session.execute(update(C).where(C.campaign_id == made).values(**sent))
    clock.advance(seconds=60)
    return made


def people(sessions: Sessions, make: Factory, clock: ManualClock) -> None:
    now = clock.now()
    stamps = {"client_id": make.client_id, "created_at": now, "updated_at": now}
    with write(sessions) as session:
        some = [Member(member_id=f"p{n}", first_name="Ana", **stamps) for n in range(PEOPLE)]
        session.add_all(some)
        session.flush()
        for one in some:
            value = f"{one.member_id}@example.com"
            address = {"channel": "email", "value": value, "hash": make.hash("email", value)}
            session.add(MemberAddress(member_id=one.id, **address, **stamps))
            consent = {"channel": "email", "topic": "marketing", "state": "granted"}
            session.add(
                CurrentConsent(
                    client_id=make.client_id, member_id=one.id, occurred_at=now, **consent
                )
            )


@pytest.fixture
def happen(sessions: Sessions, campaign: int) -> Happen:
    """Set columns of the first messages of the arms; return their ids."""

    def go(*numbers: int, **values: Any) -> list[int]:
        meant: list[int] = []
        with write(sessions) as session:
            versions = select(C.template_version_id).where(C.campaign_id == campaign).distinct()
            for version, number in zip(sorted(session.scalars(versions)), numbers, strict=True):
                mine: ColumnElement[bool] = C.template_version_id == version
                rows = select(C.id).where(C.campaign_id == campaign, mine).order_by(C.id)
                meant += session.scalars(rows.limit(number))
            if values:
                session.execute(update(C).where(C.id.in_(meant)).values(**values))
        return meant

    return go


def trial(api: Caller, campaign: int, **query: str) -> Any:
    told = api.get(f"/campaigns/{campaign}/experiment", **query)
    assert told["run_id"]
    (one,) = told["trials"]
    assert one["channel"] == "email"
    return one


def test_a_test_is_set_up_sent_and_decided(
    api: Caller, clock: ManualClock, campaign: int, happen: Happen
) -> None:
    before = trial(api, campaign)
    assert (before["verdict"], before["recommendation"]) == ("too_early", "continue")
    a, b = before["arms"]
    assert a["assigned"] + b["assigned"] == PEOPLE
    assert (a["messages"], b["messages"]) == (a["assigned"], b["assigned"])
    assert min(a["messages"], b["messages"]) >= 100
    happen(8, 40, clicked_at=clock.now())
    happen(60, 90, machine_clicked=True)

    after = trial(api, campaign)

    assert (after["verdict"], after["recommendation"], after["leader"]) == ("clear", "stop", "B")
    a, b = after["arms"]
    assert (a["name"], a["goals"], b["goals"]) == ("A", 8, 40)
    assert b["rate"] == pytest.approx(40 / b["messages"])
    assert b["low"] < b["rate"] < b["high"]
    assert b["uplift"]["against"] == "A"
    assert 0 < b["uplift"]["low"] < b["uplift"]["value"] < b["uplift"]["high"]
    assert a["uplift"]["high"] < 0
    assert after["p_value"] < 0.05
    assert after["says"].startswith("Clear: ")


def test_orders_are_a_goal_too(
    api: Caller, sessions: Sessions, clock: ManualClock, make: Factory, campaign: int,
    happen: Happen,
) -> None:  # fmt: skip
    clicks = happen(30, 30, clicked_at=clock.now())
    with write(sessions) as session:
        for number, id in enumerate([*clicks[:3], *clicks[30:], clicks[30]]):
            order = {
                "order_id": f"o{number}", "member_id": session.get_one(C, id).member_id,
                "kind": OrderKind.ORDER, "amount": 9, "currency": "EUR", "communication_id": id,
            }  # fmt: skip
            session.add(
                Order(
                    client_id=make.client_id, occurred_at=clock.now(), created_at=clock.now(),
                    **order,
                )
            )  # fmt: skip

    told = trial(api, campaign, goal="order")

    assert [arm["goals"] for arm in told["arms"]] == [3, 30]
    assert told["leader"] == "B"
    assert [arm["goals"] for arm in trial(api, campaign)["arms"]] == [30, 30]


def test_who_leaves_or_complains_is_counted_beside_it(
    api: Caller, product: Services, sessions: Sessions, clock: ManualClock, make: Factory,
    happen: Happen, campaign: int,
) -> None:  # fmt: skip
    left, angry = happen(1, 25), happen(2, 0)
    with write(sessions) as session:
        for id in left:
            act(session, clock, product.hasher, session.get_one(C, id), one_click=True)
        for id in angry:
            for told in "ab":
                session.add(
                    CommunicationEvent(
                        client_id=make.client_id, communication_id=id, source="sendgrid",
                        dedup_key=f"{id}{told}", type=EventType.COMPLAINED,
                        occurred_at=clock.now(), received_at=clock.now(),
                    )
                )  # fmt: skip

    a, b = trial(api, campaign)["arms"]

    assert [(one["unsubscribed"], one["complained"], one["worse"]) for one in (a, b)] == [
        (1, 2, []),
        (25, 0, ["unsubscribed"]),
    ]


def test_people_who_are_missing_from_one_arm_make_it_no_test(
    api: Caller, sessions: Sessions, clock: ManualClock, campaign: int, happen: Happen
) -> None:
    happen(8, 40, clicked_at=clock.now())
    gone = happen(60, 0)
    with write(sessions) as session:
        session.execute(delete(C).where(C.id.in_(gone)))

    told = trial(api, campaign)

    assert (told["verdict"], told["leader"]) == ("sample_ratio_mismatch", None)
    assert told["sample_ratio"] < 0.001
    assert told["remedy"]


def test_days_after_its_end_nothing_more_can_come(
    api: Caller, sessions: Sessions, clock: ManualClock, campaign: int, happen: Happen
) -> None:
    happen(20, 20, clicked_at=clock.now())
    with write(sessions) as session:
        session.execute(update(Run).values(finished_at=clock.now()))
    clock.advance(seconds=timedelta(days=3, minutes=-1).total_seconds())
    assert trial(api, campaign)["recommendation"] == "continue"
    clock.advance(seconds=60)

    assert trial(api, campaign)["recommendation"] == "no_difference"
    assert trial(api, campaign, goal="order")["recommendation"] == "continue"


def test_it_is_one_statement_and_only_its_clients(
    api: Caller, stranger: Caller, product: Services, campaign: int
) -> None:
    refused(stranger.ask("GET", f"/campaigns/{campaign}/experiment"), 404)
    refused(api.ask("GET", f"/campaigns/{campaign}/experiment", goal="fame"), 422)
    asked: list[str] = []

    def hear(*args: Any) -> None:
        asked.append(args[2])

    engine = product.engine
    event.listen(engine, "before_cursor_execute", hear)
    trial(api, campaign)
    event.remove(engine, "before_cursor_execute", hear)
    assert sum("FROM communications" in one for one in asked) == 1
