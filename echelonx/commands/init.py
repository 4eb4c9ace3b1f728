"""`init`: everything a fresh installation needs before its first request."""

import click
from sqlalchemy import func, select

from accounts.client import Client, create_client
from accounts.key import issue_key
from accounts.user import Role, UserStatus, create_user
from core.db import read, write
from core.errors import ConflictError
from echelonx import schema
from echelonx.commands.output import answer, as_json, facts, note
from echelonx.commands.workspace import settings
from echelonx.wiring import Services, build


@click.command()
@click.option("--name", prompt="Name of the company or shop", help="The first client's name.")
@click.option("--email", prompt="Your e-mail address", help="The admin's address.")
@click.option("--country", help="Two letters, such as US: reads phone numbers without +.")
@click.option("--timezone", default="UTC", show_default=True, help="Such as Europe/Berlin.")
@click.option("--address", help="The postal address that commercial e-mail must carry.")
@as_json
def init(
    name: str, email: str, country: str | None, timezone: str, address: str | None, as_json: bool
) -> None:
    """Make the database, the secret key, a client, its admin and a first API key.

    The key is printed once and cannot be shown again.

    \b
    echelonx init --name "My shop" --email me@shop.example --country US
    """
    services = build(settings())
    schema.migrate(services.engine)
    made = _made(services, name, email, country, timezone, address)
    services.close()
    answer(made, facts(made), as_json=as_json)
    note("Keep the key: it is not shown again.\n    -> echelonx run")


def _made(
    services: Services,
    name: str,
    email: str,
    country: str | None,
    timezone: str,
    address: str | None,
) -> dict[str, object]:
    with read(services.sessions) as session:
        if session.scalar(select(func.count()).select_from(Client)):
            raise ConflictError(
                "this database has a client already", remedy="echelonx key new, echelonx user add"
            )
    clock = services.clock
    with write(services.sessions) as session:
        client = create_client(
            session, clock, name=name, country=country, timezone=timezone, address=address
        )
        user = create_user(
            session, clock, email=email, role=Role.SUPER_ADMIN, status=UserStatus.ACTIVE
        )
        _, key = issue_key(session, clock, client_id=client.id, name="first", user_id=user.id)
        return {
            "client": client.id,
            "name": client.name,
            "user": user.id,
            "url": services.settings.public_url,
            "key": key,
        }
