"""A stage for chaos: a database with people, one campaign, simulated providers, and a judge."""

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from accounts.client import create_client
from campaigns.campaign import create_campaign
from campaigns.launch import latest_run, launch
from campaigns.run import Run
from campaigns.template import create_template
from channels.channel import Channel
from channels.simulators.script import Script
from communications.account import ProviderAccount, add_account
from communications.communication import Communication
from communications.status import OPEN
from core.clock import Clock, SystemClock
from core.db import open_engine, read, write
from core.settings import Settings
from echelonx import schema, wiring
from echelonx.relcheck.check import check
from members.address import AddressState, MemberAddress
from members.consent import MARKETING, ConsentState, CurrentConsent
from members.member import Member
from scheduling.occurrence import Occurrence, OccurrenceState
from tests.channels.simulated import Simulators, simulating
from tests.conftest import PG_URL
from tests.e2e.processes import free_port
from tests.faults.conftest import LONG
from tests.faults.zygote import Process
from webhooks.inbox import InboxItem, InboxState

C = Communication
MIX = {"lost": 0.002, "slow": 0.0005, "reset": 0.002, "429": 0.0, "500": 0.002, "400": 0.005}
"""What providers do wrong; without 429, whose Retry-After makes the whole account rest (F11)."""
AMBIGUOUS = frozenset({"lost", "slow", "reset", "500", "hang"})
AT_ONCE = 10_000
NUMBERS = itertools.count(1)
RENUMBERED = itertools.count(1)
CONTENT: dict[bool, tuple[str, dict[str, str]]] = {
    True: ("sms", {"text": "Hello {{ member.first_name }}, reply STOP"}),
    False: (
        "email",
        {
            "subject": "Hello {{ member.first_name }}",
            "html": "<p>Hello {{ member.first_name }}</p><a href='{{ unsubscribe_url }}'>-</a>",
            "text": "Hello {{ member.first_name }} {{ unsubscribe_url }}",
        },
    ),
}
ANSWER_SECONDS, LEASE_SECONDS = 5, 20
"""Long enough for a busy machine: what comes later is ambiguous."""


def wrong(verdict: dict[str, Any]) -> dict[str, Any]:
    """The oracles that say no."""
    return {name: told for name, told in verdict["oracles"].items() if not told["ok"]}


def leases_over(on: "Stage", processes: Iterable[Process]) -> bool:
    """Let the leases of all but these processes be over: the shortest allowed is long for a test.

    Long runs wait for the real ones. Always true, for use in a condition.
    """
    living = [process.pid for process in processes if process.poll() is None]
    left = [C.lease_until > SystemClock().now(), *(C.owner.not_like(f"%:{n}:%") for n in living)]
    with read(on.services.sessions) as session:
        some = session.scalar(sa.select(C.id).where(*left).limit(1))
    if some is not None and not LONG:
        with write(on.services.sessions) as session:
            past = SystemClock().now() - timedelta(seconds=1)
            session.execute(sa.update(C).where(*left).values(lease_until=past))
    return True


@contextmanager
def fresh(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database of this test's own."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/chaos.db"
        return
    name = f"echelonx_chaos_{os.getpid()}_{folder.name}".replace("-", "_")[:60]
    admin = open_engine(PG_URL)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    try:
        yield sa.make_url(PG_URL).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
        admin.dispose()


@dataclass(slots=True)
class Stage:
    """What a scenario plays on."""

    environment: dict[str, str]
    services: wiring.Services
    providers: Simulators
    log: Path
    seed: int
    script: Mapping[str, Any]
    client_id: int
    account_id: int
    template_id: int
    campaign_id: int
    window: int
    facts: dict[str, Any] = field(default_factory=dict)
    """What the judge is told beside what the stage knows."""

    def launch(self) -> int:
        """Start the campaign; return its run."""
        with write(self.services.sessions) as session:
            run = launch(
                session, SystemClock(), client_id=self.client_id, campaign_id=self.campaign_id
            )
            assert run is not None
            return run.id

    def again(self, *, due_in: float | None = None) -> int:
        """Make another campaign to everybody, launched at once or due in so many seconds."""
        clock = SystemClock()
        with write(self.services.sessions) as session:
            self.campaign_id = _campaign(session, clock, self.client_id, self.template_id, due_in)
            launch(session, clock, client_id=self.client_id, campaign_id=self.campaign_id)
        return self.campaign_id

    def renumber(self) -> None:
        """Give everybody a phone number that nobody had, and ask for consent anew.

        In a long run all numbers die or say STOP one by one; what is queued keeps the old ones.
        """
        with write(self.services.sessions) as session:
            people = list(session.scalars(sa.select(MemberAddress).order_by(MemberAddress.id)))
            first = next(RENUMBERED) * len(people)
            for place, one in enumerate(people):
                one.value, one.state = phone(first + place), AddressState.ACTIVE
                one.hash = self.services.hasher.hash(self.client_id, one.channel, one.value)
            session.execute(sa.update(CurrentConsent).values(state=ConsentState.GRANTED))

    def run(self) -> Run | None:
        """The campaign's run."""
        with read(self.services.sessions) as session:
            return latest_run(session, self.campaign_id)

    def counts(self) -> dict[str, int]:
        """Communications by status."""
        with read(self.services.sessions) as session:
            query = sa.select(C.status, sa.func.count()).group_by(C.status)
            return {status.value: count for status, count in session.execute(query)}

    def at_rest(self) -> bool:
        """Whether nothing is planned, everybody is decided, and nothing is queued or on its way."""
        waiting = (
            sa.select(Occurrence.id).where(Occurrence.state == OccurrenceState.PLANNED),
            sa.select(Run.id).where(Run.expanded_at.is_(None)),
            sa.select(C.id).where(C.status.in_(OPEN), C.held.is_(None)),
        )
        with read(self.services.sessions) as session:
            if session.scalar(sa.select(Run.id).limit(1)) is None:
                return False
            return all(session.scalar(query.limit(1)) is None for query in waiting)

    def digested(self) -> bool:
        """Whether every receipt was posted, acknowledged and applied."""
        if self.providers.state()["owed"]:
            return False
        with read(self.services.sessions) as session:
            new = sa.select(InboxItem.id).where(InboxItem.state == InboxState.NEW)
            return session.scalar(new.limit(1)) is None

    def accepted(self) -> int:
        """How many messages the providers took."""
        return sum(self.providers.state()["accepted"].values())

    def ambiguous(self) -> int:
        """How many attempts the script answered in a way that nobody can tell, at most."""
        with read(self.services.sessions) as session:
            tokens = session.execute(sa.select(C.id, C.token).where(C.token > 0)).all()
        script = Script(self.seed, self.script)
        make = self.services.references.make
        return sum(
            script.fault("twilio", make(row.id, token)).kind in AMBIGUOUS
            for row in tokens
            for token in range(1, row.token + 1)
        )

    def judge(self, **expected: Any) -> dict[str, Any]:
        """Ask every oracle."""
        known = {
            "complete": True,
            "at_rest": True,
            "window": self.window * 3 // 2,
            "ambiguous": self.ambiguous(),
        }
        told = known | self.facts | expected
        with read(self.services.sessions) as session:
            return check(
                session,
                SystemClock(),
                self.services.references,
                provider_log=self.log,
                expected=told,
            )


@contextmanager
def stage(
    database_url: str,
    folder: Path,
    *,
    people: int,
    seed: int = 1,
    script: Mapping[str, Any] | None = None,
    window: int = 50,
    hooks: bool = False,
    delay: float = 0.2,
    settings: Mapping[str, str] | None = None,
    adapter: str = "twilio",
) -> Iterator[Stage]:
    """Set everything up; `hooks` lets the providers post receipts to where `web` would listen."""
    port = free_port()
    environment = {
        "ECHELONX_DATABASE_URL": database_url,
        "ECHELONX_SECRET_KEY": "a key for the faults of tests, 40 letters",
        "ECHELONX_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "ECHELONX_PORT": str(port),
        "ECHELONX_DATA_DIR": str(folder),
        "ECHELONX_ALLOW_PRIVATE_EGRESS": "true",
        "ECHELONX_LEASE_SECONDS": str(LEASE_SECONDS),
        "ECHELONX_ANSWER_SECONDS": str(ANSWER_SECONDS),
        "ECHELONX_PUMP_SECONDS": "0.5",
        "ECHELONX_LOG_LEVEL": "WARNING",
        **(settings or {}),
    }
    script = {"twilio": MIX | {"slow_seconds": ANSWER_SECONDS * 2}} if script is None else script
    log = folder / "accepts.jsonl"
    services = wiring.build(Settings.from_environment(environment))
    schema.migrate(services.engine)
    base = environment["ECHELONX_PUBLIC_URL"] if hooks else None
    with (
        closing(services),
        simulating(log, seed=seed, script=script, hooks=base, delay=delay) as providers,
    ):
        ids = _prepare(services, adapter, providers.config[adapter], people, window)
        if hooks:
            providers.ask("POST", "/_sim/webhooks", {"twilio_inbound": _inbound(services, ids[1])})
        yield Stage(environment, services, providers, log, seed, script, *ids, window)


def _prepare(
    services: wiring.Services, adapter: str, config: dict[str, Any], people: int, window: int
) -> tuple[int, int, int, int]:
    """Make the client, its people with addresses and consent, the account and the campaign."""
    clock = SystemClock()
    kind, words = CONTENT[adapter == "twilio"]
    with write(services.sessions) as session:
        client = create_client(session, clock, name="Chaos", address="1 Test Street", country="US")
        for start in range(0, people, AT_ONCE):
            _people(services, session, client.id, kind, range(start, min(start + AT_ONCE, people)))
        account = add_account(
            session, clock, services.vault,
            client_id=client.id, name=kind, adapter=adapter, config=config, window=window,
        )  # fmt: skip
        template = create_template(
            session, clock, client_id=client.id, name="t", channel=kind, **words
        )
        campaign_id = _campaign(session, clock, client.id, template.id, None, kind)
        ids = client.id, account.id, template.id, campaign_id
    if services.engine.dialect.name == "postgresql":
        with services.engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        ) as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))
    return ids


def _campaign(
    session: Session,
    clock: Clock,
    client_id: int,
    template_id: int,
    due_in: float | None,
    kind: str = "sms",
) -> int:
    """A campaign to everybody, launched by hand or due in so many seconds."""
    when: dict[str, Any] = {}
    if due_in is not None:
        at = clock.now() + timedelta(seconds=due_in)
        when = {"schedule_type": "scheduled", "scheduled_at": at}
    return create_campaign(
        session, clock,
        client_id=client_id, name=f"To all {next(NUMBERS)}", type=kind,
        target_audience={"rule": "everyone"},
        variants=[{"channel": Channel(kind), "template_id": template_id}],
        **when,
    ).id  # fmt: skip


def phone(number: int) -> str:
    """The number-th member's address."""
    return f"+1{201 + number // 10_000_000:03d}{number % 10_000_000:07d}"


def _people(
    services: wiring.Services, session: Any, client_id: int, kind: str, numbers: range
) -> None:
    now = services.clock.now()
    stamps = {"created_at": now, "updated_at": now}
    first = session.scalar(sa.select(sa.func.coalesce(sa.func.max(Member.id), 0))) + 1
    ids = {number: first + place for place, number in enumerate(numbers)}
    own = {"client_id": client_id}
    addresses = {n: phone(n) if kind == "sms" else f"m{n}@people.example" for n in numbers}
    session.execute(
        sa.insert(Member),
        [own | stamps | {"id": ids[n], "member_id": f"m{n}", "first_name": "Ana"} for n in numbers],
    )
    session.execute(
        sa.insert(MemberAddress),
        [
            own | stamps | {
                "member_id": ids[n], "channel": kind, "value": addresses[n], "is_primary": True,
                "hash": services.hasher.hash(client_id, kind, addresses[n]),
                "state": AddressState.ACTIVE,
            }
            for n in numbers
        ],
    )  # fmt: skip
    session.execute(
        sa.insert(CurrentConsent),
        [
            own | {
                "member_id": ids[n], "channel": kind, "topic": MARKETING,
                "state": ConsentState.GRANTED, "occurred_at": now,
            }
            for n in numbers
        ],
    )  # fmt: skip


def _inbound(services: wiring.Services, account_id: int) -> str:
    with read(services.sessions) as session:
        account = session.get_one(ProviderAccount, account_id)
        return services.urls.receipts("twilio", account.token)
