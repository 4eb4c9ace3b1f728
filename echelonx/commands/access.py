"""`key`: programs that may use the engine."""

from collections.abc import Sequence

import click

from accounts.audit import record
from accounts.key import issue_key, keys, revoke_key
from accounts.permission import EVERYTHING
from core.db import read, write
from echelonx.commands.output import Group, answer, as_json, facts, note, table
from echelonx.commands.workspace import chosen, client_option, opened

ACTOR = "cli"
COLUMNS = ("id", "name", "prefix", "scopes", "last_used_at", "expires_at", "revoked_at")


@click.group(cls=Group)
def key() -> None:
    """API keys."""


@key.command("new")
@click.option("--name", required=True, help="What it is for.")
@click.option(
    "--scope", "scopes", multiple=True, help="What it may do; everything without. Repeat it."
)
@click.option(
    "--rate", type=click.IntRange(1, 100_000), help="Requests a second, instead of every key's."
)
@client_option
@as_json
def new(
    name: str, scopes: Sequence[str], rate: int | None, client_id: int | None, as_json: bool
) -> None:
    """Make an API key. It is printed once.

    \b
    echelonx key new --name "Checkout"
    echelonx key new --name "Web shop" --scope events:write
    """
    with opened() as services, write(services.sessions) as session:
        client = chosen(session, client_id)
        row, text = issue_key(
            session,
            services.clock,
            client_id=client.id,
            name=name,
            scopes=scopes or (EVERYTHING,),
            rate=rate,
        )
        record(
            session,
            services.clock,
            client_id=client.id,
            actor=ACTOR,
            action="api_key.create",
            target=f"api_key:{row.id}",
            scopes=row.scopes,
        )
        made = {"id": row.id, "client": client.id, "name": row.name, "key": text}
    answer(made, text, as_json=as_json)
    note("Keep it: it is not shown again.")


@key.command("list")
@client_option
@as_json
def list_(client_id: int | None, as_json: bool) -> None:
    """List API keys, newest first, revoked ones too. Their text is kept nowhere.

    \b
    echelonx key list
    """
    with opened() as services, read(services.sessions) as session:
        found = keys(session, chosen(session, client_id).id, limit=1000)
        rows = [{name: getattr(one, name) for name in (*COLUMNS, "rate")} for one in found]
    answer(
        {"keys": rows},
        lambda: table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows]),
        as_json=as_json,
    )


@key.command()
@click.argument("key_id", type=int)
@client_option
@as_json
def revoke(key_id: int, client_id: int | None, as_json: bool) -> None:
    """End an API key at once; a second time changes nothing.

    \b
    echelonx key revoke 3
    """
    with opened() as services, write(services.sessions) as session:
        client = chosen(session, client_id)
        ended = revoke_key(session, services.clock, client_id=client.id, key_id=key_id)
        record(
            session,
            services.clock,
            client_id=client.id,
            actor=ACTOR,
            action="api_key.revoke",
            target=f"api_key:{ended.id}",
        )
        values = {"id": ended.id, "name": ended.name, "revoked_at": ended.revoked_at}
    answer(values, facts(values), as_json=as_json)
