"""Purchases: what shops tell becomes orders and refunds of members, and so their events.

Each order is the event `purchase` with `source = "stripe"` or `"shopify"`, which journeys and
segments can ask for. The order's id carries the shop's name, so that two shops do not meet.
"""

from collections.abc import Mapping
from contextlib import suppress

from sqlalchemy.orm import Session

from accounts.client import Client
from channels.sale import Sale
from communications.account import ProviderAccount
from core import log
from core.address import AddressError, AddressHasher
from core.clock import Clock
from members.errors import MemberInvalidError, OrderChangedError
from members.order import told_before
from members.person import read_person
from members.spending import Recorded, record_order, record_refund
from members.upsert import Existing, upsert

_log = log.get(__name__)


def take(
    session: Session, clock: Clock, hasher: AddressHasher, *, account: ProviderAccount, sale: Sale
) -> bool:
    """Keep an order or a refund; return whether it was new.

    Nobody is made a member who has neither e-mail address nor phone number. What was told before
    with another amount stays as it was told first. Raises OrderNotFoundError for a refund that
    came before its order: it is tried again; OrderInvalidError.
    """
    try:
        recorded = _recorded(session, clock, hasher, account, sale)
    except OrderChangedError:
        _log.warning("order told otherwise before", account_id=account.id)
        return False
    return recorded is not None and recorded.new


def _recorded(
    session: Session, clock: Clock, hasher: AddressHasher, account: ProviderAccount, sale: Sale
) -> Recorded | None:
    client_id, source = account.client_id, account.adapter
    order_id = f"{source}:{sale.order_id}"
    if sale.refund_id is not None:
        return record_refund(
            session,
            clock,
            hasher,
            client_id=client_id,
            order_id=order_id,
            refund_id=f"{source}:{sale.refund_id}",
            amount=sale.amount,
            occurred_at=sale.at,
        )
    known = told_before(session, client_id, order_id)
    # Told again after its buyer was erased, an order makes nobody anew.
    if known is not None:
        who: int | None = known.member_id
    else:
        who = _member(session, clock, hasher, client_id, source, sale.person)
    if who is None:
        _log.info("order of nobody", account_id=account.id)
        return None
    return record_order(
        session,
        clock,
        hasher,
        client_id=client_id,
        member_id=who,
        order_id=order_id,
        amount=sale.amount,
        currency=sale.currency,
        occurred_at=sale.at,
        properties={**sale.properties, "source": source},
    )


def _member(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    client_id: int,
    source: str,
    told: Mapping[str, str],
) -> int | None:
    """Return who paid, a new member if nobody has the address; None where there is none."""
    country = session.get_one(Client, client_id).country
    sound: dict[str, str] = {}
    for name, value in told.items():
        # A buyer's slip of the pen; the other address may do.
        with suppress(AddressError, MemberInvalidError):
            read_person({name: value}, country=country)
            sound[name] = value
    person = read_person(sound, country=country)
    if not person.addresses:
        return None
    [(_, found)] = upsert(
        session,
        clock,
        hasher,
        client_id=client_id,
        people=[person],
        existing=Existing.SKIP,
        source=source,
    )
    return found
