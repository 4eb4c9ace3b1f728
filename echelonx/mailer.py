"""SmtpMailer: letters to users, over the configured mail server, one after the other.

A request does not wait for it, and cannot be told from by how long it took. A letter that could not
be handed over is logged and gone: whoever waits for it asks again.
"""

import smtplib
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from threading import BoundedSemaphore
from urllib.parse import unquote, urlsplit

from accounts.mailer import Letter
from core.clock import Clock
from core.log import get

log = get(__name__)
SECONDS = 20.0
MAX_WAITING = 1000
"""Letters in memory, while a server is slow or away."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""Where letters may travel in the clear: they hold links that open accounts."""
PORTS = {"smtp": 587, "smtps": 465}


class SmtpMailer:
    """Sends letters in a thread of its own."""

    works = True

    def __init__(self, url: str, sender: str, clock: Clock) -> None:
        self._url = urlsplit(url)
        self._sender = sender
        self._clock = clock
        self._room = BoundedSemaphore(MAX_WAITING)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mailer")

    def send(self, letter: Letter) -> None:
        """Send without waiting."""
        if self._room.acquire(blocking=False):
            self._thread.submit(self._try, letter)
        else:
            log.warning("a letter was not handed over", kind="too many wait")

    def close(self) -> None:
        """Wait for what is on its way."""
        self._thread.shutdown(wait=True)

    def _try(self, letter: Letter) -> None:
        try:
            self._deliver(letter)
        except (OSError, smtplib.SMTPException) as error:
            # The server's words may hold the address.
            log.warning("a letter was not handed over", kind=type(error).__name__)
        finally:
            self._room.release()

    def _deliver(self, letter: Letter) -> None:
        host = self._url.hostname or "localhost"
        port = self._url.port or PORTS[self._url.scheme]
        context = ssl.create_default_context()
        connect: Callable[..., smtplib.SMTP] = smtplib.SMTP
        secured = {}
        if self._url.scheme == "smtps":
            connect, secured = smtplib.SMTP_SSL, {"context": context}
        with connect(host, port, timeout=SECONDS, **secured) as server:
            server.ehlo()
            if not secured and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            elif not secured and host not in LOOPBACK:
                raise smtplib.SMTPNotSupportedError("the server offers no STARTTLS")
            if self._url.username:
                server.login(unquote(self._url.username), unquote(self._url.password or ""))
            server.send_message(self._message(letter))

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage()
        message["From"], message["To"] = self._sender, letter.to
        message["Subject"] = letter.subject
        message["Date"] = formatdate(self._clock.now().timestamp())
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text)
        return message
