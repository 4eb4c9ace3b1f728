"""Mirrors communications/engagement.py and activity.py: what people do, and machines do not."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.client import Client
from channels.adapter import EventType, ProviderEvent
from communications.activity import Act, Activity, activity, ago
from communications.engagement import (
    Formula,
    compute_engagement,
    engagement,
    formula_of,
    store_engagement,
)
from communications.receipt import learn_facts
from core.address import AddressHasher
from core.clock import ManualClock
from core.db import Sessions, read, write
from members.member import Member, Tier
from members.score import Score, ScoreKind, scores_of
from members.tier import set_tier
from members.tracking import ToldEvent, track
from tests.factories import Factory

HASHER = AddressHasher(b"a key for tests")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Desk:
    """One client whose members are scored."""

    def __init__(self, sessions: Sessions, clock: ManualClock, client_id: int) -> None:
        self.sessions, self.clock, self.client_id = sessions, clock, client_id
        self.make = Factory(sessions, clock, client_id)

    def did(self, key: str, *names: str, ago: float = 0.0, times: int = 1) -> None:
        events = [
            ToldEvent(name, f"{key}{name}{ago}{n}", {"member_id": key}, {}, self.before(ago))
            for name in names
            for n in range(times)
        ]
        with write(self.sessions) as session:
            track(session, self.clock, HASHER, client_id=self.client_id, events=events)

    def before(self, days: float) -> datetime:
        return self.clock.now() - timedelta(days=days)

    def store(self, *ids: int) -> list[int]:
        with write(self.sessions) as session:
            return store_engagement(
                session, self.clock, client_id=self.client_id, member_ids=list(ids)
            )

    def score(self, member_id: int) -> Score:
        self.store(member_id)
        with read(self.sessions) as session:
            return scores_of(session, self.client_id, member_id)[ScoreKind.ENGAGEMENT]


@pytest.fixture
def desk(sessions: Sessions, clock: ManualClock, client_id: int) -> Desk:
    return Desk(sessions, clock, client_id)


def test_what_people_do_counts_with_its_reasons(desk: Desk) -> None:
    ana = desk.make.member(member_id="ana")
    now = desk.clock.now()
    desk.make.message(ana, read_at=now, clicked_at=now)
    desk.make.message(ana, replied_at=now)
    desk.did("ana", "purchase", "visit")
    found = desk.score(ana)

    # 12 + 10 + 6 + 3 + 2 = 33 points
    assert found.value == 66.7
    assert [one["reason"] for one in found.reasons["top"]] == [
        "reply",
        "purchase",
        "click",
        "visit",
        "read",
    ]
    assert sum(one["points"] for one in found.reasons["top"]) == pytest.approx(66.7, abs=0.3)
    assert found.version == "engagement-1/30d"
    with read(desk.sessions) as session:
        assert session.get_one(Member, ana).engagement_score == 66.7


def test_machines_and_what_is_done_to_a_member_count_for_nothing(desk: Desk) -> None:
    ana = desk.make.member(member_id="ana")
    message = desk.make.message(ana)
    with write(desk.sessions) as session:
        for kind in (EventType.OPENED, EventType.CLICKED):
            told = {message: seen(kind, machine=True)}
            learn_facts(session, desk.clock, client_id=desk.client_id, told=told, source="tracking")
        set_tier(
            session, desk.clock, HASHER, client_id=desk.client_id, member_id=ana, tier=Tier.ELITE
        )
    desk.did("ana", "refund")

    assert desk.score(ana).value == 0
    assert desk.score(ana).reasons == {"top": []}
    with write(desk.sessions) as session:
        told = {message: seen(EventType.CLICKED, machine=False)}
        learn_facts(session, desk.clock, client_id=desk.client_id, told=told, source="tracking")
    assert "click" in [one["reason"] for one in desk.score(ana).reasons["top"]]


def seen(kind: EventType, *, machine: bool) -> ProviderEvent:
    return ProviderEvent(
        type=kind,
        dedup_key=f"{kind}:{machine}",
        occurred_at=NOON,
        reference=None,
        provider_id=None,
        provider_status=None,
        machine=machine,
    )


def test_points_halve_every_half_life(desk: Desk) -> None:
    ana, bo = desk.make.member(member_id="ana"), desk.make.member(member_id="bo")
    desk.did("ana", "purchase", ago=30)
    desk.did("bo", "purchase", ago=60)

    assert desk.score(ana).value == 15.4  # 5 points
    assert desk.score(bo).value == 8.0  # 2.5 points


def test_a_clients_own_half_life_is_used_and_told(desk: Desk) -> None:
    ana = desk.make.member(member_id="ana")
    desk.did("ana", "purchase", ago=60)
    with write(desk.sessions) as session:
        client = session.get_one(Client, desk.client_id)
        client.settings = {"engagement_half_life_days": 60}
    found = desk.score(ana)

    assert (found.value, found.version) == (15.4, "engagement-1/60d")


@pytest.mark.parametrize("told", [0, -3, "soon", True, 10_000, None])
def test_a_half_life_that_is_none_is_passed_over(told: Any, desk: Desk) -> None:
    with write(desk.sessions) as session:
        session.get_one(Client, desk.client_id).settings = {"engagement_half_life_days": told}
    with read(desk.sessions) as session:
        assert formula_of(session, desk.client_id) == Formula(30)


def test_a_hundred_page_views_are_one_visit(desk: Desk) -> None:
    ana, bo = desk.make.member(member_id="ana"), desk.make.member(member_id="bo")
    desk.did("ana", "page", times=100)
    desk.did("bo", "page", times=3)

    assert desk.score(ana).value == desk.score(bo).value


def test_computing_again_gives_what_is_stored_and_changes_nothing(desk: Desk) -> None:
    ana = desk.make.member(member_id="ana")
    desk.did("ana", "purchase", "visit", ago=3.3)
    stored = desk.score(ana)
    with read(desk.sessions) as session:
        (again,) = compute_engagement(
            session, desk.clock, client_id=desk.client_id, member_ids=[ana]
        )

    assert (again.value, again.reasons) == (stored.value, stored.reasons)
    assert desk.store(ana) == []
    desk.clock.advance(days=10)
    assert desk.store(ana) == [ana]


def set_score(desk: Desk, member_id: int, score: float | None) -> None:
    """What an import or an edit does."""
    with write(desk.sessions) as session:
        member = session.get_one(Member, member_id)
        member.engagement_score, member.updated_at = score, desk.clock.now()


def test_a_score_that_was_imported_stays_fades_and_is_added_to(desk: Desk) -> None:
    ana = desk.make.member(member_id="ana")
    desk.did("ana", "purchase", ago=1)
    set_score(desk, ana, 63.2)  # thirty points, the purchase among them

    assert [desk.score(ana).value, desk.score(ana).value] == [63.2, 63.2]
    assert desk.score(ana).reasons["given"]["score"] == 63.2
    desk.clock.advance(days=30)
    assert desk.score(ana).value == 39.3  # 15 points
    desk.did("ana", "purchase")
    found = desk.score(ana)
    assert found.value == 56.5  # 25 points
    assert [one["reason"] for one in found.reasons["top"]] == ["given score", "purchase"]


@pytest.mark.parametrize(("score", "kept"), [(100, 99.9), (0, 0), (None, 28.3)])
def test_a_score_set_by_hand_takes_the_place_of_what_was_done_before(
    score: float | None, kept: float, desk: Desk
) -> None:
    ana = desk.make.member(member_id="ana")
    desk.did("ana", "purchase")
    desk.clock.advance(seconds=1)
    assert desk.score(ana).value == 28.3
    set_score(desk, ana, score)

    assert desk.score(ana).value == kept
    desk.clock.advance(days=301)
    assert desk.score(ana).value == 0
    assert desk.score(ana).reasons == {"top": []}


def test_another_clients_activity_is_not_seen(desk: Desk) -> None:
    ana = desk.make.member(member_id="ana")
    desk.did("ana", "purchase")
    other = desk.make.another_client()
    with read(desk.sessions) as session:
        seen = activity(
            session, client_id=other.client_id, since=ago(90, NOON), until=NOON, member_ids=[ana]
        )
    assert seen == {}


acts = st.lists(
    st.builds(
        Act,
        st.sampled_from(["read", "click", "reply", "purchase", "visit", "page", "form"]),
        st.floats(0, 299).map(lambda days: NOON - timedelta(days=days)),
        st.integers(1, 50),
    ),
    max_size=40,
)


@given(acts)
def test_a_score_is_from_0_to_100_and_its_reasons_come_to_no_more(did: Sequence[Act]) -> None:
    score, top = engagement(Formula(), Activity(list(did)), NOON)

    assert 0 <= score <= 100
    assert len(top) <= 5
    assert sum(one["points"] for one in top) <= score + 0.5
    assert [one["points"] for one in top] == sorted((one["points"] for one in top), reverse=True)


@given(acts, st.randoms(use_true_random=False))
def test_order_does_not_matter_and_more_is_never_less(did: Sequence[Act], dice: Any) -> None:
    shuffled = list(did)
    dice.shuffle(shuffled)
    score, _ = engagement(Formula(), Activity(list(did)), NOON)

    assert engagement(Formula(), Activity(shuffled), NOON)[0] == score
    assert engagement(Formula(), Activity([*did, Act("click", NOON)]), NOON)[0] >= score


@given(acts, st.floats(0, 300))
def test_who_does_nothing_more_loses_points(did: Sequence[Act], days: float) -> None:
    later = NOON + timedelta(days=days)

    assert (
        engagement(Formula(), Activity(list(did)), later)[0]
        <= engagement(Formula(), Activity(list(did)), NOON)[0]
    )
