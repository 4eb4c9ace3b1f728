"""SMTP: email through any relay. Wire facts: docs/providers/smtp.md.

It sends only. Bounces of a relay come as mail to the envelope sender and are read elsewhere.
"""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import format_datetime
from typing import Any, ClassVar, Self

from channels.adapter import OutgoingMessage, Ports
from channels.channel import Channel
from channels.email import Mime, origin_of
from channels.lanes import Lanes, Result
from channels.outcome import NotSent, Outcome, Rejected
from channels.settings import ConfigError, read_config
from channels.transaction import LostError, Server, Transaction

ADDRESS = re.compile(
    r"[^\s<>()\[\]\\,;:\"@\x00-\x1f\x7f]{1,64}@[^\s<>()\\,;\"@\x00-\x1f\x7f]{1,253}"
)
DOMAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
TLS = ("none", "starttls", "tls")
EXPIRED = NotSent("deadline passed")


@dataclass(frozen=True, slots=True)
class Config:
    """What an SMTP account needs."""

    host: str
    """Name or address of the relay."""
    from_email: str
    """Sender, in the envelope and in the From header."""
    port: int = 587
    username: str | None = None
    password: str | None = None
    tls: str = "starttls"
    """`starttls` and `tls` check the certificate; `none` is for a relay on the same machine."""
    from_name: str | None = None
    reply_to: str | None = None
    message_id_domain: str | None = None
    """Right side of Message-ID, and our name in EHLO; the sender's domain when not given."""
    connections: int = 2
    """How many at a time, 1 to 50."""


class Smtp:
    """Sends through one relay."""

    name: ClassVar[str] = "smtp"
    channel: ClassVar[Channel] = Channel.EMAIL
    window: ClassVar[int] = 200

    def __init__(self, config: Config, ports: Ports) -> None:
        self._from = config.from_email
        self._domain = config.message_id_domain or config.from_email.rpartition("@")[2]
        self._origin = origin_of(config.from_email, config.from_name, config.reply_to)
        self._clock = ports.clock
        self._server = Server(
            host=config.host,
            port=config.port,
            tls=config.tls,
            username=config.username,
            password=config.password,
            hello=self._domain,
            connect_seconds=ports.connect_seconds,
            reply_seconds=ports.answer_seconds,
        )
        self._lanes = Lanes(config.connections, "smtp")
        self._idle: deque[Transaction] = deque()

    @classmethod
    def from_config(cls, config: Mapping[str, Any], ports: Ports) -> Self:
        """Build for one account. Raises ConfigError naming the field."""
        return cls(_checked(read_config(Config, config)), ports)

    def send(
        self, messages: Sequence[OutgoingMessage], expired: Callable[[], bool]
    ) -> Iterator[Result]:
        """Send each message once, over a few connections at a time."""
        date = format_datetime(self._clock.now()).encode()

        def carry(taken: Iterator[OutgoingMessage]) -> Iterator[Result]:
            return self._carry(taken, date, expired)

        return self._lanes.run(messages, carry)

    def close(self) -> None:
        """Say goodbye on every connection."""
        self._lanes.close()
        while self._idle:
            self._idle.pop().quit()

    def _carry(
        self, taken: Iterator[OutgoingMessage], date: bytes, expired: Callable[[], bool]
    ) -> Iterator[Result]:
        """Send over one connection until nothing is left, or nothing can be sent."""
        line = self._idle.pop() if self._idle else Transaction(self._server)
        down: Outcome | None = None
        message = next(taken, None)
        try:
            while message is not None:
                following = next(taken, None)
                if down is None and expired():
                    line.close()  # an envelope may have gone ahead
                    down = EXPIRED
                down = down or line.open()
                if down is None:
                    ahead = following.to if following is not None and _fits(following) else None
                    yield message.reference, self._deliver(line, message, date, expired, ahead)
                else:
                    yield message.reference, down
                message = following
        finally:
            self._idle.append(line)

    def _deliver(
        self,
        line: Transaction,
        message: OutgoingMessage,
        date: bytes,
        expired: Callable[[], bool],
        following: str | None,
    ) -> Outcome:
        """Send one message; once more on a new connection if the old one turns out to be dead."""
        if not _fits(message) and not (ADDRESS.fullmatch(message.to) and line.carries_utf8()):
            return Rejected("invalid_address", "the relay takes no such address")
        try:
            content = Mime.of(message.skeleton).message(self._origin, self._domain, date, message)
        except ValueError:
            return Rejected("render_failed", "the values do not fit the template")
        for last in (False, True):
            try:
                return line.send(self._from, message.to, content, following)
            except LostError as lost:
                if last:
                    return NotSent(f"connection lost before the message: {lost}")
            if expired():
                return EXPIRED
            down = line.open()
            if down is not None:
                return down
        raise AssertionError("the second try always returns")


def _fits(message: OutgoingMessage) -> bool:
    """Say whether the address can be written in SMTP whatever the server."""
    return message.to.isascii() and ADDRESS.fullmatch(message.to) is not None


def _checked(config: Config) -> Config:
    if config.tls not in TLS:
        raise ConfigError("tls is none of ours", field="tls", remedy=f"use {', '.join(TLS)}")
    for field in ("from_email", "reply_to"):
        value = getattr(config, field)
        if value and (not ADDRESS.fullmatch(value) or not value.isascii()):
            raise ConfigError(f"{field} is not an email address", field=field, remedy="a@b.example")
    if not DOMAIN.fullmatch(config.message_id_domain or "a"):
        raise ConfigError(
            "message_id_domain is not a domain", field="message_id_domain", remedy="example.com"
        )
    if not 1 <= config.port <= 65535 or not 1 <= config.connections <= 50:
        field = "connections" if 1 <= config.port <= 65535 else "port"
        raise ConfigError(f"{field} is out of range", field=field, remedy="1 to 65535, 1 to 50")
    if config.username and config.tls == "none" and config.host not in ("127.0.0.1", "localhost"):
        raise ConfigError(
            "a password must not travel in clear", field="tls", remedy="use starttls or tls"
        )
    return config
