"""`event` and `order`: tell of what members do, as a shop does by API."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import uuid4

import click
from sqlalchemy.orm import Session

from accounts.audit import record
from accounts.client import Client
from core.db import read, write
from core.errors import InvalidError
from echelonx.commands.output import Group, answer, as_json, facts, note, table
from echelonx.commands.workspace import chosen, client_option, opened
from members.order import Order
from members.queries import member as member_by_id
from members.queries import member_by_key
from members.spending import Recorded, record_order, record_refund
from members.tracking import ToldEvent, member_told
from members.tracking import track as track_events
from webhooks.collected import opened as opened_body
from webhooks.dropped import drops
from webhooks.stuck import REPLAYED_AT_ONCE, replay_stuck, stuck, stuck_page

PROBLEM = 1
ACTOR = "cli"
STUCK = ("id", "key_id", "kind", "events", "tries", "received_at")
DROPPED = ("day", "kind", "reason", "count", "detail", "message_id", "key_id", "last_at")


def _instant(context: click.Context, option: click.Parameter, text: str | None) -> datetime | None:
    del context, option
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("write it as 2026-01-31T12:00:00Z") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _amount(context: click.Context, option: click.Parameter, text: str | None) -> Decimal | None:
    del context, option
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        raise click.BadParameter("write it as 49.90") from None


at_option = click.option("--at", callback=_instant, help="When; now without. ISO 8601, UTC.")
member_option = click.option(
    "--member", "who", required=True, help="An id, your own id, an e-mail address or +number."
)


@click.group(cls=Group)
def event() -> None:
    """Tell of what members do."""


@event.command()
@click.argument("name")
@member_option
@click.option("--property", "given", multiple=True, metavar="K=V", help="Repeat it for several.")
@click.option("--message-id", help="Yours and unique: told again, it is a duplicate.")
@at_option
@client_option
@as_json
def track(
    name: str,
    who: str,
    given: Sequence[str],
    message_id: str | None,
    at: datetime | None,
    client_id: int | None,
    as_json: bool,
) -> int:
    """Track one event. Whoever is not known by e-mail or number becomes a member.

    \b
    echelonx event track visited --member ana@example.com --property page=/shoes
    echelonx event track purchase --member 12 --property total=49.90 --message-id A-1
    """
    properties = _properties(given)
    with opened() as services, write(services.sessions) as session:
        client = chosen(session, client_id)
        told = ToldEvent(
            name=name,
            message_id=message_id or str(uuid4()),
            person=_person(session, client, who),
            properties=properties,
            occurred_at=at,
        )
        found = track_events(
            session,
            services.clock,
            services.hasher,
            client_id=client.id,
            events=[told],
            country=client.country,
        )
    for one in found.rejected:
        note(f"error: {one.field}: {one.message}")
    counts = f"{found.new} new, {found.duplicates} known already"
    rejected = [asdict(one) for one in found.rejected]
    values = {"new": found.new, "duplicates": found.duplicates, "rejected": rejected}
    answer(values, counts, as_json=as_json)
    return PROBLEM if found.rejected else 0


@event.command()
@client_option
@as_json
def dropped(client_id: int | None, as_json: bool) -> None:
    """Show which events of your programs nobody could keep, and why.

    One line a day, kind and reason, with the last of them.
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        rows = [[getattr(one, name) for name in DROPPED] for one in drops(session, client.id)]
    values = [dict(zip(DROPPED, row, strict=True)) for row in rows]
    answer(values, lambda: table(DROPPED, rows), as_json=as_json)


@event.command("stuck")
@click.option("--id", "stuck_id", type=int, help="Show what this one says.")
@client_option
@as_json
def show_stuck(stuck_id: int | None, client_id: int | None, as_json: bool) -> None:
    """Show requests of your programs whose events could not be applied, newest first.

    \b
    echelonx event stuck
    echelonx event stuck --id 7
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        if stuck_id is not None:
            found = stuck(session, client.id, stuck_id)
            body = opened_body(services.vault, found).decode("utf-8", "replace")
            told = {name: getattr(found, name) for name in STUCK} | {"body": body}
            answer(told, facts(told), as_json=as_json)
            return
        rows = [
            [getattr(one, name) for name in STUCK]
            for one in stuck_page(session, client.id, limit=1000)
        ]
    values = [dict(zip(STUCK, row, strict=True)) for row in rows]
    answer(values, lambda: table(STUCK, rows), as_json=as_json)


@event.command()
@click.option("--id", "ids", type=int, multiple=True, help="This one; without, all of them.")
@client_option
@as_json
def replay(ids: tuple[int, ...], client_id: int | None, as_json: bool) -> None:
    """Apply events again that could not be applied. What was applied before changes nothing.

    \b
    echelonx event replay --id 7
    """
    count, more = 0, True
    with opened() as services:
        while more:
            with write(services.sessions) as session:
                where = chosen(session, client_id).id
                some = replay_stuck(session, services.clock, where, ids or None)
                record(
                    session, services.clock, client_id=where, actor=ACTOR,
                    action="stuck_event.replay", target=f"client:{where}", requests=some,
                )  # fmt: skip
            count, more = count + some, not ids and some == REPLAYED_AT_ONCE
    values = {"replayed": count}
    answer(values, facts(values), as_json=as_json)


@click.group(cls=Group)
def order() -> None:
    """Tell of orders and refunds. An id that is known changes nothing."""


@order.command()
@click.argument("order_id")
@member_option
@click.option("--amount", callback=_amount, required=True)
@click.option("--currency", required=True, help="Such as EUR.")
@at_option
@client_option
@as_json
def add(who: str, client_id: int | None, as_json: bool, at: datetime | None, **told: Any) -> None:
    """Tell of an order: it adds to the member's spend, and is an event `purchase`.

    \b
    echelonx order add A-1001 --member ana@example.com --amount 49.90 --currency EUR
    """
    with opened() as services, write(services.sessions) as session:
        client = chosen(session, client_id)
        member_id = member_told(
            session,
            services.clock,
            services.hasher,
            client_id=client.id,
            person=_person(session, client, who),
            country=client.country,
        )
        done = record_order(
            session,
            services.clock,
            services.hasher,
            client_id=client.id,
            member_id=member_id,
            occurred_at=at,
            **told,
        )
        values = _shown(done)
    answer(values, lambda: facts(values), as_json=as_json)


@order.command()
@click.argument("order_id")
@click.argument("refund_id")
@click.option("--amount", callback=_amount, help="All that is left of the order without.")
@at_option
@client_option
@as_json
def refund(client_id: int | None, as_json: bool, at: datetime | None, **told: Any) -> None:
    """Tell of a refund of ORDER_ID, under an id of its own.

    \b
    echelonx order refund A-1001 R-17 --amount 10
    """
    with opened() as services, write(services.sessions) as session:
        client = chosen(session, client_id)
        done = record_refund(
            session,
            services.clock,
            services.hasher,
            client_id=client.id,
            occurred_at=at,
            **told,
        )
        values = _shown(done)
    answer(values, lambda: facts(values), as_json=as_json)


def _person(session: Session, client: Client, who: str) -> dict[str, Any]:
    """Return WHO as an event names a person; ids must be known, or a slip would make a member."""
    if "@" in who:
        return {"email": who}
    if who.startswith("+"):
        return {"phone": who}
    if who.isascii() and who.isdigit() and len(who) < 19:
        return {"member_id": member_by_id(session, client.id, int(who)).member_id}
    return {"member_id": member_by_key(session, client.id, who).member_id}


def _properties(given: Sequence[str]) -> dict[str, Any]:
    """Read K=V: numbers, true, false and null as such, all else as text."""
    found: dict[str, Any] = {}
    for pair in given:
        name, sign, text = pair.partition("=")
        if not sign or not name:
            raise InvalidError(
                f"“{pair[:40]}” is not K=V", field="--property", remedy="write it as page=/shoes"
            )
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        found[name] = text if isinstance(value, dict | list) else value
    return found


def _shown(told: Recorded) -> dict[str, Any]:
    one: Order = told.order
    return {
        "order_id": one.order_id,
        "kind": one.kind.value,
        "member": one.member_id,
        "amount": one.amount,
        "currency": one.currency,
        "refund_of": one.refund_of,
        "occurred_at": one.occurred_at,
        "message": one.communication_id,
        "new": told.new,
    }
