"""A fleet of real processes on PostgreSQL, and a broker that loses everything in the middle."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from accounts.client import create_client
from campaigns.campaign import create_campaign
from campaigns.launch import latest_run, launch
from campaigns.template import create_template
from channels.channel import Channel
from communications.account import add_account
from communications.queries import run_statistics
from core.address import AddressHasher
from core.clock import SystemClock
from core.db import open_engine, read, write
from core.settings import Settings
from echelonx import wiring
from echelonx.relcheck.check import check
from members.person import read_person
from members.upsert import upsert
from tests.channels.simulated import simulating
from tests.conftest import PG_URL, PG_VERSION
from tests.e2e.processes import PATIENCE, accepts, echelonx, free_port, running, until
from tests.faults.redis import redis

RABBIT = "amqp://guest:guest@127.0.0.1:5672//"
SLOWLY = {"twilio": {"latency": 0.05}}
"""Slow enough for Redis to forget everything in the middle."""
PEOPLE = 1500

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(PG_VERSION is None, reason="no PostgreSQL answers"),
]


def answers(port: int) -> bool:
    with closing(socket.socket()) as line:
        line.settimeout(1)
        return line.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A database of this test's own, and the environment of every process."""
    name = f"echelonx_fleet_{os.getpid()}"
    admin = open_engine(PG_URL)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    port = free_port()
    yield {
        "ECHELONX_DATABASE_URL": sa.make_url(PG_URL).set(database=name).render_as_string(False),
        "ECHELONX_SECRET_KEY": "a key for a fleet of tests, 40 letters",
        "ECHELONX_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "ECHELONX_PORT": str(port),
        "ECHELONX_DATA_DIR": str(tmp_path),
        "ECHELONX_ALLOW_PRIVATE_EGRESS": "true",
    }
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    admin.dispose()


def prepare(services: wiring.Services, config: dict[str, object]) -> tuple[int, int, str]:
    """1,500 people and one campaign by SMS, due in two seconds.

    Return the client, the campaign and where replies go.
    """
    clock = SystemClock()
    with write(services.sessions) as session:
        client = create_client(session, clock, name="Fleet", country="US")
        yes = [{"channel": "sms", "state": "granted"}]
        people = [
            read_person(
                {"member_id": f"m{n}", "phone": f"+1201555{n:04d}", "consents": yes}, country=None
            )
            for n in range(PEOPLE)
        ]
        hasher: AddressHasher = services.hasher
        upsert(session, clock, hasher, client_id=client.id, people=people)
        account = add_account(
            session, clock, services.vault,
            client_id=client.id, name="sms", adapter="twilio", config=config,
        )  # fmt: skip
        template = create_template(
            session, clock, client_id=client.id, name="t", channel="sms", text="Hello, reply STOP"
        )
        campaign = create_campaign(
            session, clock,
            client_id=client.id, name="All", type="sms",
            target_audience={"rule": "everyone"},
            variants=[{"channel": Channel.SMS, "template_id": template.id}],
            schedule_type="scheduled", scheduled_at=clock.now() + timedelta(seconds=2),
        )  # fmt: skip
        inbound = services.urls.receipts("twilio", account.token)
        return client.id, campaign.id, inbound


def test_a_fleet_sends_each_once_although_redis_forgets_everything(settings, tmp_path) -> None:
    if not answers(5672):
        pytest.skip("no RabbitMQ answers")
    log = tmp_path / "accepts.jsonl"
    services = wiring.build(Settings.from_environment(settings))
    migrated = echelonx("migrate", environment=settings)
    migrated.communicate(timeout=PATIENCE)
    assert migrated.returncode == 0

    with (
        closing(services),
        redis(tmp_path) as forgetful,
        simulating(log, hooks=settings["ECHELONX_PUBLIC_URL"], script=SLOWLY) as providers,
    ):
        client_id, campaign_id, inbound = prepare(services, providers.config["twilio"])
        providers.ask("POST", "/_sim/webhooks", {"twilio_inbound": inbound})
        ours, rabbit = ({"ECHELONX_BROKER_URL": url} for url in (forgetful.url, RABBIT))
        roles = [("web", ours), ("worker", ours), ("worker", ours), ("worker", rabbit),
                 ("scheduler", ours)]  # fmt: skip
        fleet = [
            echelonx(role, environment=settings | broker, output=tmp_path / f"{number}.txt")
            for number, (role, broker) in enumerate(roles)
        ]
        with running(*fleet):
            with write(services.sessions) as session:
                clock = SystemClock()
                assert launch(session, clock, client_id=client_id, campaign_id=campaign_id) is None
            until(lambda: accepts(log).total() > 500, "the first 500")
            assert accepts(log).total() < PEOPLE, "Redis was to be flushed in the middle"
            forgetful.flush()
            until(lambda: statistics(services, campaign_id).get("queued") == 0, "the last send")
            until(lambda: providers.state()["owed"] == 0, "the last webhook")
            until(lambda: waiting(services) == 0, "the last receipt")
            got = statistics(services, campaign_id)
            assert [process.poll() for process in fleet] == [None] * len(fleet)
        assert [process.returncode for process in fleet] == [0] * len(fleet)
        with read(services.sessions) as session:
            verdict = check(
                session,
                SystemClock(),
                services.references,
                provider_log=log,
                expected={"complete": True, "kills": 0, "ambiguous": 0, "audience": PEOPLE},
            )

    assert verdict["ok"], verdict["oracles"]
    taken = accepts(log)
    assert set(taken.values()) == {1}, "somebody was sent two messages"
    assert got["audience"] == PEOPLE
    assert got["audience"] == got["sent"] + got["skipped"] + got["failed"] + got["unknown"]
    assert got["sent"] == got["delivered"] + got["bounced"] + got["pending"]
    assert got["unknown"] == 0
    assert got["delivered"] > PEOPLE * 0.8


def statistics(services: wiring.Services, campaign_id: int) -> dict[str, int]:
    """The run's numbers; a run that is still fanning out is not done."""
    with read(services.sessions) as session:
        run = latest_run(session, campaign_id)
        if run is None or run.expanded_at is None:
            return {}
        return run_statistics(session, run.id).get(Channel.SMS, {})


def waiting(services: wiring.Services) -> int:
    """Stored webhooks that are not applied yet."""
    with read(services.sessions) as session:
        found = session.scalar(sa.text("SELECT count(*) FROM inbox WHERE state = 'new'"))
        return int(found or 0)
