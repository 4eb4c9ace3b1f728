"""Whom: a member as a person names one: by their own id at the client, by e-mail, by phone."""

from sqlalchemy.orm import Session

from accounts.client import Client
from core.address import normalise_email, normalise_phone
from members.member import Member
from members.queries import member_by_key, members_at


def members_called(session: Session, client: Client, who: str) -> list[Member]:
    """Return who is meant; several where an address is shared.

    An address that nobody has may still be somebody's own id. Raises AddressError for what looks
    like an address and is none, MemberNotFoundError.
    """
    found: list[Member] = []
    if "@" in who:
        email = normalise_email(who, field="WHO")
        found = members_at(session, client.id, "email", email)
    elif who.startswith("+"):
        phone = normalise_phone(who, client.country, field="WHO")
        found = members_at(session, client.id, "sms", phone)
    return found or [member_by_key(session, client.id, who)]
