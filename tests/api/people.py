"""People who sign in, for tests."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from accounts import password as passwords
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
            r"https://mail\.example\.com/account/[\w-]+\?token=([\w-]{43})$",
            self.letters[-1].text,
            re.MULTILINE,
        )
        assert found, self.letters[-1]
        return found[1]


@contextmanager
def counted(app: Flask) -> Iterator[Counter[str]]:
    """Count what takes time: passwords computed, statements, letters (B037 needs no clock)."""
    work: Counter[str] = Counter()
    box, hasher = with_mail(app), passwords.HASHER
    engine = app.extensions["echelonx"].sessions.kw["bind"]

    class Counting:
        def __getattr__(self, name: str) -> Any:
            work["passwords"] += name in ("hash", "verify")
            return getattr(hasher, name)

    def note(*seen: Any) -> None:
        work[" ".join(seen[2].split()[:3])] += 1

    event.listen(engine, "before_cursor_execute", note)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "HASHER", Counting())
        yield work
    event.remove(engine, "before_cursor_execute", note)
    work["letters"] = len(box.letters)


def with_mail(app: Flask) -> Mailbox:
    """Let an application write letters."""
    box = Mailbox()
    app.extensions["echelonx"] = dataclasses.replace(app.extensions["echelonx"], mailer=box)
    return box
