"""`client`: the companies and shops of this installation."""

from pathlib import Path
from typing import Any

import click

from accounts.audit import record
from accounts.client import ClientStatus, SubscriptionTier, create_client
from accounts.client_archive import ClientArchive
from accounts.client_data import stored
from accounts.client_edit import change_tier
from accounts.client_queries import clients_page, expiring_contracts
from campaigns import spending
from core.db import read, snapshot, write
from echelonx.commands.output import Group, answer, as_json, facts, table
from echelonx.commands.workspace import chosen, client_option, opened

ACTOR = "cli"
COLUMNS = ("id", "name", "status", "subscription_tier", "contract_end", "monthly_spend_limit")


@click.group(cls=Group)
def client() -> None:
    """Companies and shops: everything belongs to one of them."""


@client.command("list")
@click.option("--status", type=click.Choice([one.value for one in ClientStatus]))
@click.option("--tier", type=click.Choice([one.value for one in SubscriptionTier]))
@click.option("--search", "words", help="Words that the name or e-mail address holds.")
@click.option("--after", default=0, help="Go on behind this id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@as_json
def list_clients(
    status: str | None, tier: str | None, words: str | None, after: int, limit: int, as_json: bool
) -> None:
    """List clients, oldest first.

    \b
    echelonx client list --status active --search bakery
    """
    with opened() as services, read(services.sessions) as session:
        found = clients_page(
            session,
            None,
            status=ClientStatus(status) if status else None,
            tier=SubscriptionTier(tier) if tier else None,
            words=words,
            after=after,
            limit=limit,
        )
        rows = [{name: getattr(one, name) for name in COLUMNS} for one in found]
    answer(rows, lambda: table(COLUMNS, [tuple(row.values()) for row in rows]), as_json=as_json)


@client.command()
@click.argument("client_id", type=int, required=False)
@as_json
def show(client_id: int | None, as_json: bool) -> None:
    """Show a client; where there is only one, that one.

    \b
    echelonx client show 1
    """
    with opened() as services, read(services.sessions) as session:
        found = chosen(session, client_id)
        values = {column.key: getattr(found, column.key) for column in found.__table__.columns}
    answer(values, facts(values), as_json=as_json)


@client.command()
@click.argument("name")
@click.option("--country", help="Two letters, such as US: reads phone numbers without +.")
@click.option("--timezone", default="UTC", show_default=True, help="Such as Europe/Berlin.")
@click.option("--email", help="Where the client is reached.")
@click.option("--address", help="The postal address that commercial e-mail must carry.")
@as_json
def create(
    name: str, country: str | None, timezone: str, email: str | None, address: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Add a client; its first admin comes next.

    \b
    echelonx client create "Tea Bakery" --country DE --timezone Europe/Berlin
    echelonx user add mia@bakery.example --role admin --client 2
    """
    with opened() as services, write(services.sessions) as session:
        made = create_client(
            session, services.clock, name=name, country=country, timezone=timezone, email=email,
            address=address,
        )  # fmt: skip
        _note(session, services.clock, made.id, "client.create")
        values = {"client": made.id, "name": made.name}
    answer(values, facts(values), as_json=as_json)


@client.command()
@click.argument("tier_name", metavar="TIER", type=click.Choice([t.value for t in SubscriptionTier]))
@click.option("--reason", help="Why, for the audit log.")
@client_option
@as_json
def tier(tier_name: str, reason: str | None, client_id: int | None, as_json: bool) -> None:
    """Give a client a tier; a second time changes nothing.

    \b
    echelonx client tier premium --client 1 --reason "Signed in November"
    """
    with opened() as services, write(services.sessions) as session:
        found = chosen(session, client_id)
        changed = change_tier(
            session, services.clock, client_id=found.id, tier=SubscriptionTier(tier_name),
            actor=ACTOR, reason=reason,
        )  # fmt: skip
        values = {"client": found.id, "tier": tier_name, "changed": changed}
    answer(values, facts(values), as_json=as_json)


@client.command()
@click.option("--months", type=click.IntRange(1, 24), default=3, show_default=True)
@client_option
@as_json
def usage(months: int, client_id: int | None, as_json: bool) -> None:
    """Show messages and what they cost, by month and channel, beside the limit.

    \b
    echelonx client usage --months 6
    """
    columns = ("month", "channel", "sent", "not_sent", "received", "settled", "estimated")
    with opened() as services, read(services.sessions) as session:
        found = chosen(session, client_id)
        month = spending.spend(session, services.clock, found)
        used = spending.usage(session, services.clock, client_id=found.id, months=months)
        many = spending.counted(session, found.id)
    rows = [
        {name: getattr(one, name) for name in columns} | {"currency": one.currency} for one in used
    ]
    answer(
        {"client": found.id, **many, "this_month": spending.told(month), "months": rows},
        lambda: (
            table((*columns, "currency"), [tuple(row.values()) for row in rows])
            + f"\n\nthis month {month.highest} of {month.limit or 'no limit'}"
            + "".join(f"\n{name} {count:,}" for name, count in many.items())
        ),
        as_json=as_json,
    )


@client.command()
@click.option("--days", type=click.IntRange(0, 3650), default=30, show_default=True)
@as_json
def expiring(days: int, as_json: bool) -> None:
    """List contracts that end within so many days, and those that have ended.

    \b
    echelonx client expiring --days 60
    """
    columns = ("id", "name", "contract_end", "days_left", "overdue")
    with opened() as services, read(services.sessions) as session:
        found = expiring_contracts(session, services.clock, None, days=days, limit=1000)
    rows = [
        (one.client.id, one.client.name, one.client.contract_end, one.days_left, one.overdue)
        for one in found
    ]
    values = [dict(zip(columns, row, strict=True)) for row in rows]
    answer(values, lambda: table(columns, rows), as_json=as_json)


@client.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@client_option
@as_json
def export(file: Path, client_id: int | None, as_json: bool) -> None:
    """Write everything stored about a client to a ZIP: JSON lines for each table.

    manifest.json says how many rows there are, the SHA-256 of each file and which columns may hold
    personal data. Secrets, and what is kept hashed or encrypted, are not in it. The file is
    readable by you alone.

    \b
    echelonx client export bakery.zip --client 2
    """
    file.touch(mode=0o600)
    file.chmod(0o600)
    with opened() as services:
        with write(services.sessions) as session:
            found = chosen(session, client_id)
            _note(session, services.clock, found.id, "client.export")
        archive, at = ClientArchive(), services.clock.now()
        with snapshot(services.sessions) as session, file.open("wb") as out:
            for _ in archive.write(out, stored(session, found.id), client_id=found.id, at=at):
                pass
    values = {"file": str(file), "client": found.id}
    values |= {"tables": len(archive.tables), "rows": archive.rows}
    answer(values, facts(values), as_json=as_json)


def _note(session: Any, clock: Any, client_id: int, action: str) -> None:
    target = f"client:{client_id}"
    record(session, clock, client_id=client_id, actor=ACTOR, action=action, target=target)
