"""Letters: what the API writes to users, sent once their links are in the database."""

from accounts.mailer import letter_of, link
from api.context import after_commit, services
from core.errors import ConflictError


def write_letter(kind: str, *, to: str, token: str, client: str = "", who: str = "") -> None:
    """Send a letter of a kind after this request's commit."""
    letter = letter_of(kind, to=to, link=link_to(kind, token), client=client, who=who)
    after_commit(lambda: services().mailer.send(letter))


def require_mail() -> None:
    """Raise ConflictError where no letter leaves."""
    if not services().mailer.works:
        raise ConflictError("no mail server is configured", remedy="set ECHELONX_MAIL_URL")


def link_to(kind: str, token: str) -> str:
    """Return the address of a link, on the address that is configured and no other (B024)."""
    return link(services().settings.public_url, kind, token)
