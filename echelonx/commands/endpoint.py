"""`endpoint`: URLs of a client's own that are told what happens."""

from datetime import datetime
from typing import Any

import click

from accounts.audit import record
from accounts.endpoint import add_endpoint, checked_url, endpoints, secrets_of
from accounts.endpoint import endpoint as endpoint_of
from accounts.outbox import DeliveryState, EndpointDelivery
from core.db import read, write
from echelonx.commands.output import Group, answer, as_json, facts, note, table
from echelonx.commands.webhook import Instant
from echelonx.commands.workspace import chosen, client_option, opened
from webhooks.delivery import (
    REPLAYED_AT_ONCE,
    deliveries_page,
    replay_failed,
    replay_one,
    send_test,
)

ACTOR = "cli"


@click.group(cls=Group)
def endpoint() -> None:
    """Tell URLs of your own what happens; see docs/reference/outbound-webhooks.md."""


@endpoint.command("list")
@client_option
@as_json
def list_(client_id: int | None, as_json: bool) -> None:
    """List endpoints and how they fare.

    \b
    echelonx endpoint list
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        rows = [
            {
                "id": one.id,
                "url": one.url,
                "types": " ".join(one.types),
                "enabled": one.enabled,
                "why": one.disabled_reason,
                "failures": one.failures,
                "last_success": one.last_success_at,
            }
            for one in endpoints(session, client.id)
        ]
    answer(rows, _rows(rows), as_json=as_json)


@endpoint.command()
@click.argument("url")
@click.option("-t", "--type", "types", multiple=True, default=("*",), show_default=True,
              help="An event type or a group; may be given repeatedly.")  # fmt: skip
@click.option("--description", help="What it is for.")
@client_option
@as_json
def add(
    url: str, types: tuple[str, ...], description: str | None, client_id: int | None, as_json: bool
) -> None:
    """Add an endpoint and print its signing secret.

    \b
    echelonx endpoint add https://crm.example.com/hook -t 'communication.*' -t member.created
    """
    with opened() as services, write(services.sessions) as session:
        client = chosen(session, client_id)
        settings = services.settings
        good = checked_url(
            url,
            allow_http=settings.allow_http_endpoints,
            allow_private=settings.allow_private_egress,
        )
        made = add_endpoint(
            session, services.clock, services.vault, client_id=client.id, url=good, types=types,
            description=description,
        )  # fmt: skip
        record(
            session, services.clock, client_id=client.id, actor=ACTOR, action="endpoint.create",
            target=f"endpoint:{made.id}",
        )  # fmt: skip
        (secret,) = secrets_of(services.clock, services.vault, made)
        values = {"id": made.id, "url": made.url, "types": made.types, "secret": secret}
    answer(values, facts(values | {"types": " ".join(made.types)}), as_json=as_json)


@endpoint.command()
@click.argument("endpoint_id", type=int)
@client_option
@as_json
def test(endpoint_id: int, client_id: int | None, as_json: bool) -> None:
    """Have an `endpoint.test` sent to an endpoint.

    \b
    echelonx endpoint test 1
    """
    with opened() as services, write(services.sessions) as session:
        client = chosen(session, client_id)
        row = send_test(session, services.clock, endpoint_of(session, client.id, endpoint_id))
        value = _line(row)
    answer(value, facts(value), as_json=as_json)
    note(f"A worker sends it; `echelonx endpoint deliveries {endpoint_id}` shows what came of it.")


@endpoint.command()
@click.argument("endpoint_id", type=int)
@click.option("--state", type=click.Choice([one.value for one in DeliveryState]))
@click.option("-n", "limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@client_option
@as_json
def deliveries(
    endpoint_id: int, state: str | None, limit: int, client_id: int | None, as_json: bool
) -> None:
    """Show what an endpoint was told, newest first, and how it answered.

    \b
    echelonx endpoint deliveries 1 --state failed
    """
    with opened() as services, read(services.sessions) as session:
        found = endpoint_of(session, chosen(session, client_id).id, endpoint_id)
        meant = DeliveryState(state) if state else None
        rows = [_line(row) for row in deliveries_page(session, found, limit=limit, state=meant)]
    answer(rows, _rows(rows), as_json=as_json)


@endpoint.command()
@click.argument("endpoint_id", type=int)
@click.option("--since", type=Instant(), help="All that failed of what happened since; UTC.")
@click.option("--until", type=Instant(), help="And before then; UTC.")
@click.option("--id", "ids", type=int, multiple=True, help="This delivery, failed or not.")
@client_option
@as_json
def replay(
    endpoint_id: int,
    since: datetime | None,
    until: datetime | None,
    ids: tuple[int, ...],
    client_id: int | None,
    as_json: bool,
) -> None:
    """Tell an endpoint again, under the same webhook-id.

    \b
    echelonx endpoint replay 1 --since 2026-11-21
    echelonx endpoint replay 1 --id 1042
    """
    if since is None and not ids:
        raise click.UsageError("say what: --since or --id")
    with opened() as services:
        with write(services.sessions) as session:
            where = chosen(session, client_id).id
            found = endpoint_of(session, where, endpoint_id)
            count = len([replay_one(session, services.clock, found, one) for one in ids])
            record(
                session, services.clock, client_id=where, actor=ACTOR, action="endpoint.replay",
                target=f"endpoint:{endpoint_id}",
            )  # fmt: skip
        more = since is not None
        while since is not None and more:
            with write(services.sessions) as session:
                found = endpoint_of(session, where, endpoint_id)
                some = replay_failed(session, services.clock, found, since=since, until=until)
            count, more = count + some, some == REPLAYED_AT_ONCE
    values = {"replayed": count}
    answer(values, facts(values), as_json=as_json)


def _line(row: EndpointDelivery) -> dict[str, Any]:
    last = row.attempts[-1] if row.attempts else {}
    return {
        "id": row.id,
        "type": row.type.value,
        "object": row.object,
        "at": row.at,
        "state": row.state.value,
        "tries": row.tries,
        "status": last.get("status"),
        "problem": last.get("problem"),
    }


def _rows(rows: list[dict[str, Any]]) -> str:
    return table(list(rows[0]), [list(row.values()) for row in rows]) if rows else "(none)"
