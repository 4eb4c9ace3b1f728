"""`key`: programs that may use the engine."""

from collections.abc import Sequence

import click

from accounts.audit import record
from accounts.key import issue_key
from accounts.permission import EVERYTHING
from core.db import write
from echelonx.commands.output import answer, as_json, note
from echelonx.commands.workspace import chosen, client_option, opened


@click.group()
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
            actor="cli",
            action="api_key.create",
            target=f"api_key:{row.id}",
            scopes=row.scopes,
        )
        made = {"id": row.id, "client": client.id, "name": row.name, "key": text}
    answer(made, text, as_json=as_json)
    note("Keep it: it is not shown again.")
