"""L9: how much the queue slows down while somebody holds an old snapshot.

On PostgreSQL a long transaction (a report, a backup) keeps dead rows from being removed, and a
queue that finds its work through them gets slower by the second: a generic SKIP LOCKED queue fell
to 65 % in three minutes. Here one dispatcher works through a log of a million rows, with an adapter
that accepts at once, first undisturbed and then beside such a transaction.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import click
from sqlalchemy import text

from accounts.client import create_client
from bench.send import fresh_database
from channels.adapter import OutgoingMessage, Ports
from channels.channel import Channel
from channels.outcome import Accepted, Outcome
from channels.registry import PROVIDERS
from communications.account import add_account
from core.clock import SystemClock
from core.db import write
from core.settings import Settings
from echelonx import schema, wiring

ROWS = """
INSERT INTO communications (client_id, channel, direction, message_type, to_address, address_hash,
                            merge, content, status, rank, token, priority, not_before, tries,
                            crashes, open_attempts, resends, provider_account_id, created_at,
                            updated_at)
SELECT :client, 'sms', 'outbound', 'transactional', '+1201' || n, md5(n::text), '{}', 'Hello',
       'queued', 0, 0, 2, now(), 0, 0, 0, 0, :account, now(), now()
FROM generate_series(1, :count) n
"""


class Instant:
    """An adapter that accepts everything at once."""

    name: ClassVar[str] = "instant"
    channel: ClassVar[Channel] = Channel.SMS
    window: ClassVar[int] = 500

    @classmethod
    def from_config(cls, config: Mapping[str, Any], ports: Ports) -> Self:
        del config, ports
        return cls()

    def send(
        self, messages: Sequence[OutgoingMessage], expired: Callable[[], bool]
    ) -> Iterator[tuple[str, Outcome]]:
        del expired
        return ((message.reference, Accepted("id")) for message in messages)

    def close(self) -> None:
        return None


@click.command()
@click.option("--database", default="postgresql://postgres@127.0.0.1:5432/postgres")
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--seconds", default=60.0, show_default=True, help="Of each of the two parts.")
def main(database: str, rows: int, seconds: float) -> None:
    """Print both paces and their ratio."""
    PROVIDERS["instant"] = "bench.queue:Instant"
    settings = Settings(
        database_url=fresh_database(database, "echelonx_bench_queue"), log_level="WARNING"
    )
    services = wiring.build(settings)
    schema.migrate(services.engine)
    clock = SystemClock()
    with write(services.sessions) as session:
        client = create_client(session, clock, name="Bench", address="1 Bench Street")
        account = add_account(
            session, clock, services.vault,
            client_id=client.id, name="instant", adapter="instant", config={},
        )  # fmt: skip
        values = {"client": client.id, "account": account.id, "count": rows}
        session.execute(text(ROWS), values)
        account_id = account.id
    with services.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE communications"))
    dispatcher = wiring.dispatcher(services, "bench:1:1")

    def paces(parts: int) -> list[float]:
        found = []
        for _ in range(parts):
            until = time.perf_counter() + seconds / parts
            sent = 0
            while time.perf_counter() < until:
                sent += dispatcher.step(account_id)
            found.append(sent / (seconds / parts))
        return found

    paces(1)  # warm
    idle = paces(3)
    with services.engine.connect().execution_options(isolation_level="REPEATABLE READ") as snapshot:
        snapshot.execute(text("SELECT count(*) FROM clients"))
        held = paces(6)
    print("idle, a second:         ", ", ".join(f"{pace:,.0f}" for pace in idle))
    print("snapshot held, a second:", ", ".join(f"{pace:,.0f}" for pace in held))
    print(f"L9 ratio of the last to idle: {held[-1] / (sum(idle) / len(idle)):.2f}")
    services.close()


if __name__ == "__main__":
    main()
