"""Wiring: makes everything a process needs from its settings. The only place that chooses."""

from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.orm import sessionmaker

import echelonx.tables  # noqa: F401  (every table is mapped before the first query)
from accounts.issuer import Issuer, Registration
from accounts.mailer import Mailer, NoMailer
from campaigns.template import load_content
from channels.adapter import Ports
from communications.content import ContentStore
from communications.dispatch import Dispatcher
from communications.reference import References
from communications.urls import Urls
from core import failpoint
from core.address import AddressHasher
from core.bucket import Buckets, MemoryBuckets
from core.clock import Clock, SystemClock
from core.db import Sessions, open_engine
from core.http import Egress
from core.redis_buckets import RedisBuckets
from core.secret import Vault, derive, load_key, vault_of
from core.settings import Settings
from core.token import Signer
from echelonx.mailer import SmtpMailer
from echelonx.rings import CeleryBell
from echelonx.witness import Witness
from scheduling.bell import Bell, LocalBell
from webhooks.apply import Applier
from webhooks.receiver import Receivers

ENDPOINT_SECONDS = 15.0
"""So long a client's endpoint may take to answer."""
ENDPOINT_ANSWER = 4096
"""Bytes of its answer that are read."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the running product is made of; handed to whoever needs a part of it."""

    settings: Settings
    clock: Clock
    engine: Engine
    sessions: Sessions
    vault: Vault
    hasher: AddressHasher
    signer: Signer
    references: References
    urls: Urls
    content: ContentStore
    egress: Egress
    buckets: Buckets
    """Counts requests of the API."""
    witness: Witness
    """Notes who looked at people."""
    outbound: Egress
    """The same for clients' endpoints, whose answers are of no use beyond a few words."""
    mailer: Mailer
    """Writes to users; to members, adapters do."""
    issuer: Issuer | None
    """Signs people in by OpenID Connect, where one is set."""
    send_bell: LocalBell
    """Wakes this process's fan-out, lanes and care."""
    inbox_bell: LocalBell
    """Wakes this process's inbox: receipts come by the thousand and make nothing to send."""
    bell: Bell
    """Rung when there is something to send; without a broker it is `send_bell`."""
    receipt_bell: Bell
    """Rung when there are receipts to apply; without a broker it is `inbox_bell`."""

    def close(self) -> None:
        """Drop connections; the last ring still leaves."""
        if isinstance(self.bell, CeleryBell):
            self.bell.close()
        if isinstance(self.buckets, RedisBuckets):
            self.buckets.close()
        self.witness.close()
        if isinstance(self.mailer, SmtpMailer):
            self.mailer.close()
        self.egress.close()
        self.outbound.close()
        self.engine.dispose()


def build(settings: Settings, clock: Clock | None = None) -> Services:
    """Make the services of one process. Raises SecretKeyError.

    Call it in the process that will use them: connections must not cross a fork.
    """
    failpoint.arm(settings.failpoints)
    key = load_key(settings)
    signer = Signer(derive(key, "links"))
    urls = Urls(settings.public_url, signer)
    engine = open_engine(settings.database_url)
    send, inbox = LocalBell(), LocalBell()
    sessions = sessionmaker(engine, expire_on_commit=False)
    far = CeleryBell(settings.broker_url, (send, inbox)) if settings.broker_url else None
    clock = clock or SystemClock()
    egress = _egress(settings)
    return Services(
        settings=settings,
        clock=clock,
        engine=engine,
        sessions=sessions,
        vault=vault_of(settings),
        hasher=AddressHasher(derive(key, "addresses")),
        signer=signer,
        references=References(signer),
        urls=urls,
        content=ContentStore(load_content, urls),
        egress=egress,
        buckets=_buckets(settings, clock),
        witness=Witness(sessions, clock),
        outbound=Egress(
            allow_private=settings.allow_private_egress,
            read_timeout=ENDPOINT_SECONDS,
            total_timeout=ENDPOINT_SECONDS,
            max_body=ENDPOINT_ANSWER,
        ),
        mailer=_mailer(settings, clock),
        issuer=_issuer(settings, egress, clock),
        send_bell=send,
        inbox_bell=inbox,
        bell=far or send,
        receipt_bell=far or inbox,
    )


def _buckets(settings: Settings, clock: Clock) -> Buckets:
    broker = settings.broker_url
    url = settings.rate_limit_url or (broker if broker and broker.startswith("redis") else None)
    own = MemoryBuckets(clock)
    return RedisBuckets(url, own) if url and settings.rate_limit else own


def _egress(settings: Settings) -> Egress:
    return Egress(
        allow_private=settings.allow_private_egress,
        connect_timeout=settings.connect_seconds,
        read_timeout=settings.answer_seconds,
    )


def _issuer(settings: Settings, egress: Egress, clock: Clock) -> Issuer | None:
    url, client, secret = settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret
    if url is None or client is None or secret is None:
        return None
    return Issuer(Registration(url, client, secret, settings.oidc_name or url), egress, clock)


def _mailer(settings: Settings, clock: Clock) -> Mailer:
    if settings.mail_url and settings.mail_from:
        return SmtpMailer(settings.mail_url, settings.mail_from, clock)
    return NoMailer()


def dispatcher(services: Services, owner: str) -> Dispatcher:
    """Make the sender of one process, which claims in the name of `owner`."""
    return Dispatcher(
        services.sessions,
        services.clock,
        owner=owner,
        references=services.references,
        urls=services.urls,
        vault=services.vault,
        ports=Ports(
            http=services.egress,
            clock=services.clock,
            connect_seconds=services.settings.connect_seconds,
            answer_seconds=services.settings.answer_seconds,
        ),
        content=services.content,
        lease_seconds=services.settings.lease_seconds,
    )


def applier(services: Services) -> Applier:
    """Make what the webhooks' inbox is applied with."""
    return Applier(
        vault=services.vault,
        hasher=services.hasher,
        references=services.references,
        receivers=Receivers(services.vault, services.egress),
    )
