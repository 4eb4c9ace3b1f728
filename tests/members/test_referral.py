"""Mirrors members/referral.py: who brought whom, what it earned, and what looks wrong."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from accounts.client import Client
from core.clock import ManualClock
from core.db import Sessions, write
from members.errors import ReferralError
from members.member import Member
from members.referral import CODE_LENGTH, Tree, refer, referral_code, referrals
from members.spending import record_order, record_refund
from tests.factories import Factory


class Club:
    """Members who bring one another and buy."""

    def __init__(self, make: Factory) -> None:
        self.make = make

    def code(self, member_id: int) -> str:
        with write(self.make.sessions) as session:
            return referral_code(session, client_id=self.make.client_id, member_id=member_id)

    def bring(self, member_id: int, by: int) -> None:
        code = self.code(by)
        with write(self.make.sessions) as session:
            refer(
                session, self.make.clock,
                client_id=self.make.client_id, member_id=member_id, code=code,
            )  # fmt: skip

    def buy(self, member_id: int, order_id: str, amount: str) -> None:
        with write(self.make.sessions) as session:
            record_order(
                session, self.make.clock, self.make.hasher, client_id=self.make.client_id,
                member_id=member_id, order_id=order_id, amount=Decimal(amount), currency="EUR",
            )  # fmt: skip

    def refund(self, order_id: str, amount: str | None = None) -> None:
        with write(self.make.sessions) as session:
            record_refund(
                session, self.make.clock, self.make.hasher, client_id=self.make.client_id,
                order_id=order_id, refund_id=f"R-{order_id}",
                amount=Decimal(amount) if amount else None,
            )  # fmt: skip

    def tree(self, member_id: int) -> Tree:
        with write(self.make.sessions) as session:
            return referrals(session, client_id=self.make.client_id, member_id=member_id)


@pytest.fixture
def make(sessions: Sessions, clock: ManualClock, client_id: int) -> Factory:
    return Factory(sessions, clock, client_id)


@pytest.fixture
def club(make: Factory) -> Club:
    return Club(make)


def test_a_code_stays_and_is_nobody_elses(club, make) -> None:
    members = [make.member() for _ in range(20)]
    codes = [club.code(one) for one in members]

    assert [club.code(one) for one in members] == codes
    assert len(set(codes)) == 20
    assert {len(code) for code in codes} == {CODE_LENGTH}


def test_a_code_is_read_as_people_write_it(club, make) -> None:
    ana, ben = make.member(), make.member()
    code = club.code(ana)
    with write(make.sessions) as session:
        found = refer(
            session, make.clock, client_id=make.client_id, member_id=ben, code=f" {code.lower()} "
        )
        assert found.id == ana


def test_the_tree_has_no_rings_and_each_member_one_referrer(club, make) -> None:
    ana, ben, cleo, dan = (make.member() for _ in range(4))
    club.bring(ben, by=ana)
    club.bring(cleo, by=ben)
    club.bring(ben, by=ana)

    for member_id, by in ((ana, ana), (ana, cleo), (ana, ben), (cleo, dan)):
        with pytest.raises(ReferralError):
            club.bring(member_id, by=by)


def test_codes_of_another_client_lead_nowhere(club, make) -> None:
    stranger, ana = make.another_client().member(referral_code="STRANGER"), make.member()
    with pytest.raises(ReferralError), write(make.sessions) as session:
        refer(session, make.clock, client_id=make.client_id, member_id=ana, code="STRANGER")
    assert stranger != ana


def test_a_ring_that_an_import_made_ends_the_walk(club, make) -> None:
    ana, ben = make.member(), make.member()
    with write(make.sessions) as session:
        session.get_one(Member, ana).referred_by = ben
        session.get_one(Member, ben).referred_by = ana

    club.bring(make.member(), by=ana)

    assert club.tree(ana).levels[0].members == 2


def test_levels_count_members_buyers_and_revenue(club, make) -> None:
    ana, ben, cleo, dan = (make.member() for _ in range(4))
    club.bring(ben, by=ana)
    club.bring(cleo, by=ana)
    club.bring(dan, by=ben)
    club.buy(ben, "B-1", "100")
    club.buy(dan, "D-1", "40")
    club.buy(dan, "D-2", "10")
    club.refund("D-1", "15")

    found = club.tree(ana)

    assert [(one.depth, one.members, one.bought, one.revenue) for one in found.levels] == [
        (1, 2, 1, Decimal(100)),
        (2, 1, 1, Decimal(35)),
    ]
    assert (found.commission, found.currency) == (Decimal(10), "EUR")
    assert (found.code, club.tree(cleo).code) == (club.code(ana), None)


def test_only_the_first_order_earns_and_a_refund_takes_back(club, make) -> None:
    ana, ben = make.member(), make.member()
    club.buy(ana, "A-1", "500")
    club.bring(ben, by=ana)
    club.buy(ben, "B-1", "200")
    club.buy(ben, "B-2", "900")
    assert club.tree(ana).commission == 20

    club.refund("B-1", "50")
    assert club.tree(ana).commission == 15
    club.refund("B-2")
    assert club.tree(ana).commission == 15


def test_the_share_rises_with_those_who_bought(club, make) -> None:
    ana = make.member()
    earned = []
    for number in range(7):
        brought = make.member()
        club.bring(brought, by=ana)
        before = club.tree(ana).commission
        club.buy(brought, f"O-{number}", "100")
        earned.append(club.tree(ana).commission - before)

    assert earned == [10] * 5 + [15] * 2
    with write(make.sessions) as session:
        session.execute(update(Client).values(settings={"referral_rates": [[0, "0.5"]]}))
    ben, cleo = make.member(), make.member()
    club.bring(cleo, by=ben)
    club.buy(cleo, "C-1", "100")
    assert club.tree(ben).commission == 50


def test_below_the_lowest_step_nothing_is_earned(club, make) -> None:
    with write(make.sessions) as session:
        session.execute(update(Client).values(settings={"referral_rates": [[1, "0.5"]]}))
    ana = make.member()
    for number in range(2):
        brought = make.member()
        club.bring(brought, by=ana)
        club.buy(brought, f"O-{number}", "100")

    assert (club.tree(ana).commission, club.tree(ana).hints) == (50, [])


def test_what_looks_wrong_is_said(club, make) -> None:
    ana = make.member(email="ana@gmail.com")
    for number in range(5):
        one = make.member(email=f"a.na+{number}@gmail.com", created_at=make.clock.now())
        club.bring(one, by=ana)
        club.buy(one, f"O-{number}", "10")
        club.refund(f"O-{number}")

    hints = " ".join(club.tree(ana).hints)

    assert "5 of these addresses lead to a mailbox of another" in hints
    assert "5 of them came within an hour" in hints
    assert "5 of them were refunded" in hints
    honest = make.member(email="zoe@example.com")
    for number in range(5):
        at = make.clock.now() - timedelta(days=number)
        club.bring(make.member(email=f"p{number}@example.com", created_at=at), by=honest)
    assert club.tree(honest).hints == []
