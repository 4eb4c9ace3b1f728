"""`user`: people who log in, and their role at each client."""

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import click
from sqlalchemy.orm import Session

from accounts.audit import record
from accounts.invitation import Inviter
from accounts.invitation import invite as invited
from accounts.mailer import letter_of, link
from accounts.password import hashed
from accounts.permission import allowed
from accounts.recovery import set_password
from accounts.user import Role, UserStatus, create_user, user_by_email
from accounts.user_edit import Editor, update_user
from accounts.user_queries import Seen, seen_by_email, users_page
from core.db import read, write
from core.errors import NotFoundError
from core.page import Walk
from echelonx.commands.output import Group, answer, as_json, facts, note, table
from echelonx.commands.workspace import chosen, client_option, opened
from echelonx.wiring import Services

ACTOR = "cli"
PASSWORD_BYTES = 15
ROLES = [role.value for role in Role]
INVITABLE = [role.value for role in Role if role is not Role.SUPER_ADMIN]
COLUMNS = ("id", "email", "name", "role", "status", "roles")


@click.group(cls=Group)
def user() -> None:
    """People who log in."""


ask_option = click.option("--ask", is_flag=True, help="Ask for the password; else one is made up.")


@user.command("add")
@click.argument("email")
@click.option("--role", type=click.Choice(ROLES), default=Role.USER.value)
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
        at = client.id if client else None
        _note(services, session, "user.create", f"user:{made.id}", at, role=role)
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
        _note(services, session, "user.reset", f"user:{found.id}", None)
        values = {"id": found.id, "email": found.email}
    _told(values, password, as_json=as_json)


@user.command("list")
@click.option("--role", type=click.Choice(ROLES))
@click.option("--status", type=click.Choice([one.value for one in UserStatus]))
@click.option("--search", "words", help="Words that the name or e-mail address holds.")
@click.option("--client", "client_id", type=int, help="Of one client; else of every one.")
@click.option("--after", default=0, help="Go on behind this id.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@as_json
def list_users(
    role: str | None, status: str | None, words: str | None, client_id: int | None, after: int,
    limit: int, as_json: bool,
) -> None:  # fmt: skip
    """List users, oldest first; `roles` says which role they have at which client.

    Whoever is let in no more at one client has that status behind their role there.

    \b
    echelonx user list --role admin --client 1
    """
    with opened() as services, read(services.sessions) as session:
        found = users_page(
            session, client_id, role=Role(role) if role else None,
            status=UserStatus(status) if status else None, words=words,
            walk=Walk(edge=(after,)), limit=limit,
        )  # fmt: skip
        rows = [
            (
                one.user.id, one.user.email, one.user.full_name, one.role.value,
                one.status.value, " ".join(_places(one)),
            )
            for one in found
        ]  # fmt: skip
    values = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    answer(values, lambda: table(COLUMNS, rows), as_json=as_json)


@user.command("role")
@click.argument("email")
@click.argument("role", type=click.Choice(ROLES))
@client_option
@as_json
def give_role(email: str, role: str, client_id: int | None, as_json: bool) -> None:
    """Give a user a role at a client; a lower one ends every session and key of theirs.

    \b
    echelonx user role mia@shop.example manager
    echelonx user role me@shop.example super_admin
    """
    _changed(email, client_id, {"role": role}, as_json=as_json)


@user.command()
@click.argument("email")
@click.option("--client", "client_id", type=int, help="At one client only; else everywhere.")
@as_json
def suspend(email: str, client_id: int | None, as_json: bool) -> None:
    """Let a user in no more. Every session of theirs ends, and every key (of that client).

    \b
    echelonx user suspend mia@shop.example
    """
    _changed(email, client_id, {"status": UserStatus.SUSPENDED.value}, as_json=as_json)


@user.command()
@click.argument("email")
@click.option("--client", "client_id", type=int, help="At one client only; else the account.")
@as_json
def activate(email: str, client_id: int | None, as_json: bool) -> None:
    """Let a user in again.

    \b
    echelonx user activate mia@shop.example
    """
    _changed(email, client_id, {"status": UserStatus.ACTIVE.value}, as_json=as_json)


@user.command()
@click.argument("email")
@click.option("--role", type=click.Choice(INVITABLE), default=Role.USER.value, show_default=True)
@client_option
@as_json
def invite(email: str, role: str, client_id: int | None, as_json: bool) -> None:
    """Invite somebody to a role. Where no mail server is set, the link is printed to hand on.

    \b
    echelonx user invite mia@shop.example --role manager
    """
    top = Role.SUPER_ADMIN
    with opened() as services:
        mails = services.mailer.works
        with write(services.sessions) as session:
            where = chosen(session, client_id)
            inviter = Inviter(where.id, ACTOR, top, allowed(top), mails)
            made, text = invited(session, services.clock, inviter, email=email, role=Role(role))
            _note(services, session, "invitation.create", f"invitation:{made.id}", where.id)
            address = link(services.settings.public_url, "invitation", text)
            letter = letter_of("invitation", to=made.email, link=address, client=where.name)
            values = {"id": made.id, "client": where.id, "email": made.email, "role": role}
            values |= {"expires_at": made.expires_at, "link": None if mails else address}
        if mails:
            services.mailer.send(letter)
    answer(values, facts(values), as_json=as_json)


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


def _changed(
    email: str, client_id: int | None, changes: Mapping[str, str], *, as_json: bool
) -> None:
    """Change a user as whoever runs this installation may, and write down that it was done.

    A status is the account's, or with a client the one there, as an admin there would set it.
    """
    with opened() as services, write(services.sessions) as session:
        user_id = seen_by_email(session, None, email).user.id
        there = "status" in changes and client_id is not None
        everywhere = changes.get("role", Role.SUPER_ADMIN) == Role.SUPER_ADMIN and not there
        where = None if everywhere else chosen(session, client_id).id
        editor = Editor(Role.ADMIN if there else Role.SUPER_ADMIN, where)
        seen = update_user(session, services.clock, editor=editor, user_id=user_id, **changes)
        places = {at for at, _ in seen.roles} if where is None else {where}
        for at in sorted(places) or (None,):
            _note(services, session, "user.update", f"user:{user_id}", at, **changes)
        values = {"id": user_id, "client": where, "email": seen.user.email, **changes}
    answer(values, facts(values), as_json=as_json)


def _places(one: Seen) -> Iterator[str]:
    """Yield client, role, and what keeps a user out there."""
    for at, held in one.roles:
        yield f"{at}:{held.value}" + (f"({one.barred[at].value})" if at in one.barred else "")


def _note(
    services: Services, session: Session, action: str, target: str, at: int | None, **detail: Any
) -> None:
    record(
        session, services.clock, client_id=at, actor=ACTOR, action=action, target=target, **detail
    )
