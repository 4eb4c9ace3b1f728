"""Badge: a first time or a round number, each tied to what members really did."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from campaigns.elevate.rates import count
from core.clock import Clock

LEADS = "did opted_in or did form"


@dataclass(frozen=True, slots=True)
class Badge:
    """One badge, and how far it is."""

    code: str
    title: str
    needed: int
    reached: int

    @property
    def earned(self) -> bool:
        """Say whether it is earned."""
        return self.reached >= self.needed


BADGES: dict[str, tuple[str, int, str]] = {
    # code: (title, how many members, who)
    "first_lead": ("First lead", 1, LEADS),
    "hundred_leads": ("A hundred leads", 100, LEADS),
    "first_click": ("First click", 1, "clicked any message"),
    "first_answer": ("First answer", 1, "replied to any message"),
    "first_sale": ("First sale", 1, "did purchase"),
    "ten_customers": ("Ten customers", 10, "did purchase"),
    "comeback": ("They came back", 1, "did purchase at least 2 times"),
    "first_review": ("First review", 1, "did review"),
    "first_referral": ("First referral", 1, "did referral"),
}


def badges(
    session: Session, clock: Clock, *, client_id: int, live: bool, steps_done: int
) -> list[Badge]:
    """Return every badge: nine counts, then the first real message and the whole path."""
    counted = [
        Badge(code, title, needed, count(session, clock, who, client_id=client_id))
        for code, (title, needed, who) in BADGES.items()
    ]
    return [
        *counted,
        Badge("live", "First real message", 1, int(live)),
        Badge("all_nine", "All nine steps", 9, steps_done),
    ]
