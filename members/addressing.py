"""Addressing: the addresses of one member, of which a channel may have several and one primary.

Messages go to the primary address. Whether an address may be written to at all is decided by its
state and by suppression, and neither is changed by adding it again.
"""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.address import AddressHasher, mask, normalise
from core.clock import Clock
from core.errors import InvalidError
from members.address import AddressState, MemberAddress
from members.edit import API, country_of, noted
from members.errors import AddressNotFoundError, AddressTakenError, MemberInvalidError
from members.member import Member
from members.queries import member

A = MemberAddress
COLUMN = {"email": "email", "sms": "phone"}
"""Kind of address → the member's column that shows its primary one."""
MAX_ADDRESSES = 20
"""Addresses of one member on one channel."""


def add_address(
    session: Session,
    clock: Clock,
    hasher: AddressHasher,
    *,
    client_id: int,
    member_id: int,
    channel: str,
    value: str,
    primary: bool = False,
    shared: bool = False,
    source: str = API,
    actor: str | None = None,
) -> MemberAddress:
    """Add an address to a member; the first of its channel is primary. Adding it again is free.

    An address belongs to one person, unless `shared` says that several use this mailbox or phone.
    Raises AddressError, AddressTakenError, MemberNotFoundError, MemberInvalidError.
    """
    found = member(session, client_id, member_id)
    normal = _normal(session, client_id, channel, value)
    held = _held(session, client_id, found.id, channel)
    same = next((address for address in held if address.value == normal), None)
    if same is None:
        if not shared:
            _refuse_taken(session, client_id, found.id, channel, normal)
        if len(held) >= MAX_ADDRESSES:
            raise MemberInvalidError(
                f"a member has at most {MAX_ADDRESSES} addresses of a channel", field="channel"
            )
        same = MemberAddress(
            client_id=client_id,
            member_id=found.id,
            channel=channel,
            value=normal,
            hash=hasher.hash(client_id, channel, normal),
            is_primary=not any(address.is_primary for address in held),
            created_at=clock.now(),
            updated_at=clock.now(),
        )
        session.add(same)
        session.flush()
        if same.is_primary:
            _show(found, channel, normal)
        changed = {f"addresses.{channel}": (None, normal)}
        noted(session, clock, found, changed, source=source, actor=actor)
    if primary and not same.is_primary:
        _raise(session, clock, found, same, source=source, actor=actor)
    return same


def make_primary(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    member_id: int,
    address_id: int,
    source: str = API,
    actor: str | None = None,
) -> MemberAddress:
    """Send to this address of the member's from now on. Raises AddressNotFoundError."""
    found = member(session, client_id, member_id)
    address = _address(session, client_id, found.id, address_id)
    if not address.is_primary:
        _raise(session, clock, found, address, source=source, actor=actor)
    return address


def remove_address(
    session: Session,
    clock: Clock,
    *,
    client_id: int,
    member_id: int,
    address_id: int,
    source: str = API,
    actor: str | None = None,
) -> None:
    """Take an address from a member; of the others, the oldest that works becomes primary.

    Its suppression stays. Raises AddressNotFoundError.
    """
    found = member(session, client_id, member_id)
    address = _address(session, client_id, found.id, address_id)
    channel, value, was_primary = address.channel, address.value, address.is_primary
    session.delete(address)
    session.flush()
    if was_primary:
        _show(found, channel, None)
    changed = {f"addresses.{channel}": (value, None)}
    noted(session, clock, found, changed, source=source, actor=actor)
    left = sorted(
        _held(session, client_id, found.id, channel),
        key=lambda one: (one.state is not AddressState.ACTIVE, one.id),
    )
    if was_primary and left:
        _raise(session, clock, found, left[0], source=source, actor=actor)


def _raise(
    session: Session,
    clock: Clock,
    found: Member,
    address: MemberAddress,
    *,
    source: str,
    actor: str | None,
) -> None:
    former = session.scalar(
        select(A.value).where(A.member_id == found.id, A.channel == address.channel, A.is_primary)
    )
    session.execute(
        update(A)
        .where(A.member_id == found.id, A.channel == address.channel, A.is_primary)
        .values(is_primary=False, updated_at=clock.now())
    )
    address.is_primary, address.updated_at = True, clock.now()
    session.flush()
    _show(found, address.channel, address.value)
    changed = {f"primary.{address.channel}": (former, address.value)}
    noted(session, clock, found, changed, source=source, actor=actor)


def _show(found: Member, channel: str, value: str | None) -> None:
    if channel in COLUMN:
        setattr(found, COLUMN[channel], value)


def _normal(session: Session, client_id: int, channel: str, value: str) -> str:
    try:
        return normalise(channel, value, country_of(session, client_id))
    except InvalidError as error:
        error.field = "value"
        raise


def _held(
    session: Session, client_id: int, member_id: int, channel: str
) -> Sequence[MemberAddress]:
    query = select(A).where(
        A.client_id == client_id, A.member_id == member_id, A.channel == channel
    )
    return session.scalars(query.order_by(A.id)).all()


def _address(session: Session, client_id: int, member_id: int, address_id: int) -> MemberAddress:
    found = session.scalar(
        select(A).where(A.client_id == client_id, A.member_id == member_id, A.id == address_id)
    )
    if found is None:
        raise AddressNotFoundError(f"the member has no address {address_id}")
    return found


def _refuse_taken(
    session: Session, client_id: int, member_id: int, channel: str, value: str
) -> None:
    holder = session.scalar(
        select(A.member_id)
        .join(Member, Member.id == A.member_id)
        .where(
            A.client_id == client_id,
            A.channel == channel,
            A.value == value,
            A.member_id != member_id,
            Member.deleted_at.is_(None),
        )
        .limit(1)
    )
    if holder is not None:
        raise AddressTakenError(
            f"member {holder} has {mask(channel, value)}",
            field="value",
            remedy="merge the two members, or say that they share it (shared: true)",
        )
