"""`key` and `user`: who may use the engine."""

from collections.abc import Sequence

import click

from accounts.key import issue_key
from accounts.permission import EVERYTHING
from accounts.user import Role, create_user
from core.db import write
from echelonx.commands.output import answer, as_json, facts, note
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
        made = {"id": row.id, "client": client.id, "name": row.name, "key": text}
    answer(made, text, as_json=as_json)
    note("Keep it: it is not shown again.")


@click.group()
def user() -> None:
    """People who log in."""


@user.command("add")
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.USER.value)
@client_option
@as_json
def add(email: str, role: str, client_id: int | None, as_json: bool) -> None:
    """Add a user with a role at a client.

    \b
    echelonx user add mia@shop.example --role admin
    """
    with opened() as services, write(services.sessions) as session:
        client = chosen(session, client_id)
        made = create_user(
            session, services.clock, email=email, role=Role(role), client_id=client.id
        )
        values = {"id": made.id, "client": client.id, "email": made.email, "role": role}
    answer(values, facts(values), as_json=as_json)
