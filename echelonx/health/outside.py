"""Checks of what is not ours: provider accounts, the broker, our own public address."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from kombu.connection import Connection
from kombu.exceptions import KombuError
from sqlalchemy import select

from channels.adapter import Ports
from channels.registry import sender
from communications.account import AccountStatus, NoHttp, ProviderAccount, account_config
from core.db import read
from core.errors import EngineError
from core.http import Egress
from echelonx.health.finding import Finding, fail, ok, skip, warn
from echelonx.wiring import Services

CONNECT_SECONDS = 2.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def providers(services: Services) -> Iterator[Finding]:
    """Look at every provider account: whether it is used, and whether its settings open."""
    with read(services.sessions) as session:
        query = select(ProviderAccount).where(ProviderAccount.status != AccountStatus.ARCHIVED)
        found = list(session.scalars(query.order_by(ProviderAccount.channel, ProviderAccount.id)))
    if not found:
        yield skip("Providers", "none connected; POST /api/v1/providers adds one")
    for account in found:
        yield _provider(services, account)


def _provider(services: Services, account: ProviderAccount) -> Finding:
    name = f"{account.channel.value} {account.adapter}"
    try:
        settings = account_config(services.vault, account)
        sender(account.adapter).from_config(settings, Ports(http=NoHttp())).close()
    except EngineError as error:
        return fail(name, str(error), error.remedy or "enter its settings again")
    if account.status is AccountStatus.PAUSED:
        why = account.status_reason or "by hand"
        return fail(name, f"“{account.name}” is paused: {why}", "correct it, then resume it")
    return ok(name, f"“{account.name}”, settings valid")


def broker(services: Services) -> Iterator[Finding]:
    """Look for the broker; Redis must not throw away what it was given."""
    url = services.settings.broker_url
    if url is None:
        yield skip("Broker", "none set; workers look by themselves")
        return
    kind = urlsplit(url).scheme
    seconds = CONNECT_SECONDS
    try:
        # kombu is half typed
        connecting: Any = Connection(url, connect_timeout=seconds)  # type: ignore[no-untyped-call]
        with connecting as connection:
            connection.connect()
            policy = _policy(connection) if kind.startswith("redis") else None
    except (OSError, KombuError) as error:
        why = type(error).__name__
        remedy = "start it, or unset ECHELONX_BROKER_URL; meanwhile workers look by themselves"
        yield warn("Broker", f"{kind} does not answer ({why})", remedy)
        return
    if policy is not None and policy != "noeviction":
        yield warn(
            "Broker",
            f"{kind}, maxmemory-policy {policy}",
            "CONFIG SET maxmemory-policy noeviction: others evict queues",
        )
    else:
        yield ok("Broker", f"{kind} answers" + (f", maxmemory-policy {policy}" if policy else ""))


def _policy(connection: Any) -> str | None:
    found = connection.default_channel.client.config_get("maxmemory-policy")
    policy: str | None = found.get("maxmemory-policy")
    return policy


def public_url(services: Services) -> Iterator[Finding]:
    """Ask our own public address."""
    url = services.settings.public_url
    http = Egress(allow_private=True, connect_timeout=CONNECT_SECONDS)
    reply = http.request("GET", f"{url}/healthz")
    http.close()
    parts = urlsplit(url)
    if reply.status != 200:
        why = reply.error or f"answers {reply.status}"
        yield warn("Public URL", f"{url}: {why}", "start echelonx run (or web) behind it")
    elif parts.hostname in LOOPBACK:
        remedy = "set ECHELONX_PUBLIC_URL to where people and providers reach you"
        yield warn("Public URL", f"{url} is for this machine only", remedy)
    elif parts.scheme != "https":
        yield warn("Public URL", f"{url} is not encrypted", "put it behind TLS")
    else:
        yield ok("Public URL", f"{url} answers")
