"""`key` and `user`: who may use the engine."""

import secrets
from collections.abc import Mapping, Sequence

import click

from accounts.key import issue_key
from accounts.password import hashed
from accounts.permission import EVERYTHING
from accounts.recovery import set_password
from accounts.user import Role, UserStatus, create_user, user_by_email
from core.db import write
from core.errors import NotFoundError
from echelonx.commands.output import answer, as_json, facts, note
from echelonx.commands.workspace import chosen, client_option, opened

PASSWORD_BYTES = 15


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


ask_option = click.option("--ask", is_flag=True, help="Ask for the password; else one is made up.")


@user.command("add")
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.USER.value)
@ask_option
@client_option
@as_json
def add(email: str, role: str, ask: bool, client_id: int | None, as_json: bool) -> None:
    """Add a user with a role at a client, and a password to sign in with. It is printed once.

    \b
    echelonx user add mia@shop.example --role admin
    echelonx user add me@shop.example --role super_admin --ask
    """
    password, kept = _password(email, ask)
    with opened() as services, write(services.sessions) as session:
        everywhere = role == Role.SUPER_ADMIN
        client = None if everywhere and client_id is None else chosen(session, client_id)
        made = create_user(
            session,
            services.clock,
            email=email,
            role=Role(role),
            client_id=client.id if client else None,
            status=UserStatus.ACTIVE,
        )
        made.password_hash = kept
        values = {"id": made.id, "client": client and client.id, "email": made.email, "role": role}
    _told(values, password, as_json=as_json)


@user.command("reset-password")
@click.argument("email")
@ask_option
@as_json
def reset_password(email: str, ask: bool, as_json: bool) -> None:
    """Give a user another password. Every session and key of theirs ends.

    \b
    echelonx user reset-password mia@shop.example
    """
    password, kept = _password(email, ask)
    with opened() as services, write(services.sessions) as session:
        found = user_by_email(session, email)
        if found is None:
            raise NotFoundError("there is no user with this address", field="email")
        set_password(session, services.clock, found, password_hash=kept)
        if found.status is UserStatus.PENDING:
            found.status = UserStatus.ACTIVE
        values = {"id": found.id, "email": found.email}
    _told(values, password, as_json=as_json)


def _password(email: str, ask: bool) -> tuple[str | None, str]:
    """Return a password to be shown, if it was made up here, and its hash."""
    if ask:
        told = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return None, hashed(told, email=email)
    made = secrets.token_urlsafe(PASSWORD_BYTES)
    return made, hashed(made, email=email)


def _told(values: Mapping[str, object], password: str | None, *, as_json: bool) -> None:
    shown = {**values} if password is None else {**values, "password": password}
    answer(shown, facts(shown), as_json=as_json)
    if password is not None:
        note("Keep the password: it is not shown again. Change it with POST /api/v1/me/password.")
