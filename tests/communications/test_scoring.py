"""Mirrors communications/scoring.py: everybody once a day, whoever is active soon after."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from accounts.client import Client, ClientStatus
from communications import scoring
from communications.scoring import advance, clients_due, learn
from core.address import AddressHasher
from core.clock import ManualClock
from core.db import Sessions, read, write
from members.member import Member, Tier
from members.score import Score, ScoreKind, ScoreModel, models_of
from members.tier_rule import GivenRule, set_tier_rules
from members.tracking import ToldEvent, track
from tests.factories import Factory

HASHER = AddressHasher(b"a key for tests")


class Office:
    """One client's daily work."""

    def __init__(self, sessions: Sessions, clock: ManualClock, client_id: int) -> None:
        self.sessions, self.clock, self.client_id = sessions, clock, client_id
        self.make = Factory(sessions, clock, client_id)

    def did(self, key: str, name: str = "visit") -> None:
        told = ToldEvent(name, f"{key}{self.clock.now()}", {"member_id": key})
        with write(self.sessions) as session:
            track(session, self.clock, HASHER, client_id=self.client_id, events=[told])

    def step(self) -> bool:
        with read(self.sessions) as session:
            learnt = learn(session, self.clock, client_id=self.client_id)
        with write(self.sessions) as session:
            return advance(session, self.clock, HASHER, client_id=self.client_id, learnt=learnt)

    def due(self) -> list[int]:
        with read(self.sessions) as session:
            return clients_due(session, self.clock)

    def engagement(self) -> list[float | None]:
        with read(self.sessions) as session:
            return list(session.scalars(select(Member.engagement_score).order_by(Member.id)))


@pytest.fixture
def office(sessions: Sessions, clock: ManualClock, client_id: int) -> Office:
    return Office(sessions, clock, client_id)


def test_everybody_is_computed_chunk_by_chunk_once_a_day(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "CHUNK", 2)
    for key in "abcde":
        office.make.member(member_id=key)
        office.did(key)
    assert office.due() == [office.client_id]

    assert [office.step() for _ in range(3)] == [True, True, False]
    assert office.engagement() == [9.5] * 5
    with read(office.sessions) as session:
        kinds = session.execute(select(Score.kind, func.count()).group_by(Score.kind)).all()
        assert {kind: n for kind, n in kinds} == {  # noqa: C416
            ScoreKind.ENGAGEMENT: 5,
            ScoreKind.CHURN_RISK: 5,
        }
        assert models_of(session, office.client_id).keys() == {
            ScoreKind.LIFETIME_VALUE,
            ScoreKind.CHURN_RISK,
        }


def test_scores_decay_by_themselves_from_day_to_day(office: Office) -> None:
    office.make.member(member_id="ana")
    office.did("ana")
    office.step()
    office.clock.advance(days=30)
    assert office.due() == [office.client_id]
    office.step()

    assert office.engagement() == [4.9]


def test_whoever_is_active_need_not_wait_for_the_next_day(office: Office) -> None:
    office.make.member(member_id="ana")
    office.make.member(member_id="bo")
    with write(office.sessions) as session:
        rule = GivenRule(Tier.PREMIUM, "engagement_score > 5")
        set_tier_rules(session, office.clock, client_id=office.client_id, rules=[rule])
    office.step()
    office.step()
    assert office.due() == []
    office.clock.advance(minutes=2)
    office.did("ana")
    office.clock.advance(minutes=3)

    assert office.due() == [office.client_id]
    assert office.step() is False
    assert office.engagement() == [9.5, 0.0]
    with read(office.sessions) as session:
        tiers = session.scalars(select(Member.tier).order_by(Member.id)).all()
    assert tiers == [Tier.PREMIUM, Tier.BASIC]


def test_models_are_fitted_again_after_a_week(office: Office) -> None:
    office.step()
    with read(office.sessions) as session:
        first = session.scalars(select(ScoreModel.fitted_at)).all()
        assert learn(session, office.clock, client_id=office.client_id) == []
    office.clock.advance(days=7)
    office.step()

    with read(office.sessions) as session:
        again = session.scalars(select(ScoreModel.fitted_at)).all()
    assert again == [at + timedelta(days=7) for at in first]


def test_a_second_worker_finds_nothing_while_one_is_at_it(office: Office) -> None:
    office.make.member()
    if office.sessions.kw["bind"].dialect.name == "sqlite":
        return  # one writer at a time anyway
    office.step()
    office.clock.advance(days=1)
    with office.sessions() as first, first.begin():
        assert advance(first, office.clock, HASHER, client_id=office.client_id) is False
        with office.sessions() as second, second.begin():
            assert scoring._claimed(second, office.clock, office.client_id) is None


def test_clients_that_cannot_use_the_engine_cost_nothing(office: Office) -> None:
    with write(office.sessions) as session:
        session.get_one(Client, office.client_id).status = ClientStatus.SUSPENDED

    assert office.due() == []
