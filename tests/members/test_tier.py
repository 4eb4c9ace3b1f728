"""Mirrors members/tier.py, tier_step.py, tier_rule.py and tier_near.py."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, update

from accounts.client import create_client
from core.address import AddressHasher
from core.clock import ManualClock
from core.condition.ast import Compare, Did, Not, Op
from core.condition.check import ConditionError
from core.db import Sessions, read, write
from members.edit import create_member, update_member
from members.errors import TierRuleError
from members.event import Event
from members.member import Member, Tier
from members.queries import member
from members.segment import condition_of, create_segment
from members.tier import Evaluation, evaluate_tiers, foresee_tiers, set_tier
from members.tier_change import tier_changes_page
from members.tier_near import eased, falling_members, members_by_tier, near_members
from members.tier_rule import GivenRule, TierRule, set_tier_rules, tier_rules
from members.tier_step import RANKS, Stand, TierStep, step

HASHER = AddressHasher(b"a key for tests")
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RULES = (
    GivenRule(Tier.PREMIUM, "total_spend >= 100", grace_days=10),
    GivenRule(Tier.ELITE, "total_spend >= 1000", grace_days=30),
)


class Shop:
    """One client with the rules above."""

    def __init__(self, sessions: Sessions, clock: ManualClock, client_id: int) -> None:
        self.sessions, self.clock, self.client_id = sessions, clock, client_id
        self.rules(*RULES)

    def rules(self, *rules: GivenRule) -> list[TierRule]:
        with write(self.sessions) as session:
            return set_tier_rules(session, self.clock, client_id=self.client_id, rules=rules)

    def member(self, spend: int | None, **fields: Any) -> int:
        with write(self.sessions) as session:
            made = create_member(session, self.clock, HASHER, client_id=self.client_id, **fields)
        self.spend(made.id, spend)
        return made.id

    def spend(self, member_id: int, amount: int | None) -> None:
        with write(self.sessions) as session:
            session.execute(
                update(Member)
                .where(Member.id == member_id)
                .values(total_spend=None if amount is None else Decimal(amount))
            )

    def evaluate(self, **which: Any) -> Evaluation:
        with write(self.sessions) as session:
            return evaluate_tiers(session, self.clock, HASHER, client_id=self.client_id, **which)

    def foresee(self) -> Evaluation:
        with read(self.sessions) as session:
            return foresee_tiers(session, self.clock, client_id=self.client_id)

    def tier(self, member_id: int) -> Tier:
        with read(self.sessions) as session:
            return member(session, self.client_id, member_id).tier

    def history(self, member_id: int) -> list[tuple[str, str, str]]:
        with read(self.sessions) as session:
            rows = tier_changes_page(session, self.client_id, member_id)
            return [(row.from_tier.value, row.to_tier.value, row.reason) for row in rows]


@pytest.fixture
def shop(sessions: Sessions, clock: ManualClock, client_id: int) -> Shop:
    return Shop(sessions, clock, client_id)


def test_a_better_tier_is_given_at_once_with_its_date_rule_and_event(shop: Shop) -> None:
    ana, bo, low = shop.member(150), shop.member(5000), shop.member(None)

    done = shop.evaluate()

    assert done.changed == {(Tier.BASIC, Tier.PREMIUM): 1, (Tier.BASIC, Tier.ELITE): 1}
    assert [shop.tier(one) for one in (ana, bo, low)] == [Tier.PREMIUM, Tier.ELITE, Tier.BASIC]
    with read(shop.sessions) as session:
        (change,) = tier_changes_page(session, shop.client_id, ana)
        assert (change.reason, change.rule, change.changed_at) == (
            "rule",
            "total_spend >= 100",
            NOON,
        )
        events = session.scalars(select(Event).where(Event.member_id == ana)).all()
        assert [(one.name, one.properties["to"]) for one in events] == [("tier_changed", "premium")]
        assert member(session, shop.client_id, ana).last_active is None


def test_evaluating_again_changes_nothing(shop: Shop) -> None:
    one = shop.member(150)
    shop.evaluate()

    assert shop.evaluate() == shop.foresee() == Evaluation()
    assert len(shop.history(one)) == 1


def test_a_worse_tier_comes_when_the_grace_is_over_and_not_before(shop: Shop) -> None:
    one = shop.member(1500)
    shop.evaluate()
    shop.spend(one, 200)

    assert shop.evaluate().waiting == 1
    shop.clock.advance(days=29)
    assert shop.evaluate() == Evaluation()
    assert shop.tier(one) is Tier.ELITE
    shop.clock.advance(days=1)

    assert shop.evaluate().changed == {(Tier.ELITE, Tier.PREMIUM): 1}
    assert shop.history(one)[0] == ("elite", "premium", "grace_over")
    with read(shop.sessions) as session:
        assert falling_members(session, shop.client_id) == []


def test_who_recovers_within_the_grace_keeps_the_tier_and_gets_a_whole_grace_next_time(
    shop: Shop,
) -> None:
    one = shop.member(150)
    shop.evaluate()
    shop.spend(one, 0)
    shop.evaluate()
    shop.clock.advance(days=9)
    shop.spend(one, 100)
    assert shop.evaluate().recovered == 1
    shop.spend(one, 0)
    shop.evaluate()
    shop.clock.advance(days=9)

    assert shop.evaluate() == Evaluation()
    assert shop.tier(one) is Tier.PREMIUM


def test_a_locked_tier_stays_until_it_is_unlocked(shop: Shop) -> None:
    one = shop.member(150)
    with write(shop.sessions) as session:
        set_tier(
            session,
            shop.clock,
            HASHER,
            client_id=shop.client_id,
            member_id=one,
            tier=Tier.ELITE,
            locked=True,
            note="a friend of the house",
            actor="user:1",
        )
    shop.clock.advance(days=1000)

    assert shop.evaluate().locked == 1
    assert shop.tier(one) is Tier.ELITE
    assert shop.history(one) == [("basic", "elite", "manual")]
    with write(shop.sessions) as session:
        set_tier(
            session,
            shop.clock,
            HASHER,
            client_id=shop.client_id,
            member_id=one,
            tier=Tier.ELITE,
        )
    assert shop.evaluate().waiting == 1


def test_a_tier_without_a_rule_is_only_taken_by_hand(shop: Shop) -> None:
    one = shop.member(0, tier="executive")

    assert shop.evaluate() == Evaluation()
    assert shop.tier(one) is Tier.EXECUTIVE


def test_without_rules_nothing_happens(shop: Shop) -> None:
    one = shop.member(5000)
    shop.rules()

    assert shop.evaluate() == shop.foresee() == Evaluation()
    assert shop.tier(one) is Tier.BASIC


def test_what_is_foreseen_is_what_is_done(shop: Shop) -> None:
    for spend in (0, 99, 100, 101, 1000, 2000):
        shop.member(spend)
    fallen, waiting = shop.member(0, tier="premium"), shop.member(0, tier="elite")
    shop.evaluate(member_ids=[fallen])
    shop.clock.advance(days=10)

    seen = shop.foresee()
    assert shop.tier(waiting) is Tier.ELITE
    assert seen == shop.evaluate()
    assert seen.changed[Tier.PREMIUM, Tier.BASIC] == 1
    assert seen.waiting == 1


def test_members_given_are_all_that_is_looked_at(shop: Shop) -> None:
    ana, bo = shop.member(150), shop.member(150)
    shop.evaluate(member_ids=[ana])

    assert [shop.tier(ana), shop.tier(bo)] == [Tier.PREMIUM, Tier.BASIC]


def test_another_clients_members_are_left_alone(shop: Shop) -> None:
    with write(shop.sessions) as session:
        other = create_client(session, shop.clock, name="Other", country="US").id
        stranger = create_member(session, shop.clock, HASHER, client_id=other)
        stranger.total_spend = Decimal(5000)
    shop.evaluate(member_ids=[stranger.id])
    shop.evaluate()

    with read(shop.sessions) as session:
        assert member(session, other, stranger.id).tier is Tier.BASIC
        assert members_by_tier(session, other, Tier.ELITE) == []


def test_an_edit_of_the_tier_is_dated_too(shop: Shop) -> None:
    one = shop.member(None)
    with write(shop.sessions) as session:
        update_member(
            session, shop.clock, HASHER, client_id=shop.client_id, id=one, tier="executive"
        )

    assert shop.history(one) == [("basic", "executive", "api")]


@pytest.mark.parametrize(
    ("rules", "error"),
    [
        ([GivenRule(Tier.BASIC, "everyone")], TierRuleError),
        ([RULES[0], RULES[0]], TierRuleError),
        ([GivenRule(Tier.ELITE, "everyone", grace_days=-1)], TierRuleError),
        ([GivenRule(Tier.ELITE, 'tier = "premium"')], TierRuleError),
        ([GivenRule(Tier.ELITE, 'has tag "a" and in segment "Best"')], TierRuleError),
        ([GivenRule(Tier.ELITE, "shoe_size > 3")], ConditionError),
        ([GivenRule(Tier.ELITE, 'in segment "Nobody knows"')], ConditionError),
    ],
)
def test_rules_that_cannot_be_are_refused_and_the_old_ones_stay(
    rules: list[GivenRule], error: type[Exception], shop: Shop
) -> None:
    with write(shop.sessions) as session:
        create_segment(
            session, shop.clock, client_id=shop.client_id, name="Best", rule='tier = "elite"'
        )
    with pytest.raises(error):
        shop.rules(*rules)
    with read(shop.sessions) as session:
        kept = [rule.tier for rule in tier_rules(session, shop.client_id)]
    assert kept == [Tier.ELITE, Tier.PREMIUM]


def test_who_is_near_and_who_falls_first(shop: Shop) -> None:
    near, far, there, late = (shop.member(spend) for spend in (85, 50, 150, 900))
    shop.evaluate()
    with read(shop.sessions) as session:
        elite, premium = tier_rules(session, shop.client_id)
        assert [one.id for one in near_members(session, shop.clock, premium)] == [near]
        assert [one.id for one in near_members(session, shop.clock, elite)] == [late]
        assert near_members(session, shop.clock, premium, after=near) == []
    shop.spend(late, 0)
    shop.evaluate()
    shop.clock.advance(hours=1)
    shop.spend(there, 0)
    shop.evaluate()

    with read(shop.sessions) as session:
        first, second = falling_members(session, shop.client_id)
        assert [first.member.id, second.member.id] == [late, there]
        assert first.falls_at == NOON + timedelta(days=10)
        after = (first.falls_at, late)
        assert falling_members(session, shop.client_id, after=after) == [second]
        assert [one.id for one in members_by_tier(session, shop.client_id, Tier.BASIC)] == [
            near,
            far,
        ]


stands = st.builds(
    Stand,
    tier=st.sampled_from(Tier),
    wanted=st.sampled_from(Tier),
    locked=st.booleans(),
    has_rule=st.booleans(),
    grace_days=st.integers(0, 60),
    falls_at=st.none() | st.integers(-30, 30).map(lambda days: NOON + timedelta(days=days)),
)


@given(stands)
def test_a_step_that_was_taken_leads_nowhere_else(stand: Stand) -> None:
    after = {
        TierStep.STAY: stand,
        TierStep.RISE: Stand(stand.wanted, stand.wanted),
        TierStep.FALL: Stand(stand.wanted, stand.wanted),
        TierStep.RECOVER: Stand(
            stand.tier, stand.wanted, has_rule=stand.has_rule, grace_days=stand.grace_days
        ),
        TierStep.WAIT: Stand(
            stand.tier,
            stand.wanted,
            has_rule=stand.has_rule,
            grace_days=stand.grace_days,
            falls_at=NOON + timedelta(days=stand.grace_days),
        ),
    }[step(stand, NOON)]

    assert step(after, NOON) is TierStep.STAY


@given(stands)
def test_nobody_falls_who_is_locked_or_in_grace_or_without_a_rule(stand: Stand) -> None:
    if step(stand, NOON) is TierStep.FALL:
        assert not stand.locked
        assert stand.has_rule
        assert RANKS[stand.wanted] < RANKS[stand.tier]
        assert stand.falls_at <= NOON if stand.falls_at else stand.grace_days == 0


numbers = st.integers(-500, 500) | st.decimals(-500, 500, places=2)


@given(st.sampled_from([Op.GE, Op.GT, Op.LE, Op.LT]), numbers, numbers, st.booleans())
def test_an_eased_condition_means_whoever_it_meant(
    op: Op, bound: Decimal, held: Decimal, turned: bool
) -> None:
    compare = Compare("total_spend", op, bound)
    means = {Op.GE: "__ge__", Op.GT: "__gt__", Op.LE: "__le__", Op.LT: "__lt__"}[op]

    def is_meant(condition: Any) -> bool:
        if isinstance(condition, Not):
            return not is_meant(condition.item)
        return bool(getattr(Decimal(held), means)(Decimal(condition.value)))

    condition = Not(compare) if turned else compare
    if is_meant(condition):
        assert is_meant(eased(condition))


@given(st.integers(1, 50))
def test_counts_are_eased_to_whole_times_and_never_to_none(times: int) -> None:
    easier = eased(Did("purchase", value=times))

    assert isinstance(easier, Did)
    assert isinstance(easier.value, int)
    assert 1 <= easier.value <= times


def test_what_is_no_number_stays() -> None:
    condition = condition_of('has tag "vip" and last_active in the last 30 days')

    assert eased(condition) == condition
