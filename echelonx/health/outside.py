"""Checks of what is not ours: provider accounts, the broker, our own public address."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from kombu.connection import Connection
from kombu.exceptions import KombuError, OperationalError
from sqlalchemy import select

from channels.adapter import Ports
from channels.registry import sender
from communications.account import AccountStatus, NoHttp, ProviderAccount, account_config
from core.db import read
from core.errors import EngineError
from core.http import Egress
from core.log import get
from core.settings import Settings, SettingsError
from echelonx.health.finding import Finding, fail, ok, skip, warn
from echelonx.health.trouble import REMEDY, troubles
from echelonx.wiring import Services

log = get(__name__)

CONNECT_SECONDS = 2.0
POLICY, KEEPS = "maxmemory-policy", "noeviction"
NO_EVICTION = f"CONFIG SET {POLICY} {KEEPS}, and in redis.conf: others evict queues"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def providers(services: Services) -> Iterator[Finding]:
    """Look at every provider account: is it used, do its settings open, are messages taken."""
    now = services.clock.now()
    with read(services.sessions) as session:
        query = select(ProviderAccount).where(ProviderAccount.status != AccountStatus.ARCHIVED)
        found = list(session.scalars(query.order_by(ProviderAccount.channel, ProviderAccount.id)))
        wrong = {one: trouble.told(now) for one, trouble in troubles(session, now).items()}
    if not found:
        yield skip("Providers", "none connected; POST /api/v1/providers adds one")
    for account in found:
        yield _provider(services, account, wrong.get(account.id))


def answering(services: Services) -> Iterator[Finding]:
    """Look whether providers take messages, without the names clients gave their accounts."""
    now = services.clock.now()
    with read(services.sessions) as session:
        found = troubles(session, now)
    if not found:
        yield ok("Providers", "none refuses, nothing waits to be tried again")
    for account_id, trouble in found.items():
        yield warn("Providers", f"account {account_id}: {trouble.told(now)}", REMEDY)


def _provider(services: Services, account: ProviderAccount, wrong: str | None) -> Finding:
    name = f"{account.channel.value} {account.adapter}"
    try:
        settings = account_config(services.vault, account)
        sender(account.adapter).from_config(settings, Ports(http=NoHttp())).close()
    except EngineError as error:
        return fail(name, str(error), error.remedy or "enter its settings again")
    if account.status is AccountStatus.PAUSED:
        why = account.status_reason or "by hand"
        return fail(name, f"“{account.name}” is paused: {why}", "correct it, then resume it")
    if wrong is not None:
        return warn(name, f"“{account.name}”: {wrong}", REMEDY)
    return ok(name, f"“{account.name}”, settings valid")


def broker(services: Services) -> Iterator[Finding]:
    """Look for the broker; Redis must not throw away what it was given."""
    url = services.settings.broker_url
    if url is None:
        yield skip("Broker", "none set; workers look by themselves")
        return
    kind = urlsplit(url).scheme
    try:
        policy = eviction_policy(url)
    except KombuError as error:
        remedy = "start it, or unset ECHELONX_BROKER_URL; meanwhile workers look by themselves"
        yield warn("Broker", f"{kind} does not answer ({error})", remedy)
        return
    if policy not in (None, KEEPS):
        yield fail("Broker", f"{kind}, {POLICY} {policy}", NO_EVICTION)
    else:
        yield ok("Broker", f"{kind} answers" + (f", {POLICY} {policy}" if policy else ""))


def require_no_eviction(settings: Settings) -> None:
    """Raise SettingsError if the broker is a Redis that evicts queues.

    One that is away, or does not tell, is no reason to refuse: rings may be lost.
    """
    if settings.broker_url is None:
        return
    try:
        policy = eviction_policy(settings.broker_url)
    except KombuError as error:
        log.warning("broker does not answer", why=str(error))
        return
    if policy not in (None, KEEPS):
        raise SettingsError(
            f"the broker's {POLICY} is {policy}: it throws queues away when it is full",
            field=POLICY,
            remedy=NO_EVICTION,
        )


def eviction_policy(url: str) -> str | None:
    """Return a Redis's maxmemory-policy; None for other brokers, and for one that does not tell.

    Raises KombuError if it does not answer.
    """
    # kombu is half typed
    connecting: Any = Connection(url, connect_timeout=CONNECT_SECONDS)  # type: ignore[no-untyped-call]
    with connecting as connection:
        try:
            connection.connect()
            if not urlsplit(url).scheme.startswith("redis"):
                return None
            found = connection.default_channel.client.config_get(POLICY)
        except connection.channel_errors:  # CONFIG is not for everybody
            return None
        except connection.connection_errors as error:  # those of Redis are of their own kind
            raise OperationalError(type(error).__name__) from error
    policy: str | None = found.get(POLICY)
    return policy


def public_url(services: Services) -> Iterator[Finding]:
    """Ask our own public address."""
    url = services.settings.public_url
    http = Egress(allow_private=True, connect_timeout=CONNECT_SECONDS)
    reply = http.request("GET", f"{url}/health/ready")
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
