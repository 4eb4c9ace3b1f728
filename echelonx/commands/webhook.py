"""`webhook`: what providers posted, as it is stored, and applying it again."""

from datetime import UTC, datetime
from typing import Any

import click
from sqlalchemy.orm import Session

from accounts.audit import record
from channels.adapter import ProviderEvent
from communications.account import ProviderAccount, account
from core.address import mask
from core.db import read, write
from echelonx.commands.output import Group, answer, as_json, facts, note, table
from echelonx.commands.workspace import chosen, client_option, opened
from echelonx.wiring import Services
from webhooks.inbox import InboxItem, InboxState
from webhooks.receiver import Receivers
from webhooks.replay import REPLAYABLE, Choice, contents, matching, replay, stocks, stored, troubles

ACTOR = "cli"


class Instant(click.ParamType[datetime]):
    """A date or an instant; UTC unless it names an offset."""

    name = "instant"

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        """Return it aware, in UTC."""
        try:
            found = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no date; give 2026-11-21 or 2026-11-21T09:30", param, ctx)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


@click.group(cls=Group)
def webhook() -> None:
    """Look at stored webhooks, and apply them again."""


@webhook.command("list")
@click.option("-n", "limit", type=click.IntRange(0, 1000), default=10, show_default=True)
@client_option
@as_json
def list_(limit: int, client_id: int | None, as_json: bool) -> None:
    """Count stored requests by account and state; show the newest errors.

    \b
    echelonx webhook list
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        kept = [
            {
                "account": f"{one.account_id} {one.account}",
                "state": one.state.value,
                "requests": one.requests,
                "events": one.events,
                "newest": one.newest,
            }
            for one in stocks(session, client.id)
        ]
        errors = [_line(item) for item in troubles(session, client.id, limit=limit)]
    parts = [_rows(kept)]
    if errors:
        parts.append(f"newest errors:\n{_rows(errors)}")
    answer({"stored": kept, "errors": errors}, "\n\n".join(parts), as_json=as_json)


@webhook.command()
@click.argument("item_id", type=int)
@click.option("--body", "with_body", is_flag=True, help="Show the body too; it is audited.")
@client_option
@as_json
def show(item_id: int, with_body: bool, client_id: int | None, as_json: bool) -> None:
    """Show one stored request: what it is, and the events in it.

    Addresses are masked and the body is left out, unless it is asked for.

    \b
    echelonx webhook show 1042
    echelonx webhook show 1042 --body
    """
    with opened() as services, write(services.sessions) as session:
        client = chosen(session, client_id)
        item = stored(session, client.id, item_id)
        value = _described(services, session, item, with_body=with_body)
        if with_body:
            record(
                session,
                services.clock,
                client_id=client.id,
                actor=ACTOR,
                action="webhook.read",
                target=f"inbox:{item_id}",
            )
    head = {name: value[name] for name in value if name not in ("contains", "body")}
    parts = [facts(head), _rows(value["contains"])]
    answer(value, "\n\n".join([*parts, *([value["body"]] if with_body else [])]), as_json=as_json)


@webhook.command("replay")
@click.option("--dead", "states", flag_value="dead", help="What could not be understood.")
@click.option("--applied", "states", flag_value="applied", help="What was applied already.")
@click.option("--since", type=Instant(), help="Received then or later; UTC.")
@click.option("--until", type=Instant(), help="Received before then; UTC.")
@click.option("--account", "account_id", type=int, help="Of one provider account.")
@click.option("--id", "ids", type=int, multiple=True, help="This one; may be given repeatedly.")
@click.option("--dry-run", is_flag=True, help="Count only.")
@client_option
@as_json
def replay_(
    states: str | None, dry_run: bool, client_id: int | None, as_json: bool, **filters: Any
) -> None:
    """Put stored requests back to be applied again.

    Without --applied or --id, those that are dead. Applying again changes nothing that is known.

    \b
    echelonx webhook replay --dead --dry-run
    echelonx webhook replay --applied --since 2026-11-21 --account 3
    echelonx webhook replay --id 1042 --id 1043
    """
    wanted = Choice(states=_states(states, filters["ids"]), **filters)
    with opened() as services:
        count = _replayed(services, client_id, wanted, dry_run=dry_run)
        services.receipt_bell.ring()
    values = {"requests": count, "dry_run": dry_run}
    answer(values, facts(values), as_json=as_json)
    if not dry_run and count:
        note("A worker applies them; `echelonx webhook list` shows how far it is.")


def _replayed(services: Services, client_id: int | None, wanted: Choice, *, dry_run: bool) -> int:
    with write(services.sessions) as session:
        client = chosen(session, client_id)
        if wanted.account_id is not None:
            account(session, client.id, wanted.account_id)
        if dry_run:
            return matching(session, client.id, wanted)
        return len(replay(session, services.clock, client_id=client.id, actor=ACTOR, choice=wanted))


def _states(named: str | None, ids: tuple[int, ...]) -> tuple[InboxState, ...]:
    if named is not None:
        return (InboxState(named),)
    return REPLAYABLE if ids else (InboxState.DEAD,)


def _line(item: InboxItem) -> dict[str, Any]:
    return {
        "id": item.id,
        "account": item.provider_account_id,
        "state": item.state.value,
        "tries": item.tries,
        "received_at": item.received_at,
        "error": item.error,
    }


def _described(
    services: Services, session: Session, item: InboxItem, *, with_body: bool
) -> dict[str, Any]:
    receivers = Receivers(services.vault, services.egress)
    found = contents(session, services.vault, receivers, item)
    owner = session.get_one(ProviderAccount, item.provider_account_id)
    kind = owner.channel.address_kind
    value: dict[str, Any] = _line(item) | {
        "account": f"{owner.id} {owner.name}",
        "applied_at": item.applied_at,
        "repeats": item.repeats,
        "events": item.events,
        "duplicates": item.duplicates,
        "method": found.webhook.method,
        "size": len(found.webhook.body),
        "headers": sorted(found.webhook.headers),
        "unreadable": found.trouble,
        "contains": [_event(kind, event) for event in found.events],
    }
    if with_body:
        value["body"] = found.webhook.body.decode("utf-8", "replace")
    return value


def _event(kind: str, event: ProviderEvent) -> dict[str, Any]:
    return {
        "type": event.type.value,
        "their_word": event.provider_status,
        "at": event.occurred_at,
        "address": mask(kind, event.address) if event.address else None,
        "code": event.code,
        "provider_id": event.provider_id,
    }


def _rows(rows: list[dict[str, Any]]) -> str:
    return table(list(rows[0]), [list(row.values()) for row in rows]) if rows else "(none)"
