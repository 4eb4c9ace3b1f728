"""Stage: the nine Elevate steps: what each is for, and when a member has done it.

Whether a member has done a step is a condition like any other (docs/reference/conditions.md), so it
is counted, explained and made a segment the same way.
"""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from campaigns.journeys.ast import Elevate


class Group(StrEnum):
    """What three steps each are for."""

    ATTRACT = "ATTRACT"
    CONVERT = "CONVERT"
    GROW = "GROW"


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the framework."""

    step: Elevate
    goal: str
    """What it is for, in a sentence."""
    done: str
    """The condition of members who have done it, as text."""
    rate: str
    """The metric that says how well it works."""
    works: Fraction
    """From here on it works: two stars."""
    great: Fraction
    """From here on it is great, unless the client has a target of its own: three stars."""

    @property
    def group(self) -> Group:
        """The group it belongs to: three steps each."""
        return list(Group)[list(Elevate).index(self.step) // 3]

    @property
    def recipe(self) -> str:
        """The recipe that makes a journey of it."""
        return self.step.casefold()


def _percent(works: int, great: int) -> tuple[Fraction, Fraction]:
    return Fraction(works, 100), Fraction(great, 100)


E = Elevate
STAGES: dict[Elevate, Stage] = {
    one.step: one
    for one in (
        Stage(
            E.HOOK,
            "Get noticed by the right people.",
            "did visited or did opted_in or clicked any message",
            "hook_AvgCTR",
            *_percent(2, 5),
        ),
        Stage(
            E.GIFT,
            "Give something useful for an email address.",
            "did opted_in or did form",
            "gift_OptInRate",
            *_percent(20, 40),
        ),
        Stage(
            E.IDENTIFY,
            "Know who they are and that you may write to them.",
            "(email is set or phone is set) and (consent email or consent sms or consent push)",
            "identify_LeadRate",
            *_percent(50, 80),
        ),
        Stage(
            E.ENGAGE,
            "Have them answer, click and come back.",
            "clicked any message or replied to any message",
            "engage_AssistedConversionRate",
            *_percent(20, 50),
        ),
        Stage(
            E.SELL,
            "Make an offer they take.",
            "did purchase",
            "sell_ConversionRate",
            *_percent(2, 5),
        ),
        Stage(
            E.NURTURE,
            "Stay with those who are not ready until they are.",
            "was sent any campaign and did purchase",
            "nurture_EmailConvRate",
            *_percent(1, 3),
        ),
        Stage(
            E.UPSELL,
            "Offer customers what comes next.",
            "did purchase at least 2 times",
            "upsell_TakeRate",
            *_percent(10, 20),
        ),
        Stage(
            E.EDUCATE,
            "Help customers succeed, so that they come back.",
            "did lesson_completed or did feedback",
            "educate_RepeatPurchaseRate",
            *_percent(15, 30),
        ),
        Stage(
            E.SHARE,
            "Have happy customers tell others.",
            "did review or did referral",
            "share_ReviewRate",
            *_percent(5, 15),
        ),
    )
}
"""The nine, in their order."""
