"""Fan-out: members a second that become rows of the log, on SQLite and on PostgreSQL.

100,000 members with addresses and consent, a tenth of them not to be written to; one email campaign
and one over three channels. The time is that of `campaigns.fan_out.step`, chunk by chunk, in one
thread, durable as in production. Makes its own databases and removes them.
"""

import resource
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy import func, insert, make_url, select, text
from sqlalchemy.orm import sessionmaker

from accounts.client import Client
from campaigns.campaign import create_campaign
from campaigns.fan_out import step
from campaigns.launch import launch
from campaigns.template import create_template
from channels.channel import Channel
from communications.account import ProviderAccount
from communications.communication import Communication
from core.clock import SystemClock
from core.db import Sessions, open_engine, read, write
from echelonx.tables import METADATA
from members.address import MemberAddress
from members.consent import CurrentConsent
from members.member import Member

CHANNELS = {Channel.EMAIL: "smtp", Channel.SMS: "twilio", Channel.PUSH: "fcm"}
CLOCK = SystemClock()
BATCH = 10_000


@contextmanager
def postgres(url: str) -> Iterator[str]:
    """Make a database beside `url`, and drop it."""
    name = "echelonx_bench_fan_out"
    admin = open_engine(url)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))
        connection.execute(text(f'CREATE DATABASE "{name}"'))
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
        connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    admin.dispose()


@contextmanager
def sqlite() -> Iterator[str]:
    """Make a file in a directory of its own, and remove it."""
    with tempfile.TemporaryDirectory() as folder:
        yield f"sqlite:///{Path(folder) / 'bench.db'}"


def people(sessions: Sessions, client_id: int, count: int) -> None:
    """Fill the client with members; every tenth has withdrawn consent."""
    now = CLOCK.now()
    stamps = {"created_at": now, "updated_at": now}
    for start in range(1, count + 1, BATCH):
        numbers = range(start, min(start + BATCH, count + 1))
        with write(sessions) as session:
            session.execute(
                insert(Member),
                [
                    {
                        "id": n,
                        "client_id": client_id,
                        "member_id": f"m{n}",
                        "first_name": f"Ana {n}",
                        "attributes": {"city": "Berlin", "orders": n},
                        **stamps,
                    }
                    for n in numbers
                ],
            )
            for channel in CHANNELS:
                session.execute(
                    insert(MemberAddress),
                    [
                        {
                            "client_id": client_id,
                            "member_id": n,
                            "channel": channel.value,
                            "value": f"m{n}@people.example",
                            "hash": f"{channel.value}-{n:020}",
                            **stamps,
                        }
                        for n in numbers
                    ],
                )
                session.execute(
                    insert(CurrentConsent),
                    [
                        {
                            "client_id": client_id,
                            "member_id": n,
                            "channel": channel.value,
                            "topic": "marketing",
                            "state": "granted" if n % 10 else "withdrawn",
                            "occurred_at": now,
                        }
                        for n in numbers
                    ],
                )


def shop(sessions: Sessions) -> tuple[int, dict[Channel, int]]:
    """Make a client with accounts and a template per channel."""
    now = CLOCK.now()
    with write(sessions) as session:
        client = Client(name="Bench", address="1 Bench Street", created_at=now, updated_at=now)
        session.add(client)
        session.flush()
        templates = {}
        for channel, adapter in CHANNELS.items():
            account = ProviderAccount(
                client_id=client.id,
                name=adapter,
                adapter=adapter,
                channel=channel,
                config=b"",
                token=adapter,
                created_at=now,
                updated_at=now,
            )
            session.add(account)
            templates[channel] = create_template(
                session,
                CLOCK,
                client_id=client.id,
                name=channel.value,
                channel=channel,
                subject=None if channel is Channel.SMS else "Hello {{ first_name }}",
                text="{{ member.attributes.city }} {{ first_name }} {{ unsubscribe_url }}",
            ).id
        return client.id, templates


def measure(
    name: str,
    sessions: Sessions,
    client_id: int,
    templates: dict[Channel, int],
    channels: Sequence[Channel],
) -> None:
    """Launch a campaign, fan it out, print the rates."""
    started = time.perf_counter()
    with write(sessions) as session:
        campaign = create_campaign(
            session,
            CLOCK,
            client_id=client_id,
            name=f"Over {len(channels)}",
            type="mixed",
            target_audience={"rule": {"everyone": True}},
            variants=[{"channel": one, "template_id": templates[one]} for one in channels],
        )
        run = launch(session, CLOCK, client_id=client_id, campaign_id=campaign.id)
    assert run is not None  # noqa: S101  (an immediate campaign has one)
    launched = time.perf_counter()
    step(sessions, CLOCK)
    first = time.perf_counter()
    while step(sessions, CLOCK):
        pass
    seconds = time.perf_counter() - launched
    with read(sessions) as session:
        query = select(func.count()).select_from(Communication)
        rows = session.scalar(query.where(Communication.run_id == run.id)) or 0
    print(
        f"{name:10} {len(channels)} channel(s) {rows:>9,} rows in {seconds:6.2f} s"
        f" = {rows / seconds:9,.0f} rows/s   launch {launched - started:.2f} s,"
        f" first rows {first - started:.2f} s after the click"
    )


@click.command()
@click.option("--members", default=100_000)
@click.option("--database", default="postgresql://postgres@127.0.0.1/test")
def main(members: int, database: str) -> None:
    """Measure both databases."""
    for name, opened in (("SQLite", sqlite()), ("PostgreSQL", postgres(database))):
        with opened as url:
            engine = open_engine(url)
            METADATA.create_all(engine)
            sessions = sessionmaker(engine, expire_on_commit=False)
            client_id, templates = shop(sessions)
            people(sessions, client_id, members)
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("ANALYZE"))
            for channels in ([Channel.EMAIL], list(CHANNELS)):
                measure(name, sessions, client_id, templates, channels)
            engine.dispose()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process, filling included: {peak:.0f} MB")


if __name__ == "__main__":
    main()
