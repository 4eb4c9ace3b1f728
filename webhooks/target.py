"""Target: where a stored link leads for one message.

A link may hold Liquid; it is filled with the message's own values, kept since fan-out, so that a
click goes where the message said even after the member changed.
"""

from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from accounts.client import Client
from channels.template import RenderContext, TemplateError, TemplateRenderError, link_url
from communications.communication import Communication


def resolve(session: Session, row: Communication, link: str) -> str | None:
    """Return the http or https address to go to, or None when the link leads nowhere."""
    try:
        url = link_url(link, row.merge, _context(session.get(Client, row.client_id)))
    except (TemplateError, TemplateRenderError):
        return None
    return url if _has_host(url) else None


def _has_host(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


def _context(client: Client | None) -> RenderContext:
    known = {"name": client.name, "address": client.address or ""} if client else {}
    return RenderContext(client=known, unsubscribe_url="", click_url=lambda _: "", open_url=None)
