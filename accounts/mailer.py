"""Mailer: how the engine itself writes to its users. Wiring decides what is behind it.

A letter's link is built on the configured public address, never on what a request claims.
"""

import re
from dataclasses import dataclass
from typing import Protocol

MAX_NAME = 100
LINKS = re.compile(r"[/\\:@]|\.(?=\S)")
"""What makes a name that somebody gave themselves a link in the eyes of a mail program."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One short text to one user."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """Sends letters."""

    @property
    def works(self) -> bool:
        """Whether letters leave at all; otherwise links are handed to whoever asked for them."""
        ...

    def send(self, letter: Letter) -> None:
        """Send without waiting; what fails is logged without its address."""
        ...


class NoMailer:
    """Stands in where no mail server is configured."""

    works = False

    def send(self, letter: Letter) -> None:
        """Do nothing."""


def link(public_url: str, page: str, token: str) -> str:
    """Return the address a letter leads to."""
    return f"{public_url}/account/{page}?token={token}"


def letter_of(kind: str, *, to: str, link: str, client: str = "", who: str = "") -> Letter:
    """Return the letter of a kind: `invitation` (by `who`), `reset`, `sign-in` or `verify`."""
    subject, text = TEXTS[kind]
    by = f" by {_line(who)}" if who else ""
    values = {"link": link, "client": _line(client), "by": by}
    return Letter(to, subject.format(**values), text.format(**values))


def _line(text: str) -> str:
    """Return a name as one line in which nothing looks like a link or an address."""
    return " ".join(LINKS.sub(" ", text).split())[:MAX_NAME]


TEXTS = {
    "invitation": (
        "You are invited to {client}",
        (
            "You are invited{by} to work for {client} in EchelonX.\n\n"
            "Accept within seven days:\n{link}\n\n"
            "If you do not know what this is about, do nothing.\n"
        ),
    ),
    "reset": (
        "Set a new password",
        (
            "Somebody asked for a new password for this address in EchelonX.\n\n"
            "Set it within one hour:\n{link}\n\n"
            "If that was not you, do nothing: your password stays.\n"
        ),
    ),
    "sign-in": (
        "Your link to sign in",
        (
            "Sign in to EchelonX within fifteen minutes:\n{link}\n\n"
            "If you did not ask for it, do nothing, and hand it on to nobody.\n"
        ),
    ),
    "verify": (
        "Confirm this address",
        (
            "Confirm within one day that this address is yours:\n{link}\n\n"
            "If you do not know what this is about, do nothing.\n"
        ),
    ),
}
"""Subject and text of each kind."""
