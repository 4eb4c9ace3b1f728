"""Visitor: somebody known by an anonymous id alone, until an event names them.

Invariants
    1. Only a visitor is ever absorbed: a member that anything else named stays who it is, whatever
       an event claims. Events come from browsers, where anybody may claim anything.
    2. An anonymous id leads to the first person who was named with it, from then on.
"""

import secrets
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.clock import Clock
from core.rows import among
from members.identity import ANONYMOUS, attach
from members.member import Member
from members.merge import merge
from members.upsert import MADE_UP

MARK = f"{MADE_UP}visitor-"
"""How the ids of members begin of whom only an anonymous id is known."""


def visitor_key() -> str:
    """Make up the id of a visitor."""
    return f"{MARK}{secrets.token_hex(8)}"


def meet(
    session: Session, clock: Clock, *, client_id: int, names: Mapping[str, int]
) -> dict[int, int]:
    """Give anonymous ids to the members they came with; return who was absorbed by whom.

    Where an id leads to a visitor, the visitor turns out to be that member and becomes one with it.
    """
    links = [(ANONYMOUS, anonymous_id, one) for anonymous_id, one in names.items()]
    held = attach(session, client_id=client_id, names=links)
    known_as: dict[int, int] = {}
    for anonymous_id, one in names.items():
        holder = held[ANONYMOUS, anonymous_id]
        if holder != one:
            known_as.setdefault(holder, one)
    if not known_as:
        return {}
    query = select(Member.id).where(
        Member.client_id == client_id,
        among(session, Member.id, sorted(known_as)),
        Member.member_id.startswith(MARK, autoescape=True),
        Member.deleted_at.is_(None),
    )
    visitors = sorted(session.scalars(query))
    for one in visitors:
        merge(session, clock, client_id=client_id, survivor_id=known_as[one], absorbed_id=one)
    return {one: known_as[one] for one in visitors}
