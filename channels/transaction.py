"""Transaction: SMTP over one connection, with every reply sorted into the four outcomes.

smtplib connects, says EHLO, starts TLS and authenticates; the mail transaction is our own, because
where it stops decides what is known: before the final dot nothing was accepted, after it nobody can
tell. With PIPELINING the envelope is one write and one round trip.
"""

import contextlib
import re
import smtplib
import socket
import ssl
from dataclasses import dataclass

from channels.outcome import Accepted, Ambiguous, NotSent, Outcome, Rejected
from core.clock import ticking
from core.failpoint import reach

IDLE_SECONDS = 4.0
"""Relays close idle connections; a message written into one that is closing is lost time."""
MAX_REPLY_LINES = 100

DEAD_ADDRESS = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.4.4"})
"""Enhanced codes that say the address itself is dead (RFC 3463); other 5yz are not the member's
fault: a full mailbox, a policy, the content."""
DISABLED = re.compile(r"disabled|no such user|unknown user|does not exist", re.IGNORECASE)
ENHANCED = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
QUEUED_AS = re.compile(r"queued as ([A-Za-z0-9._-]{1,64})")
NEEDS_LOGIN = frozenset({530, 534, 535, 538})
TOO_LARGE = 552


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect, and as whom."""

    host: str
    port: int
    tls: str
    """`none`, `starttls` (from the start of the session on, or not at all) or `tls`."""
    username: str | None
    password: str | None
    hello: str
    """Our name in EHLO; given, so that nobody asks the resolver for one."""
    connect_seconds: float
    reply_seconds: float
    """How long each reply may take once the connection is ready for mail."""


class LostError(Exception):
    """The connection broke, or said what no server should, before the final dot."""


class Transaction:
    """One connection, opened when first needed and used for many messages, one after the other."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._smtp: smtplib.SMTP | None = None
        self._used_at = 0.0
        self._pipelining = False
        self._ahead: str | None = None
        """Whose envelope was given already, its replies not yet read."""

    def open(self) -> Outcome | None:
        """Connect unless connected; None when ready, else why nothing can be sent now."""
        if self._smtp is not None and ticking() - self._used_at <= IDLE_SECONDS:
            return None
        self.close()
        try:
            self._smtp = _connect(self._server)
        except smtplib.SMTPAuthenticationError as error:
            return _refused_login(error.smtp_code)
        except smtplib.SMTPNotSupportedError as error:
            return Rejected("unsupported", str(error)[:200], account_fault=True)
        except (OSError, smtplib.SMTPException) as error:
            return NotSent(f"cannot connect: {type(error).__name__}")
        self._pipelining = self._smtp.has_extn("pipelining")
        self._used_at = ticking()
        return None

    def carries_utf8(self) -> bool:
        """Say whether addresses outside of ASCII can be given (RFC 6531)."""
        return self._smtp is not None and self._smtp.has_extn("smtputf8")

    def send(self, sender: str, to: str, content: bytes, following: str | None = None) -> Outcome:
        """Carry one message over the open connection.

        `content` ends with a line break and has no line that begins with a dot. With PIPELINING the
        envelope of the message to `following`, if any, rides behind the final dot and saves a round
        trip (RFC 2920, 3.1). Raises LostError when the connection broke before the final dot was
        written: nothing was accepted.
        """
        try:
            refused = self._begin(sender, to)
            if refused is not None:
                return refused
            self._ahead = following if self._pipelining else None
            ahead = _envelope(sender, self._ahead) if self._ahead else ()
            self._write(b"".join((content, b".\r\n", *ahead)))
        except (OSError, ValueError) as error:
            self.close()
            raise LostError(type(error).__name__) from error
        return self._verdict()

    def close(self) -> None:
        """Hang up without waiting for a goodbye."""
        smtp, self._smtp, self._ahead = self._smtp, None, None
        if smtp is not None:
            smtp.close()

    def quit(self) -> None:
        """Say goodbye and hang up."""
        if self._smtp is not None:
            with contextlib.suppress(OSError):
                self._write(b"QUIT\r\n")
            self.close()

    def _begin(self, sender: str, to: str) -> Outcome | None:
        """Give the envelope, unless it rode ahead; None when the server waits for the message."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead != to:
            raise ConnectionError  # it waits for a message that will not come
        commands = _envelope(sender, to)
        replies: list[tuple[int, str]] = []
        if self._pipelining:
            if ahead is None:
                self._write(b"".join(commands))
            replies = [self._reply() for _ in commands]
        else:
            for command, good in zip(commands, (2, 2, 3), strict=True):
                self._write(command)
                replies.append(self._reply())
                if replies[-1][0] // 100 != good:
                    break
        return self._refusal(replies)

    def _refusal(self, replies: list[tuple[int, str]]) -> Outcome | None:
        """Return what the first refusal among the replies to an envelope means; None for none."""
        for stage, (code, text) in enumerate(replies):
            if code // 100 == (3 if stage == 2 else 2):
                continue
            if code == 421:
                self.close()
                raise LostError("421")
            if replies[-1][0] == 354 or code // 100 not in (4, 5):
                self.close()  # it wants a message for nobody, or has lost its way
            else:
                self._reset()
            return refusal(code, text, of_sender=stage == 0)
        return None

    def _reset(self) -> None:
        try:
            self._write(b"RSET\r\n")
            if self._reply()[0] // 100 != 2:
                self.close()
        except (OSError, ValueError):
            self.close()

    def _verdict(self) -> Outcome:
        """Read the reply to the final dot."""
        reach("C7")
        try:
            code, text = self._reply()
        except (OSError, ValueError) as error:
            self.close()
            return Ambiguous(f"no answer after the message: {type(error).__name__}")
        self._used_at = ticking()
        if code // 100 == 2:
            queued = QUEUED_AS.search(text)
            return Accepted(queued[1] if queued else None, provider_status=str(code))
        if code // 100 in (1, 3):
            self.close()
            return Ambiguous(f"unexpected answer {code} to the message")
        if code == 421:
            self.close()
        return refusal(code, text)

    def _write(self, data: bytes) -> None:
        if self._smtp is None or self._smtp.sock is None:
            raise ConnectionError
        self._smtp.sock.sendall(data)

    def _reply(self) -> tuple[int, str]:
        """Return code and text of one reply. Raises OSError or ValueError when it is none."""
        if self._smtp is None or self._smtp.file is None:
            raise ConnectionError
        lines: list[bytes] = []
        while len(lines) < MAX_REPLY_LINES:
            line = self._smtp.file.readline(4096)
            if not line.endswith(b"\n"):
                raise ConnectionResetError
            lines.append(line[4:].strip())
            if line[3:4] != b"-":
                return _code(line), b" ".join(lines).decode(errors="replace")
        raise ValueError("too many lines")


def _envelope(sender: str, to: str) -> tuple[bytes, bytes, bytes]:
    parameter = "" if to.isascii() else " SMTPUTF8"
    return (
        f"MAIL FROM:<{sender}>{parameter}\r\n".encode(),
        f"RCPT TO:<{to}>\r\n".encode(),
        b"DATA\r\n",
    )


def refusal(code: int, text: str, *, of_sender: bool = False) -> Outcome:
    """Return what a 4yz or 5yz means; anything else before the final dot is safe to try again."""
    reason = " ".join(text.split())[:200]
    if code // 100 != 5:
        return NotSent(f"{code} {reason}")
    enhanced = ENHANCED.search(text)
    status = enhanced[1] if enhanced else ""
    return Rejected(
        status or str(code),
        f"{code} {reason}",
        address_invalid=not of_sender
        and (status in DEAD_ADDRESS or (status == "5.2.1" and bool(DISABLED.search(text)))),
        # MAIL says nothing about the recipient: whoever is refused there is us.
        account_fault=code in NEEDS_LOGIN or (of_sender and code != TOO_LARGE),
    )


def _code(line: bytes) -> int:
    code = line[:3]
    if not code.isdigit() or not b"1" <= code[:1] <= b"5":
        raise ValueError("not an SMTP reply")
    return int(code)


def _refused_login(code: int) -> Outcome:
    if code // 100 == 5:
        return Rejected(str(code), "the server refused the login", account_fault=True)
    return NotSent(f"{code} the server could not check the login")


def _connect(server: Server) -> smtplib.SMTP:
    """Return a connection ready for mail. Raises OSError or SMTPException."""
    smtp: smtplib.SMTP
    if server.tls == "tls":
        smtp = smtplib.SMTP_SSL(
            server.host,
            server.port,
            local_hostname=server.hello,
            timeout=server.connect_seconds,
            context=ssl.create_default_context(),
        )
    else:
        smtp = smtplib.SMTP(
            server.host, server.port, local_hostname=server.hello, timeout=server.connect_seconds
        )
    with contextlib.ExitStack() as undo:
        undo.callback(smtp.close)
        if server.tls == "starttls":
            smtp.starttls(context=ssl.create_default_context())
        smtp.ehlo_or_helo_if_needed()
        if server.username:
            smtp.login(server.username, server.password or "")
        if smtp.sock is None:
            raise smtplib.SMTPServerDisconnected("closed")
        smtp.sock.settimeout(server.reply_seconds)
        # The end of a message must not wait for the acknowledgement of its beginning.
        smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        undo.pop_all()
    return smtp
