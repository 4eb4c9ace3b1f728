"""Rates: of so many members, so many; both sides are conditions, so they can be looked at.

A rate is None where nobody is asked about: not measured is not nought.
"""

from dataclasses import dataclass
from fractions import Fraction

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from campaigns.elevate.reached import stage_steps
from campaigns.journeys.ast import Elevate
from campaigns.journeys.enrolment import Enrolment, EnrolmentStep
from core.clock import Clock
from core.condition.text import parse
from members.member import Member
from members.queries import meant


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of some members do something."""

    name: str
    stage: Elevate
    of: str
    """The members asked about, as a condition; `{days}` stands for the period."""
    did: str
    """What is asked of them."""
    reached: Elevate | None = None
    """Only members whom a journey brought to this step."""

    def formula(self, days: int) -> str:
        """Return what is divided by what, for people."""
        did, of = self.did.format(days=days), self.of.format(days=days)
        brought = f" whom a journey brought to {self.reached}" if self.reached else ""
        return f"({did}) of ({of}){brought}"


@dataclass(frozen=True, slots=True)
class Counted:
    """A rate's two numbers."""

    numerator: int
    denominator: int

    @property
    def value(self) -> Fraction | None:
        """The rate, from 0 to 1; None where nobody is asked about."""
        return Fraction(self.numerator, self.denominator) if self.denominator else None


PERIOD = " in the last {days} days"
BOUGHT = f"did purchase{PERIOD}"
LEADS = f"did opted_in{PERIOD} or did form{PERIOD}"
E = Elevate
RATES = (
    Rate(
        "hook_AvgCTR",
        E.HOOK,
        f"was sent any campaign{PERIOD}",
        f"clicked any campaign{PERIOD}",
    ),
    Rate("gift_OptInRate", E.GIFT, f"did visited{PERIOD} or {LEADS}", LEADS),
    Rate(
        "identify_LeadRate",
        E.IDENTIFY,
        LEADS,
        "(email is set or phone is set) and (consent email or consent sms or consent push)",
    ),
    Rate(
        "engage_AssistedConversionRate",
        E.ENGAGE,
        BOUGHT,
        f"clicked any message{PERIOD} or replied to any message{PERIOD}",
    ),
    Rate("sell_ConversionRate", E.SELL, LEADS, BOUGHT),
    Rate(
        "nurture_EmailConvRate",
        E.NURTURE,
        f"was sent any campaign by email{PERIOD}",
        BOUGHT,
    ),
    Rate(
        "upsell_TakeRate",
        E.UPSELL,
        BOUGHT,
        "did purchase at least 2 times",
        reached=E.UPSELL,
    ),
    Rate(
        "educate_RepeatPurchaseRate",
        E.EDUCATE,
        BOUGHT,
        "did purchase at least 2 times",
    ),
    Rate("share_ReviewRate", E.SHARE, BOUGHT, f"did review{PERIOD}"),
)
"""One for each step, named as the framework names them."""


def count_rate(session: Session, clock: Clock, rate: Rate, *, client_id: int, days: int) -> Counted:
    """Count both sides of a rate over the last days (whole UTC days, today among them)."""
    of = rate.of.format(days=days)
    both = f"({of}) and ({rate.did.format(days=days)})"
    only = reached_by(session, client_id, rate.reached) if rate.reached else None
    return Counted(
        numerator=count(session, clock, both, client_id=client_id, only=only),
        denominator=count(session, clock, of, client_id=client_id, only=only),
    )


def count(
    session: Session,
    clock: Clock,
    condition: str,
    *,
    client_id: int,
    only: ColumnElement[bool] | None = None,
) -> int:
    """Return how many members a condition means."""
    rule = meant(session, client_id, parse(condition), clock.now())
    query = select(func.count()).select_from(Member).where(*rule)
    return session.scalar(query if only is None else query.where(only)) or 0


def reached_by(session: Session, client_id: int, stage: Elevate) -> ColumnElement[bool]:
    """Return a WHERE over members: a journey brought them to this step."""
    steps = stage_steps(session, client_id)
    ways = [
        (EnrolmentStep.version_id == version_id) & (EnrolmentStep.step == key)
        for (version_id, key), one in steps.items()
        if one is stage
    ]
    query = select(Enrolment.member_id).join(
        EnrolmentStep, EnrolmentStep.enrolment_id == Enrolment.id
    )
    return Member.id.in_(query.where(or_(False, *ways)))
