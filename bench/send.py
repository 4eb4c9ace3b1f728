"""100,000 personalised emails through the SMTP adapter, beside a plain smtplib loop.

Same machine, same sink (Debian's `smtp-sink`), same content, one run after the other: a plain
two-process loop that keeps no log, then EchelonX on PostgreSQL with two Celery workers, with a row,
a durable intent and a settled outcome for every message.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from sqlalchemy import Engine, func, make_url, select, text
from sqlalchemy.orm import sessionmaker

from accounts.client import create_client
from bench.process import Usage, usage
from campaigns.campaign import create_campaign
from campaigns.launch import launch
from campaigns.template import create_template
from communications.account import add_account
from communications.communication import Communication
from communications.queries import run_statistics
from core.clock import SystemClock
from core.db import Sessions, open_engine, read, write
from core.settings import Settings
from echelonx import schema, wiring

HERE = Path(__file__).parent
HTML = HERE / "gift_guide.html"
SINK_PORT = 25250
PEOPLE = """
INSERT INTO members (client_id, member_id, first_name, email, tier, status, attributes, version,
                     created_at, updated_at)
SELECT :client, 'm' || n, 'Ana ' || n, 'm' || n || '@people.example', 'premium', 'active',
       jsonb_build_object('city', 'Berlin'), 1, now(), now()
FROM generate_series(1, :count) n;
INSERT INTO addresses (client_id, member_id, channel, value, hash, state, is_primary, created_at,
                       updated_at)
SELECT client_id, id, 'email', email, md5(email), 'active', true, now(), now() FROM members;
INSERT INTO consent_states (member_id, channel, topic, client_id, state, occurred_at)
SELECT id, 'email', 'marketing', client_id, 'granted', now() FROM members;
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One side of the comparison."""

    name: str
    messages: int
    seconds: float
    cpu_seconds: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.seconds


@contextmanager
def sink() -> Iterator[None]:
    """Run smtp-sink on loopback."""
    process = subprocess.Popen(["smtp-sink", "-u", "nobody", f"127.0.0.1:{SINK_PORT}", "500"])
    time.sleep(0.5)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def plain(count: int) -> Result:
    """Measure two processes of bench/plain_loop.py."""
    started = time.perf_counter()
    command = [sys.executable, str(HERE / "plain_loop.py"), "127.0.0.1", str(SINK_PORT)]
    before = os.times()
    loops = [
        subprocess.Popen([*command, str(count // 2), str(HTML)], stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    for loop in loops:
        loop.wait()
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return Result("plain smtplib loop", count, time.perf_counter() - started, cpu, 0.0)


def fresh_database(url: str, name: str) -> str:
    """Create the database `name` anew beside `url` and return its URL."""
    admin = open_engine(url)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    admin.dispose()
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def workers(environment: Mapping[str, str], count: int) -> list[subprocess.Popen[bytes]]:
    """Start worker processes and wait until each has said that it is alive."""
    command = [sys.executable, "-m", "echelonx", "worker"]
    return [
        subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
        for _ in range(count)
    ]


def wait_alive(engine: Engine, count: int) -> None:
    """Wait until `count` workers have a heartbeat."""
    for _ in range(300):
        with engine.connect() as connection:
            if connection.execute(text("SELECT count(*) FROM workers")).scalar_one() >= count:
                return
        time.sleep(0.1)
    raise click.ClickException("the workers did not come up")


def prepare(settings: Settings, services: wiring.Services, count: int, window: int) -> int:
    """Fill the database; return the campaign's id."""
    clock = SystemClock()
    with write(services.sessions) as session:
        client = create_client(session, clock, name="Bench", address="1 Bench Street")
        for statement in filter(str.strip, PEOPLE.split(";")):
            session.execute(text(statement), {"client": client.id, "count": count})
        template = create_template(
            session,
            clock,
            client_id=client.id,
            name="Gift guide",
            channel="email",
            subject="{{ member.first_name }}, your gift guide",
            html=HTML.read_text(),
            text="Hello {{ member.first_name }}, your gift guide is here. {{ unsubscribe_url }}",
        )
        add_account(
            session,
            clock,
            services.vault,
            client_id=client.id,
            name="sink",
            adapter="smtp",
            config={
                "host": "127.0.0.1",
                "port": SINK_PORT,
                "tls": "none",
                "from_email": "hello@shop.example",
                "from_name": "Elevate",
                "connections": 1,
            },
            window=window,
        )
        campaign = create_campaign(
            session,
            clock,
            client_id=client.id,
            name="Gift guide",
            type="email",
            target_audience={"rule": {"everyone": True}},
            variants=[{"channel": "email", "template_id": template.id}],
        )
        session.flush()
        ids = (client.id, campaign.id)
    with services.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    del settings
    return _launched(services, *ids)


def _launched(services: wiring.Services, client_id: int, campaign_id: int) -> int:
    with write(services.sessions) as session:
        run = launch(session, SystemClock(), client_id=client_id, campaign_id=campaign_id)
    services.bell.ring()
    assert run is not None  # noqa: S101  (an immediate campaign has one)
    return run.id


def ours(url: str, broker: str, count: int, window: int) -> tuple[Result, dict[str, float]]:
    """Measure EchelonX from the launch to the last settled message."""
    environment = {
        "ECHELONX_DATABASE_URL": fresh_database(url, "echelonx_bench"),
        "ECHELONX_BROKER_URL": broker,
        "ECHELONX_SECRET_KEY": "bench" * 8,
        "ECHELONX_ALLOW_PRIVATE_EGRESS": "true",
        "ECHELONX_LOG_LEVEL": "WARNING",
    }
    settings = Settings.from_environment(environment)
    services = wiring.build(settings)
    engine = services.engine
    schema.migrate(engine)
    running = workers(environment, 2)
    try:
        wait_alive(engine, 2)
        started = time.time()
        run_id = prepare(settings, services, count, window)
        launched = _run_started(engine, run_id)
        _wait_sent(services.sessions, run_id, count)
        finished = time.time()
        used = [usage(process.pid) for process in running]
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(60)
    del started
    return _report(engine, run_id, count, launched, finished, used)


def _run_started(engine: Engine, run_id: int) -> float:
    with engine.connect() as connection:
        query = text("SELECT extract(epoch FROM started_at) FROM runs WHERE id = :id")
        return float(connection.execute(query, {"id": run_id}).scalar_one())


def _wait_sent(sessions: Sessions, run_id: int, count: int) -> None:
    while True:
        time.sleep(0.5)
        with read(sessions) as session:
            query = select(func.count()).where(
                Communication.run_id == run_id, Communication.sent_at.is_not(None)
            )
            if (session.scalar(query) or 0) >= count:
                return


def _report(
    engine: Engine, run_id: int, count: int, launched: float, finished: float, used: list[Usage]
) -> tuple[Result, dict[str, float]]:
    with sessionmaker(engine)() as session:
        first, last = session.execute(
            select(func.min(Communication.sent_at), func.max(Communication.sent_at))
        ).one()
        expanded = session.execute(
            text("SELECT extract(epoch FROM expanded_at - started_at) FROM runs WHERE id = :id"),
            {"id": run_id},
        ).scalar_one()
        statistics = run_statistics(session, run_id)
    print({channel.value: dict(numbers) for channel, numbers in statistics.items()})
    details = {
        "first message after launch, s": first.timestamp() - launched,
        "fan-out, s": float(expanded),
        "last message after launch, s": last.timestamp() - launched,
    }
    cpu = sum(one.cpu_seconds for one in used)
    peak = max(one.peak_mb for one in used)
    return Result("EchelonX, two workers", count, finished - launched, cpu, peak), details


@click.command()
@click.option("--database", default="postgresql://postgres@127.0.0.1:5432/postgres")
@click.option("--broker", default="redis://127.0.0.1:6379/5")
@click.option("--messages", default=100_000)
@click.option("--plain-messages", default=20_000, help="for the yardstick, whose rate is steady")
@click.option("--window", default=500)
def main(database: str, broker: str, messages: int, plain_messages: int, window: int) -> None:
    """Send through both and print the ratio."""
    with ExitStack() as stack:
        stack.enter_context(sink())
        yardstick = plain(plain_messages)
        result, details = ours(database, broker, messages, window)
    for one in (yardstick, result):
        print(
            f"{one.name:24} {one.messages:>8,} in {one.seconds:6.1f} s = {one.rate:8,.0f}/s"
            f"   {one.cpu_seconds / one.messages * 1e6:6.0f} µs CPU each"
            f"   peak {one.peak_mb:.0f} MB"
        )
    for name, value in details.items():
        print(f"  {name}: {value:.2f}")
    print(f"ratio: {result.rate / yardstick.rate:.2f} times the plain loop")


if __name__ == "__main__":
    main()
