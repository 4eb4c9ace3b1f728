"""Egress: the one way out over HTTP, without redirects, retries or private addresses.

Every request to a URL that somebody configured goes through here, so the guard against reaching
our own network stands in one place. Names are resolved once, all answers
are checked, and the connection is made to a checked address: a second answer from a hostile name
server is never asked for.

Invariants
    1. `sent` is False only if certainly no byte of the request left.
    2. Nothing that a network or a server does raises.
"""

import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPException
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
)
from urllib3.util import Timeout, parse_url

from core.clock import ticking
from core.failpoint import reach

MAX_BODY = 5 * 1024 * 1024
MAX_IDLE = 4.0
"""Seconds. Servers and balancers drop idle connections from 5 s on, and a request written into a
dying connection is one whose fate we do not know."""
PUBLIC_PORTS = frozenset({80, 443, 8080, 8443})
"""Where a URL of a stranger may point; not at SMTP, SSH or databases."""
METADATA_SERVICES = frozenset({ipaddress.ip_address("168.63.129.16")})
"""Azure's wire server: a public address that only ever answers inside."""
PRIVATE = "the host has a private address"
NAT64 = ipaddress.ip_network("64:ff9b::/96")

Resolver = Callable[..., list[Any]]
"""`socket.getaddrinfo`, or a test's."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, or how far the request got."""

    status: int | None
    """None when there was no complete answer."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    sent: bool = True
    """Whether a byte of the request may have left."""
    error: str | None = None
    """Why there is no answer, without addresses or secrets."""
    refused: bool = False
    """The guard said no: another try is of no use."""


@dataclass(slots=True)
class _Call:
    """The request this thread is making, as its connection needs to know it."""

    allow_private: bool
    resolve: Resolver
    patience: float
    deadline: float
    begun: bool = False


_CALL: ContextVar[_Call] = ContextVar("call")


class _RefusedError(NewConnectionError):
    """The guard said no."""


@cache
def _trust() -> ssl.SSLContext:
    """Trust whom this machine trusts; reading its list takes 18 ms, so it is read once."""
    return ssl.create_default_context()


class Egress:
    """A pool of connections to anywhere allowed; safe to share between threads.

    Timeouts are in seconds: to connect, to wait for the next byte, and for the answer as a whole.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        connect_timeout: float = 5.0,
        read_timeout: float = 20.0,
        total_timeout: float = 30.0,
        max_body: int = MAX_BODY,
        resolve: Resolver = socket.getaddrinfo,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._read_timeout = read_timeout
        self._total_timeout = total_timeout
        self._max_body = max_body
        context = tls or _trust()
        context.sslsocket_class = _TlsSocket
        self._manager = urllib3.PoolManager(
            num_pools=64,
            maxsize=256,
            retries=False,
            timeout=Timeout(connect=connect_timeout, read=read_timeout),
            ssl_context=context,
        )
        self._manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """Send one request once; a redirect is an answer like any other."""
        why = refusal(url, allow_private=self._allow_private)
        if why:
            return Reply(None, sent=False, error=why, refused=True)
        call = _Call(
            allow_private=self._allow_private,
            resolve=self._resolve,
            patience=self._read_timeout,
            deadline=ticking() + self._total_timeout,
        )
        reset = _CALL.set(call)
        try:
            return self._exchange(method, url, headers, body)
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            refused = isinstance(error, _RefusedError)
            reason = _reason(error, begun=call.begun)
            return Reply(None, sent=call.begun, error=reason, refused=refused)
        finally:
            _CALL.reset(reset)

    def close(self) -> None:
        """Drop all connections."""
        self._manager.clear()

    def _exchange(
        self, method: str, url: str, headers: Mapping[str, str] | None, body: bytes | None
    ) -> Reply:
        answer = self._manager.urlopen(
            method,
            url,
            headers=dict(headers or {}),
            body=body,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        received = bytearray()
        try:
            while len(received) <= self._max_body:
                piece = answer.read(self._max_body + 1 - len(received), decode_content=False)
                if not piece:
                    answer.release_conn()
                    break
                received += piece
        finally:
            answer.close()  # does nothing to a connection that was released
        return Reply(
            status=answer.status,
            headers={name.lower(): answer.headers[name] for name in answer.headers},
            body=bytes(received[: self._max_body]),
        )


def refusal(url: str, *, allow_private: bool) -> str | None:
    """Say why a URL may not be asked at all, before any name is resolved; None if it may."""
    try:
        parts = parse_url(url)
    except ValueError:
        return "the URL cannot be read"
    if parts.scheme not in ("http", "https") or not parts.host:
        return "only http and https URLs may be requested"
    if parts.auth is not None:
        return "a URL must not carry a user name or password"
    if not allow_private and (parts.port or 80) not in PUBLIC_PORTS:
        return "this port may not be requested"
    if not allow_private and _is_inside(parts.host.strip("[]")):
        return PRIVATE
    return None


def _is_inside(host: str) -> bool:
    """Say whether a host is written as an address that is not public."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return not is_public(host)


def _reason(error: Exception, *, begun: bool) -> str:
    """Name a failure in fixed words: the library's own text holds host names and URLs."""
    if isinstance(error, _RefusedError):
        return PRIVATE
    if isinstance(error, NameResolutionError):
        return "the host name cannot be resolved"
    if isinstance(error, ssl.SSLError | urllib3.exceptions.SSLError) and not begun:
        return "the TLS handshake failed"
    if isinstance(error, NewConnectionError):
        return "the connection was refused"
    if isinstance(error, TimeoutError | urllib3.exceptions.TimeoutError):
        return "no answer in time" if begun else "no connection in time"
    return "the connection broke off" if begun else "the request could not be begun"


def is_public(address: str) -> bool:
    """Say whether an IP address belongs to the open internet, looking through its wrappings."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local:
            return False
    return ip.is_global and not ip.is_multicast and ip not in METADATA_SERVICES


class _Socket(socket.socket):
    """A socket whose reading ends at a moment, however slowly the bytes drip in."""

    deadline: float | None = None

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        if self.deadline is not None and ticking() > self.deadline:
            raise TimeoutError("deadline")
        return super().recv_into(*args, **kwargs)


class _TlsSocket(_Socket, ssl.SSLSocket):
    """The same within TLS."""


class _Connection(HTTPConnection):
    """Connects to checked addresses only, and tells when the first byte is about to leave."""

    used: float = 0.0

    @property
    def is_connected(self) -> bool:
        """Say no to the pool when the other side may be about to hang up."""
        return super().is_connected and ticking() - self.used < MAX_IDLE

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        call = _CALL.get()
        call.begun = True
        self.used = ticking()
        if isinstance(self.sock, _Socket):
            self.sock.settimeout(call.patience)
            self.sock.deadline = call.deadline
        super().send(data)

    def getresponse(self) -> Any:
        reach("C7")
        return super().getresponse()

    def _new_conn(self) -> socket.socket:
        call = _CALL.get()
        try:
            answers = call.resolve(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise NameResolutionError(self.host, self, socket.gaierror()) from None
        if not call.allow_private and not all(is_public(answer[4][0]) for answer in answers):
            raise _RefusedError(self, "private")
        return self._first(answers)

    def _first(self, answers: list[Any]) -> socket.socket:
        """Connect to the first of the checked addresses that answers."""
        failure: HTTPError = NewConnectionError(self, "no address")
        for family, kind, protocol, _, address in answers:
            connection = _Socket(family, kind, protocol)
            try:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(self.timeout)
                connection.connect(address)
            except TimeoutError:
                connection.close()
                failure = ConnectTimeoutError(self, "timeout")
            except OSError:
                connection.close()
                failure = NewConnectionError(self, "refused")
            else:
                return connection
        raise failure


class _TlsConnection(_Connection, HTTPSConnection):
    """The same within TLS; the certificate is checked against the name, not the address."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
