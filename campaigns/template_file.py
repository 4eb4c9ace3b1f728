"""Template file: a wording as a file that a person edits, such as `gift.email`.

The ending is the channel. Emails and pushes begin with `Subject: …` and an empty line. An email
without an unsubscribe link is set into a layout that has one.
"""

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePath

from channels.channel import Channel
from core.errors import InvalidError

SUBJECT = "Subject: "
BODY = "{{ body }}"
UNSUBSCRIBE = "unsubscribe_url"


@dataclass(frozen=True, slots=True)
class Wording:
    """What a template says."""

    subject: str | None
    html: str | None
    text: str | None


def channel_of(name: str) -> Channel:
    """Return the channel that a file's ending names. Raises InvalidError."""
    ending = PurePath(name).suffix.removeprefix(".").casefold()
    try:
        return Channel(ending)
    except ValueError:
        raise InvalidError(
            f"the ending of “{name[:80]}” is no channel",
            field="file",
            remedy="name it gift.email, gift.sms or gift.push, or give the channel",
        ) from None


def read_wording(channel: Channel, content: str) -> Wording:
    """Return what a file says."""
    content = content.removeprefix("\ufeff").replace("\r\n", "\n").strip()
    subject = None
    if content.startswith(SUBJECT):
        subject, _, content = content.removeprefix(SUBJECT).partition("\n")
        content = content.strip()
    if channel is not Channel.EMAIL:
        return Wording(subject, None, content)
    whole = UNSUBSCRIBE in content
    return Wording(subject, content if whole else _layout().replace(BODY, content), None)


def write_wording(wording: Wording) -> str:
    """Return a file that says it; an email comes with its layout."""
    begin = f"{SUBJECT}{wording.subject}\n\n" if wording.subject else ""
    return f"{begin}{wording.html or wording.text or ''}\n"


@cache
def _layout() -> str:
    found = files("campaigns.journeys") / "recipes" / "layout.html"
    return found.read_text(encoding="utf-8").strip()
