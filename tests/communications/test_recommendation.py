"""Mirrors communications/recommendation.py: advice with its evidence, and nothing sent."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from communications.communication import Communication
from communications.recommendation import (
    Recommendation,
    Sent,
    best_channel,
    best_hour,
    recommendations,
)
from core.clock import ManualClock
from core.db import Sessions, read, write
from members.errors import MemberNotFoundError
from members.member import Member, Tier
from members.score import Computed, ScoreKind, store_scores
from members.tier_rule import GivenRule, set_tier_rules
from tests.factories import Factory

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


class Adviser:
    """Asks about members of one client."""

    def __init__(self, sessions: Sessions, clock: ManualClock, client_id: int) -> None:
        self.sessions, self.clock, self.client_id = sessions, clock, client_id
        self.make = Factory(sessions, clock, client_id)

    def ask(self, member_id: int) -> list[Recommendation]:
        with read(self.sessions) as session:
            return recommendations(
                session, self.clock, client_id=self.client_id, member_id=member_id
            )

    def actions(self, member_id: int) -> list[str]:
        return [one.value for one in self.ask(member_id) if one.kind == "action"]

    def score(self, member_id: int, kind: ScoreKind, value: float) -> None:
        with write(self.sessions) as session:
            store_scores(
                session,
                self.clock,
                client_id=self.client_id,
                kind=kind,
                version="test",
                computed=[Computed(member_id, value, {"top": [{"reason": "visit", "points": 1}]})],
            )


@pytest.fixture
def adviser(sessions: Sessions, clock: ManualClock, client_id: int) -> Adviser:
    return Adviser(sessions, clock, client_id)


def test_the_channel_that_is_answered_at_the_hour_it_is_answered(adviser: Adviser) -> None:
    ana = adviser.make.member(timezone="Europe/Berlin")
    adviser.make.address(ana, "email")
    adviser.make.address(ana, "sms")
    evening = NOON - timedelta(days=3) + timedelta(hours=6)  # 19:00 in Berlin
    answered = [adviser.make.message(ana, "sms", read_at=evening) for _ in range(4)]
    for _ in range(6):
        adviser.make.message(ana, "email")
    channel, hour = adviser.ask(ana)

    assert (channel.value, channel.numbers["answered"], channel.numbers["sent"]) == ("sms", 4, 4)
    assert channel.messages == hour.messages == answered[::-1]
    assert hour.value == "19:00"
    assert hour.numbers == {"in_hour": 4, "answers": 4, "timezone": "Europe/Berlin"}


def test_a_channel_without_consent_or_address_is_not_advised(adviser: Adviser) -> None:
    ana = adviser.make.member()
    adviser.make.message(ana, "sms", read_at=NOON)

    assert [one.kind for one in adviser.ask(ana)] == ["hour"]


def test_what_to_do_follows_from_the_numbers(adviser: Adviser) -> None:
    ana = adviser.make.member()
    assert adviser.actions(ana) == []
    adviser.score(ana, ScoreKind.ENGAGEMENT, 80)
    assert adviser.actions(ana) == ["make a first offer"]
    adviser.score(ana, ScoreKind.LIFETIME_VALUE, 120)
    assert adviser.actions(ana) == ["ask for a referral"]
    adviser.score(ana, ScoreKind.CHURN_RISK, 0.7)
    assert adviser.actions(ana) == ["win back", "ask for a referral"]


def test_who_is_near_a_tier_is_invited(adviser: Adviser) -> None:
    near, far = adviser.make.member(), adviser.make.member()
    with write(adviser.sessions) as session:
        rule = GivenRule(Tier.PREMIUM, "total_spend >= 100")
        set_tier_rules(session, adviser.clock, client_id=adviser.client_id, rules=[rule])
        for one, spend in ((near, 85), (far, 20)):
            session.execute(
                update(Member).where(Member.id == one).values(total_spend=Decimal(spend))
            )

    assert adviser.actions(near) == ["invite to premium"]
    assert adviser.actions(far) == []


def test_nothing_is_sent_and_others_members_are_unknown(adviser: Adviser) -> None:
    ana = adviser.make.member()
    adviser.make.address(ana)
    adviser.make.message(ana)
    adviser.ask(ana)
    with read(adviser.sessions) as session:
        assert session.scalar(select(func.count()).select_from(Communication)) == 1
    with pytest.raises(MemberNotFoundError):
        adviser.ask(adviser.make.another_client().member())


sent = st.lists(
    st.builds(
        Sent,
        st.integers(1, 1000),
        st.sampled_from(["email", "sms"]),
        st.lists(st.integers(0, 1000), max_size=2).map(
            lambda hours: tuple(NOON - timedelta(hours=hour) for hour in hours)
        ),
    ),
    max_size=20,
)


@given(sent, sent)
def test_evidence_is_among_what_was_sent(own: list[Sent], everybody: list[Sent]) -> None:
    channel = best_channel(["email", "sms"], own, own + everybody)
    hour = best_hour(BERLIN, own, own + everybody)

    assert channel is not None
    assert 0 < channel.numbers["expected_rate"] < 1
    assert all(
        rate <= channel.numbers["expected_rate"] for rate in channel.numbers["others"].values()
    )
    for one in filter(None, (channel, hour)):
        assert set(one.messages) <= {each.id for each in own}
    assert (hour is None) == (not any(one.answers for one in own + everybody))


def test_one_answer_of_a_member_does_not_outweigh_everybody() -> None:
    everybody = [Sent(n, "email", (NOON,)) for n in range(50)]
    everybody += [Sent(n, "sms", ()) for n in range(50)]
    own = [Sent(1000, "sms", (NOON,))]
    found = best_channel(["email", "sms"], own, everybody)

    assert found is not None
    assert found.value == "email"
