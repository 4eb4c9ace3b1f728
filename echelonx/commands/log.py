"""`log`: what was sent to whom, and what became of it."""

import time
from datetime import timedelta
from typing import Any

import click

from campaigns.journeys.arrival import arrival
from campaigns.journeys.duration import duration
from channels.channel import Channel
from communications.communication import Communication
from communications.queries import communication, communications_page, rendered
from communications.status import Status
from communications.timeline import Moment, timeline
from core.address import mask
from core.db import read
from echelonx.commands.output import Group, answer, as_json, facts, table
from echelonx.commands.workspace import chosen, client_option, opened

FOLLOW_SECONDS = 1.0


@click.group(cls=Group)
def log() -> None:
    """Read the communications log."""


@log.command()
@click.option("-n", "limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@click.option("--channel", type=click.Choice([channel.value for channel in Channel]))
@click.option("--status", type=click.Choice([status.value for status in Status]))
@click.option("--campaign", "campaign_id", type=int)
@click.option("--member", "member_id", type=int)
@click.option("--provider", help="Of an adapter: sendgrid, twilio, …")
@click.option("--error", "error_code", help="That failed with the provider's own code.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@client_option
@as_json
def tail(limit: int, follow: bool, client_id: int | None, as_json: bool, **filters: Any) -> None:
    """Show the newest communications, oldest of them first.

    \b
    echelonx log tail
    echelonx log tail -n 100 --status failed
    echelonx log tail --provider twilio --error 30003
    echelonx log tail --follow --json
    """
    wanted = _filters(filters)
    last = 0
    with opened() as services:
        while True:
            with read(services.sessions) as session:
                client = chosen(session, client_id)
                page = communications_page(session, client.id, limit=limit, **wanted)
                rows = [line(row) for row in reversed(page) if row.id > last]
            _show(rows, as_json=as_json)
            last = max([last, *(row["id"] for row in rows)])
            if not follow:
                return
            time.sleep(FOLLOW_SECONDS)


@log.command()
@click.argument("communication_id", type=int)
@client_option
@as_json
def show(communication_id: int, client_id: int | None, as_json: bool) -> None:
    """Show one communication: its story, and what it said.

    \b
    echelonx log show 1042
    """
    with opened() as services, read(services.sessions) as session:
        client = chosen(session, client_id)
        row = communication(session, client.id, communication_id)
        held = arrival(session, client.id, communication_id)
        story = timeline(session, services.clock, client.id, communication_id, arrival=held)
        said = rendered(session, services.content, row) if row.to_address else {}
        value = line(row) | {
            "run": row.run_id,
            "provider_id": row.provider_id,
            "error": row.error_message,
            "story": [
                {
                    "at": one.at,
                    "what": one.what,
                    "source": one.source,
                    "detail": one.detail,
                    "waits": [{"seconds": each.seconds, "why": each.why} for each in one.waits],
                }
                for one in story
            ],
            "content": said,
        }
    head = {name: value[name] for name in value if name not in ("story", "content")}
    told = table(
        ("at", "what", "source", "detail", "before it"),
        [(one.at, one.what, one.source, one.detail, _waits(one)) for one in story],
    )
    faces = "\n\n".join(f"{name}:\n{text}" for name, text in said.items() if name != "html")
    answer(value, f"{facts(head)}\n\n{told}\n\n{faces}".rstrip(), as_json=as_json)


def _waits(one: Moment) -> str:
    told = [f"{duration(each.until - each.since)}: {each.why}" for each in one.waits]
    if one.told_at is not None:
        told.append(f"we heard of it {duration(one.told_at - one.at)} later")
    if one.ahead_seconds is not None:
        early = duration(timedelta(seconds=one.ahead_seconds))
        told.append(f"by the provider's clock, {early} before it can have left")
    return "; ".join(told)


def line(row: Communication) -> dict[str, Any]:
    """Return one row of the log; addresses are masked, as everywhere that is not asked for one."""
    kind = row.channel.address_kind
    return {
        "id": row.id,
        "created_at": row.created_at,
        "channel": row.channel.value,
        "direction": row.direction.value,
        "status": row.status.value,
        "reason": row.reason.value if row.reason else None,
        "member": row.member_id,
        "campaign": row.campaign_id,
        "from": mask(kind, row.from_address) if row.from_address else None,
        "to": mask(kind, row.to_address) if row.to_address else None,
    }


def _filters(given: dict[str, Any]) -> dict[str, Any]:
    kinds = {"channel": Channel, "status": Status}
    return {
        name: kinds[name](value) if name in kinds else value
        for name, value in given.items()
        if value is not None
    }


def _show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            answer(row, "", as_json=True)
    elif rows:
        answer(None, table(list(rows[0]), [list(row.values()) for row in rows]), as_json=False)
