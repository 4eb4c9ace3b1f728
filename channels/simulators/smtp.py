"""SMTP: a relay that takes mail and tells nobody what became of it.

Pipelined commands are answered in one write. Our reference is the left side of the Message-ID.
"""

import asyncio
import re

from channels.simulators.log import Accept
from channels.simulators.provider import World
from channels.simulators.table import Fault

NAME = "smtp"
HOST = "relay.simulated"
MAX_SIZE = 30 * 1024 * 1024
MAX_LINE = 4096
EXTENSIONS = ("PIPELINING", f"SIZE {MAX_SIZE}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
END = b"\r\n.\r\n"
PATH = re.compile(r"(?:FROM|TO):\s*<([^<>\s]*)>(?:\s+\S+)*\s*", re.IGNORECASE).fullmatch
ADDRESS = re.compile(r"[^\s@<>]{1,64}@[^\s@<>]{1,255}").fullmatch
MESSAGE_ID = re.compile(rb"^message-id:\s*<([^@<>\s]+)@", re.IGNORECASE | re.MULTILINE)
VERBS = ("EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "VRFY", "QUIT")
CUT = "cut"
CLOSING = "421"
"""After this reply the relay hangs up (RFC 5321, 3.8)."""
NO_RECIPIENTS = "554 5.5.1 no valid recipients"


class Smtp(asyncio.Protocol):
    """One connection."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._replies: list[str] = []
        self._in_data = False
        self._waiting = False
        self._greeted = False
        self._sender: str | None = None
        self._recipients: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  (asyncio's promise to TCP)
        self._transport = transport
        transport.write(f"220 {HOST} ESMTP\r\n".encode())

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget whom to answer."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Answer everything that is complete."""
        self._buffer += data
        if not self._waiting:
            self._advance()

    def hang_up(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()

    def _advance(self) -> None:
        while not self._waiting and self._transport is not None and self._step():
            pass
        self._flush()

    def _step(self) -> bool:
        """Take one command or one message out of the buffer; False while it is incomplete."""
        if self._in_data:
            return self._take_message()
        line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            if len(self._buffer) > MAX_LINE:
                self._hang_up("500 5.5.2 line too long")
            return False
        self._buffer = rest
        verb, _, argument = line.decode("utf-8", "replace").strip().partition(" ")
        if verb.upper() in VERBS:
            getattr(self, f"_{verb.lower()}")(argument.strip())
        else:
            self._say("500 5.5.2 command not recognised")
        return True

    def _take_message(self) -> bool:
        empty = self._buffer.startswith(END[2:])
        end = -2 if empty else self._buffer.find(END)
        if end < -1 or end >= 0:
            content = bytes(self._buffer[: max(end + 2, 0)])
            del self._buffer[: end + len(END)]
            self._in_data = False
            self._receive(content)
            return True
        return False

    def _receive(self, content: bytes) -> None:
        """Decide on a whole message."""
        found = MESSAGE_ID.search(content.partition(b"\r\n\r\n")[0])
        ref = found[1].decode("ascii", "replace") if found else None
        recipients, self._sender, self._recipients = self._recipients, None, []
        if len(content) > MAX_SIZE:
            self._say("552 5.3.4 message too big")
            return
        fault = self._world.script.fault(NAME, ref or recipients[0])
        refusal = _refusal(fault)
        if refusal == CUT:
            self._cut()
        elif refusal.startswith(CLOSING):
            self._hang_up(refusal)
        elif refusal:
            self._say_later(refusal)
        else:
            taken = fault.kind != "hang" or fault.accepted
            self._answer(fault, self._accept(ref, recipients) if taken else "")

    def _accept(self, ref: str | None, recipients: list[str]) -> str:
        queued = self._world.script.name(NAME, self._world.serial())[:12].upper()
        at = self._world.now()
        self._world.take([Accept(NAME, ref, to, at, queued) for to in recipients])
        return f"250 2.0.0 Ok: queued as {queued}"

    def _answer(self, fault: Fault, reply: str) -> None:
        """Answer for a message that was not refused, if at all."""
        match fault.kind:
            case "lost":
                self._cut()
            case "hang":
                self._waiting = True
            case "slow" | "early":
                self._say_later(reply, fault.seconds)
            case "empty":
                self._say("250")
            case "odd":
                self._say("250 <html>OK</html>")
            case _:
                self._say_later(reply)

    def _say_later(self, reply: str, seconds: float = 0.0) -> None:
        """Answer a message after what every answer takes, and then some."""
        wait = self._world.script.setting(NAME, "latency") + seconds
        if not wait:
            self._say(reply)
            return
        self._waiting = True
        self._flush()
        asyncio.get_running_loop().call_later(wait, self._resume, reply)

    def _resume(self, reply: str) -> None:
        self._waiting = False
        self._say(reply)
        self._advance()

    def _ehlo(self, name: str) -> None:
        self._greeted = True
        lines = [f"250-{HOST} greets {name[:200]}", *(f"250-{word}" for word in EXTENSIONS)]
        lines[-1] = lines[-1].replace("250-", "250 ", 1)
        self._replies += lines

    def _helo(self, name: str) -> None:
        self._greeted = True
        self._say(f"250 {HOST}")

    def _mail(self, argument: str) -> None:
        path = PATH(argument)
        if not self._greeted or self._sender is not None:
            self._say("503 5.5.1 bad sequence of commands")
        elif path is None or (path[1] and not ADDRESS(path[1])):
            self._say("501 5.1.7 bad sender address syntax")
        else:
            self._sender = path[1]
            self._say("250 2.1.0 Ok")

    def _rcpt(self, argument: str) -> None:
        path = PATH(argument)
        if self._sender is None:
            self._say("503 5.5.1 need MAIL first")
        elif path is None or not ADDRESS(path[1]):
            self._say("501 5.1.3 bad recipient address syntax")
        else:
            self._recipients.append(path[1])
            self._say("250 2.1.5 Ok")

    def _data(self, argument: str) -> None:
        if not self._recipients:
            self._say("503 5.5.1 no valid recipients" if self._sender is None else NO_RECIPIENTS)
        else:
            self._in_data = True
            self._say("354 end data with <CR><LF>.<CR><LF>")

    def _rset(self, argument: str) -> None:
        self._sender, self._recipients = None, []
        self._say("250 2.0.0 Ok")

    def _noop(self, argument: str) -> None:
        self._say("250 2.0.0 Ok")

    def _vrfy(self, argument: str) -> None:
        self._say("252 2.0.0 cannot say")

    def _quit(self, argument: str) -> None:
        self._hang_up("221 2.0.0 bye")

    def _say(self, reply: str) -> None:
        self._replies.append(reply)

    def _flush(self) -> None:
        if self._transport is not None and self._replies:
            self._transport.write(("\r\n".join(self._replies) + "\r\n").encode())
        self._replies.clear()

    def _hang_up(self, reply: str) -> None:
        self._say(reply)
        self._flush()
        if self._transport is not None:
            self._transport.close()
        self._transport = None

    def _cut(self) -> None:
        """Break the connection; what was not said stays unsaid."""
        if self._transport is not None:
            self._transport.abort()
        self._transport = None


def _refusal(fault: Fault) -> str:
    """Return the reply that refuses a message, CUT, or '' when it is taken.

    A 500 is never accepted here: in SMTP a 4yz or 5yz to the final dot promises that.
    """
    match fault.kind:
        case "reset":
            return CUT
        case "429":
            return "450 4.7.1 too fast, try again later"
        case "500":
            return "451 4.3.0 internal error, try again later"
        case "503":
            return f"{CLOSING} 4.3.2 service not available"
        case "401":
            return "530 5.7.0 authentication required"
        case "400":
            return "554 5.7.1 refused by policy"
        case _:
            return ""
