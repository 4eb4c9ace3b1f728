"""Draft: one message to one member as it is asked for, and what it takes to send it.

Outside campaigns and journeys: a receipt, a password link, an answer of the support. A draft names
its wordings in the order they are tried; each is a template, or the text itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from campaigns.campaign import Priority
from campaigns.template import TemplateVersion, has_unsubscribe, latest_version, template
from channels.channel import Channel
from channels.wording import MAX_SMS
from communications.account import active_account
from communications.communication import MessageType
from core.errors import ConflictError, InvalidError
from core.lines import line_break

EVENT = "event."
JOURNEY = "journey."
MAX_WORDINGS = 4
HOLE = re.compile(r"\{\{|\{%")
"""What a template fills."""


class NoProviderError(ConflictError):
    """No active provider account carries this channel."""

    code = "no_provider"


@dataclass(frozen=True, slots=True)
class Wording:
    """What to say on one channel: a template, whose channel it is, or a channel and the text."""

    template_id: int | None = None
    channel: Channel | None = None
    subject: str | None = None
    """With a text: the subject of an email, the title of a push."""
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Cap:
    """No more than so many messages to the member within so many hours, this one included."""

    messages: int
    hours: int


@dataclass(frozen=True, slots=True)
class Draft:
    """One message to one member, as it is asked for."""

    member_id: int
    wordings: tuple[Wording, ...]
    """The first that nothing speaks against is sent."""
    key: str | None = None
    """The caller's own name for it: the same key is the same message, and is written once."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What a template shows as `{{ event.… }}`."""
    message_type: MessageType = MessageType.TRANSACTIONAL
    priority: Priority = Priority.HIGH
    not_before: datetime | None = None
    cap: Cap | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """A wording that can be sent."""

    channel: Channel
    account_id: int
    template_version_id: int | None = None
    fields: tuple[str, ...] = ()
    subject: str | None = None
    text: str | None = None

    @property
    def own_fields(self) -> tuple[str, ...]:
        """What it shows of the member itself."""
        return tuple(name for name in self.fields if not name.startswith(EVENT))

    def told(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what it shows of the draft's values."""
        return {
            name: values.get(name.removeprefix(EVENT))
            for name in self.fields
            if name.startswith(EVENT)
        }


class Drafts:
    """Checks the drafts of one client; what several have in common is looked up once."""

    def __init__(self, session: Session, client_id: int) -> None:
        self._session, self._client_id = session, client_id
        self._versions: dict[int, tuple[TemplateVersion, Channel, bool]] = {}
        self._accounts: dict[Channel, int | None] = {}

    def said(self, draft: Draft) -> tuple[Said, ...]:
        """Return what a draft says, in its order.

        Raises InvalidError with the field, TemplateNotFoundError or NoProviderError.
        """
        if not 1 <= len(draft.wordings) <= MAX_WORDINGS:
            raise InvalidError(
                f"a message has 1 to {MAX_WORDINGS} wordings",
                field="otherwise",
                remedy="say first what to send, then what to send otherwise",
            )
        said = []
        for position, wording in enumerate(draft.wordings):
            where = f"otherwise.{position - 1}." if position else ""
            said.append(self._said(draft, wording, where))
        return tuple(said)

    def _said(self, draft: Draft, wording: Wording, where: str) -> Said:
        if wording.template_id is None:
            return self._literal(draft, wording, where)
        if wording.text is not None or wording.subject is not None:
            raise InvalidError(
                "give either a template or a text",
                field=f"{where}template_id",
                remedy="leave out template_id, or subject and text",
            )
        version, channel, leaves = self._version(wording.template_id)
        if wording.channel not in (None, channel):
            raise InvalidError(
                f"the template is for {channel}, not for {wording.channel}",
                field=f"{where}channel",
                remedy="leave channel out: a template has its own",
            )
        if not leaves and _offers_way_out(draft, channel):
            raise InvalidError(
                "a marketing email needs an unsubscribe link",
                field=f"{where}template_id",
                remedy="put {{ unsubscribe_url }} into the template",
            )
        _check_values(version.fields, draft.values, where)
        return Said(channel, self._account(channel, where), version.id, tuple(version.fields))

    def _literal(self, draft: Draft, wording: Wording, where: str) -> Said:
        channel = wording.channel
        if channel is None or not (wording.text or "").strip():
            raise InvalidError(
                "a message needs a template, or a channel and a text",
                field=f"{where}{'text' if channel else 'channel'}",
                remedy='give "template_id": 3, or "channel": "sms" and "text"',
            )
        _check_words(channel, wording, where)
        if _offers_way_out(draft, channel):
            raise InvalidError(
                "a marketing email needs an unsubscribe link",
                field=f"{where}text",
                remedy="make a template with {{ unsubscribe_url }}, and give its template_id",
            )
        if HOLE.search(f"{wording.subject or ''}{wording.text}"):
            raise InvalidError(
                "a text is sent as it stands; only templates fill {{ … }}",
                field=f"{where}text",
                remedy="make a template of it and give its template_id, or write the text out",
            )
        account = self._account(channel, where)
        return Said(channel, account, subject=wording.subject, text=wording.text)

    def _version(self, template_id: int) -> tuple[TemplateVersion, Channel, bool]:
        """Return a template's newest wording, its channel, and whether one can leave by it."""
        if template_id not in self._versions:
            version = latest_version(self._session, self._client_id, template_id)
            channel = template(self._session, self._client_id, template_id).channel
            self._versions[template_id] = version, channel, has_unsubscribe(version, channel)
        return self._versions[template_id]

    def _account(self, channel: Channel, where: str) -> int:
        if channel not in self._accounts:
            found = active_account(self._session, self._client_id, channel)
            self._accounts[channel] = found.id if found is not None else None
        account_id = self._accounts[channel]
        if account_id is None:
            raise NoProviderError(
                f"no active provider account carries {channel}",
                field=f"{where}channel",
                remedy=f"add a provider account for {channel}, or resume the paused one",
            )
        return account_id


def _offers_way_out(draft: Draft, channel: Channel) -> bool:
    return channel is Channel.EMAIL and draft.message_type is MessageType.MARKETING


def _check_words(channel: Channel, wording: Wording, where: str) -> None:
    """Refuse a subject that is missing or more than a line, and a text too long for its channel."""
    if channel in (Channel.EMAIL, Channel.PUSH) and not (wording.subject or "").strip():
        raise InvalidError(
            f"a message by {channel} needs a subject",
            field=f"{where}subject",
            remedy="give its subject; for push it is the title",
        )
    if line_break(wording.subject or "") is not None:
        raise InvalidError(
            "a subject is one line", field=f"{where}subject", remedy="leave line breaks out"
        )
    if channel is Channel.SMS and len(wording.text or "") > MAX_SMS:
        raise InvalidError(
            f"a text message has at most {MAX_SMS:,} characters",
            field=f"{where}text",
            remedy="say it shorter, or link to the rest",
        )


def _check_values(fields: list[str], values: Mapping[str, Any], where: str) -> None:
    """Refuse a template that shows what nobody gave; what is given as null shows nothing."""
    for shown in fields:
        if shown.startswith(JOURNEY):
            raise InvalidError(
                f"the template shows {shown}, which only a journey knows",
                field=f"{where}template_id",
                remedy="send this template from a journey, or take the variable out",
            )
        name = shown.removeprefix(EVENT)
        if shown.startswith(EVENT) and name not in values:
            raise InvalidError(
                f"the template shows {shown}, which is not given",
                field=f"values.{name}",
                remedy=f"give {name} in values; null shows nothing",
            )
