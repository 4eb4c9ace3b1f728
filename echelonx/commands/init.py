"""`init`: everything a fresh installation needs before its first request."""

import click
from sqlalchemy import func, select

from accounts.audit import record
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
@click.option("--email", prompt="Your e-mail address", help="The address of whoever runs it.")
@click.option("--country", help="Two letters, such as US: reads phone numbers without +.")
@click.option("--timezone", default="UTC", show_default=True, help="Such as Europe/Berlin.")
@click.option("--address", help="The postal address that commercial e-mail must carry.")
@as_json
def init(
    name: str, email: str, country: str | None, timezone: str, address: str | None, as_json: bool
) -> None:
    """Make the database, the secret key, a client, a super admin and a first API key.

    Whoever runs an installation adds its clients and their admins, so the first user is a super
    admin, whose role holds at every client. The key is printed once and cannot be shown again;
    `echelonx user reset-password` gives the user a password.

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
        row, key = issue_key(session, clock, client_id=client.id, name="first", user_id=user.id)
        for action, target in (
            ("client.create", f"client:{client.id}"),
            ("user.create", f"user:{user.id}"),
            ("api_key.create", f"api_key:{row.id}"),
        ):
            record(session, clock, client_id=client.id, actor="cli", action=action, target=target)
        return {
            "client": client.id,
            "name": client.name,
            "user": user.id,
            "url": services.settings.public_url,
            "key": key,
        }
