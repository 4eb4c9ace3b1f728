"""Referral: who brought whom, and what that earned.

Every member has at most one referrer, so referrals are trees. A referrer earns a commission on the
first order of each member it brought: a share that rises with how many of them have bought. A
refund of that order takes its share back.

Invariants
    1. Nobody refers themselves, nor anybody above them.
    2. An order earns at most one commission, a refund takes back at most what it earned.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import (
    CTE,
    ForeignKey,
    Index,
    Numeric,
    String,
    UniqueConstraint,
    func,
    literal,
    select,
)
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from accounts.client import Client
from core.clock import Clock
from core.db import Base, BigId, Id
from members.errors import ReferralError
from members.member import Member
from members.order import CENT, Order, OrderKind, spend_currency
from members.queries import member as member_of
from members.upsert import take_turn

RATES = ((25, Decimal("0.20")), (5, Decimal("0.15")), (0, Decimal("0.10")))
"""From so many referred members who bought: the share. A client's `settings.referral_rates`, a list
of [from, share] pairs, replaces it."""
ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Without what people mistake for one another: I, L, O, 0, 1."""
CODE_LENGTH = 8
MAX_DEPTH = 10
BURST, BURST_WITHIN = 5, timedelta(hours=1)
"""So many new members of one referrer within so long look like a robot's."""


class Commission(Base):
    """What a referrer earned by one order, or lost by its refund."""

    __tablename__ = "commissions"
    __table_args__ = (
        UniqueConstraint("order_row_id"),
        Index(None, "client_id", "referrer_id"),
        Index(None, "client_id", "referred_id"),
    )

    id: Mapped[Id]
    client_id: Mapped[int] = mapped_column(ForeignKey("clients.id"))
    referrer_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))
    referred_id: Mapped[int] = mapped_column(BigId, ForeignKey("members.id"))
    order_row_id: Mapped[int] = mapped_column(BigId, ForeignKey("orders.id"))
    rate: Mapped[Decimal] = mapped_column(Numeric(6, 4))
    amount: Mapped[Decimal] = mapped_column(Numeric(14, 4))
    """Major units; negative where a refund takes back."""
    currency: Mapped[str] = mapped_column(String(3))
    created_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Level:
    """The members so many steps below a referrer."""

    depth: int
    members: int
    bought: int
    """How many of them have ordered."""
    revenue: Decimal
    """Orders less refunds, in the client's currency."""


@dataclass(frozen=True, slots=True)
class Tree:
    """What one member's referrals came to."""

    code: str | None
    """None before it was asked for."""
    levels: list[Level]
    commission: Decimal
    currency: str | None
    hints: list[str]
    """What looks like fraud, in words; a person decides."""


def referral_code(session: Session, *, client_id: int, member_id: int) -> str:
    """Return a member's code, made when first asked for; no other member of the client has it."""
    found = member_of(session, client_id, member_id)
    if found.referral_code:
        return found.referral_code
    take_turn(session, client_id)
    while True:
        code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
        if _holder(session, client_id, code) is None:
            found.referral_code = code
            session.flush()
            return code


def refer(session: Session, clock: Clock, *, client_id: int, member_id: int, code: str) -> Member:
    """Note that a member was brought by the holder of a code; return the referrer.

    Saying the same again changes nothing. Raises ReferralError for an unknown code, for oneself,
    for somebody below oneself, and for a member who was brought by somebody else.
    """
    take_turn(session, client_id)
    found = member_of(session, client_id, member_id)
    referrer = _holder(session, client_id, code)
    if referrer is None:
        raise ReferralError(
            f"nobody has the code “{code[:40]}”",
            field="code",
            remedy="POST /members/{id}/referral-code tells a member's code",
        )
    if found.referred_by == referrer.id:
        return referrer
    if found.referred_by is not None:
        raise ReferralError("this member was brought by somebody else", field="code")
    if found.id == referrer.id or found.id in _above(session, client_id, referrer.id):
        raise ReferralError(
            "nobody can be brought by themselves or by whom they brought", field="code"
        )
    found.referred_by = referrer.id
    found.updated_at = clock.now()
    found.version += 1
    session.flush()
    return referrer


def referrals(session: Session, *, client_id: int, member_id: int) -> Tree:
    """Return what a member's referrals came to, level by level. Raises MemberNotFoundError.

    Cost: three queries; the tree is walked by the database, MAX_DEPTH steps down.
    """
    found = member_of(session, client_id, member_id)
    currency = spend_currency(session, client_id)
    below = _below(client_id, found.id)
    spent = (
        select(Order.member_id, func.sum(Order.amount).label("amount"))
        .where(Order.client_id == client_id, Order.currency == (currency or ""))
        .group_by(Order.member_id)
        .subquery()
    )
    query = (
        select(
            below.c.depth,
            func.count(),
            func.count(spent.c.member_id),
            func.coalesce(func.sum(spent.c.amount), 0),
        )
        .outerjoin(spent, spent.c.member_id == below.c.id)
        .group_by(below.c.depth)
        .order_by(below.c.depth)
    )
    earned = select(func.coalesce(func.sum(Commission.amount), 0)).where(
        Commission.client_id == client_id,
        Commission.referrer_id == found.id,
        Commission.currency == (currency or ""),
    )
    return Tree(
        code=found.referral_code,
        levels=[
            Level(depth, members, bought, Decimal(str(revenue)).quantize(CENT))
            for depth, members, bought, revenue in session.execute(query)
        ],
        commission=Decimal(str(session.scalar(earned))).quantize(CENT),
        currency=currency,
        hints=_hints(session, client_id, found.id),
    )


def settle_commission(session: Session, clock: Clock, order: Order) -> Commission | None:
    """Write what an order earns its member's referrer, or what its refund takes back."""
    if order.kind is OrderKind.REFUND:
        return _taken_back(session, clock, order)
    referrer_id = session.scalar(select(Member.referred_by).where(Member.id == order.member_id))
    earlier = select(Order.id).where(
        Order.client_id == order.client_id,
        Order.member_id == order.member_id,
        Order.kind == OrderKind.ORDER,
        Order.id < order.id,
    )
    if referrer_id is None or session.scalar(earlier.limit(1)) is not None:
        return None
    rate = _rate(session, order.client_id, referrer_id)
    return _written(session, clock, order, referrer_id, rate, order.amount * rate)


def _taken_back(session: Session, clock: Clock, refund: Order) -> Commission | None:
    query = (
        select(Commission)
        .join(Order, Order.id == Commission.order_row_id)
        .where(Order.client_id == refund.client_id, Order.order_id == refund.refund_of)
    )
    earned = session.scalar(query)
    if earned is None:
        return None
    amount = refund.amount * earned.rate
    return _written(session, clock, refund, earned.referrer_id, earned.rate, amount)


def _written(
    session: Session, clock: Clock, order: Order, referrer_id: int, rate: Decimal, amount: Decimal
) -> Commission:
    commission = Commission(
        client_id=order.client_id,
        referrer_id=referrer_id,
        referred_id=order.member_id,
        order_row_id=order.id,
        rate=rate,
        amount=amount.quantize(CENT),
        currency=order.currency,
        created_at=clock.now(),
    )
    session.add(commission)
    session.flush()
    return commission


def _rate(session: Session, client_id: int, referrer_id: int) -> Decimal:
    """Return the share for the next member of a referrer who buys."""
    told = session.get_one(Client, client_id).settings.get("referral_rates")
    rates = [(int(start), Decimal(str(share))) for start, share in told] if told else list(RATES)
    bought = session.scalar(
        select(func.count(func.distinct(Commission.referred_id))).where(
            Commission.client_id == client_id, Commission.referrer_id == referrer_id
        )
    )
    reached = [(start, share) for start, share in rates if (bought or 0) >= start]
    return max(reached)[1] if reached else Decimal(0)


def _holder(session: Session, client_id: int, code: str) -> Member | None:
    query = select(Member).where(
        Member.client_id == client_id,
        Member.referral_code == code.strip().upper(),
        Member.deleted_at.is_(None),
    )
    return session.scalar(query.order_by(Member.id).limit(1))


def _above(session: Session, client_id: int, member_id: int) -> set[int]:
    """Return everybody above a member; the walk ends where the tree does."""
    first = (
        select(Member.referred_by.label("id"))
        .where(Member.client_id == client_id, Member.id == member_id)
        .cte("above", recursive=True)
    )
    # UNION, not UNION ALL: it ends even where an import has made a ring.
    walk = first.union(
        select(Member.referred_by).where(Member.client_id == client_id, Member.id == first.c.id)
    )
    return set(session.scalars(select(walk.c.id).where(walk.c.id.is_not(None))))


def _below(client_id: int, member_id: int) -> CTE:
    """Return everybody below a member as rows (id, depth)."""
    first = (
        select(Member.id.label("id"), literal(1).label("depth"))
        .where(Member.client_id == client_id, Member.referred_by == member_id)
        .where(Member.id != member_id)
        .cte("below", recursive=True)
    )
    child = aliased(Member)
    return first.union_all(
        select(child.id, first.c.depth + 1).where(
            child.client_id == client_id,
            child.referred_by == first.c.id,
            child.id != member_id,
            first.c.depth < MAX_DEPTH,
        )
    )


def _hints(session: Session, client_id: int, member_id: int) -> list[str]:
    query = (
        select(Member.email, Member.created_at)
        .where(Member.client_id == client_id, Member.referred_by == member_id)
        .order_by(Member.created_at)
    )
    brought = session.execute(query).all()
    own = session.scalar(select(Member.email).where(Member.id == member_id))
    hints = []
    same = _same_mailbox([own, *(row.email for row in brought)])
    if same:
        hints.append(f"{same} of these addresses lead to a mailbox of another")
    if burst := _burst([row.created_at for row in brought]):
        hints.append(f"{burst} of them came within an hour")
    if taken := _refunded_all(session, client_id, member_id):
        hints.append(f"{taken} of them were refunded all they bought")
    return hints


def _same_mailbox(emails: Sequence[str | None]) -> int:
    """Count addresses that differ from another only by a +tag, or by dots at Gmail."""
    seen: set[str] = set()
    twice = 0
    for email in emails:
        if email is None:
            continue
        local, _, domain = email.rpartition("@")
        local = local.partition("+")[0].casefold()
        if domain in ("gmail.com", "googlemail.com"):
            local, domain = local.replace(".", ""), "gmail.com"
        mailbox = f"{local}@{domain}"
        twice += mailbox in seen
        seen.add(mailbox)
    return twice


def _burst(times: Sequence[datetime]) -> int:
    """Return the most that came within BURST_WITHIN, where they are at least BURST."""
    most, first = 0, 0
    for last, at in enumerate(times):
        while at - times[first] > BURST_WITHIN:
            first += 1
        most = max(most, last - first + 1)
    return most if most >= BURST else 0


def _refunded_all(session: Session, client_id: int, member_id: int) -> int:
    spent = (
        select(Commission.referred_id)
        .where(Commission.client_id == client_id, Commission.referrer_id == member_id)
        .group_by(Commission.referred_id)
        .having(func.sum(Commission.amount) <= 0, func.max(Commission.amount) > 0)
    )
    return session.scalar(select(func.count()).select_from(spent.subquery())) or 0
