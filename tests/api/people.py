"""People who sign in, for tests."""

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any

from flask import Flask

from accounts.mailer import Letter
from accounts.password import hashed
from accounts.user import Role, User, UserStatus, create_user
from core.clock import Clock
from core.db import Sessions, write
from tests.api.caller import Caller

PASSWORD = "correct horse battery"


def settled(
    sessions: Sessions,
    clock: Clock,
    client_id: int | None,
    *,
    email: str = "ana@example.com",
    role: Role = Role.ADMIN,
    status: UserStatus = UserStatus.ACTIVE,
) -> int:
    """Make somebody who can sign in with PASSWORD."""
    with write(sessions) as session:
        made = create_user(
            session, clock, email=email, role=role, client_id=client_id, status=status
        )
        session.get_one(User, made.id).password_hash = hashed(PASSWORD, email=email)
        return made.id


def entered(app: Flask, email: str = "ana@example.com", **more: Any) -> Caller:
    """Sign in, and return who can call now."""
    http = app.test_client()
    made = Caller(http, None).post("/sign-in", {"email": email, "password": PASSWORD, **more})
    return Caller(http, made["token"])


@dataclass
class Mailbox:
    """Keeps letters instead of sending them."""

    works: bool = True
    letters: list[Letter] = field(default_factory=list)

    def send(self, letter: Letter) -> None:
        """Keep it."""
        self.letters.append(letter)

    @property
    def token(self) -> str:
        """The text of the last letter's link."""
        found = re.search(
            r"https://mail\.example\.com/account/\w+\?token=([\w-]{43})$",
            self.letters[-1].text,
            re.MULTILINE,
        )
        assert found, self.letters[-1]
        return found[1]


def with_mail(app: Flask) -> Mailbox:
    """Let an application write letters."""
    box = Mailbox()
    app.extensions["echelonx"] = dataclasses.replace(app.extensions["echelonx"], mailer=box)
    return box
