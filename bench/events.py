"""Events: how many are tracked a second, on PostgreSQL and SQLite, beside plain INSERTs.

`python -m bench.events [--events 100000] [--members 20000] [--batches 100 1000]`

Each set of events is one transaction. The plain INSERT writes the same columns into a table of the
same kind without keys, partitions or other indexes: no repeat is found, nobody is looked up,
nothing is counted. `again` tells the same events once more, as a client does that is in doubt.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from time import perf_counter, process_time
from typing import Any

from sqlalchemy import Column, Engine, MetaData, Table, insert, make_url, text
from sqlalchemy.orm import sessionmaker

from accounts.client import create_client
from core.address import AddressHasher
from core.clock import SystemClock
from core.db import Sessions, open_engine, write
from echelonx.tables import METADATA
from members.event import Event
from members.partition import make_months
from members.person import Person
from members.tracking import ToldEvent, amount_of, track
from members.upsert import Existing, upsert

SERVER = "postgresql://postgres@127.0.0.1:5432/postgres"
DATABASE = "echelonx_bench_events"
HASHER = AddressHasher(b"h" * 32)
CLOCK = SystemClock()
NAMES = ("app_opened", "viewed", "added_to_cart", "purchase")
DAYS = 90
"""Events are of this many days before now: four months, four partitions."""


def make_events(count: int, members: int, seed: int = 7) -> list[ToldEvent]:
    """Return events of members picked at random, shuffled over DAYS days."""
    rng = random.Random(seed)
    now = CLOCK.now()
    made = []
    for number in range(count):
        name = rng.choices(NAMES, (60, 25, 10, 5))[0]
        properties = {"total": round(rng.random() * 200, 2)} if name == "purchase" else {"page": 7}
        made.append(
            ToldEvent(
                name,
                f"{seed}-{number}",
                {"member_id": f"c-{rng.randrange(members)}"},
                properties,
                occurred_at=now - timedelta(seconds=rng.random() * DAYS * 86_400),
            )
        )
    return made


def prepare(engine: Engine, members: int) -> tuple[Sessions, int]:
    """Make the tables, a client, its members and the months of events."""
    METADATA.create_all(engine)
    sessions: Sessions = sessionmaker(engine, expire_on_commit=False)
    with write(sessions) as session:
        client_id = create_client(session, CLOCK, name="Bench", country="US").id
        make_months(session, CLOCK)
    for start in range(0, members, 5000):
        numbers = range(start, min(start + 5000, members))
        people = [Person(fields={"member_id": f"c-{number}"}) for number in numbers]
        with write(sessions) as session:
            upsert(
                session, CLOCK, HASHER, client_id=client_id, people=people,
                existing=Existing.SKIP, source="bench",
            )  # fmt: skip
    return sessions, client_id


def sets(events: Sequence[ToldEvent], size: int) -> Iterator[Sequence[ToldEvent]]:
    """Cut events into sets."""
    for start in range(0, len(events), size):
        yield events[start : start + size]


def measured(count: int, work: Callable[[], None]) -> tuple[float, float]:
    """Return the events a second and the microseconds of this process's CPU an event."""
    before, spent = perf_counter(), process_time()
    work()
    return count / (perf_counter() - before), (process_time() - spent) / count * 1e6


def plain_insert(engine: Engine, client_id: int, events: Sequence[ToldEvent], size: int) -> None:
    """Write the same columns into a bare table, a transaction a set."""
    bare = Table(
        "plain_events",
        MetaData(),
        *[Column(one.name, one.type) for one in Event.__table__.columns],
    )
    bare.drop(engine, checkfirst=True)
    bare.create(engine)
    now = CLOCK.now()
    for number, part in enumerate(sets(events, size)):
        rows: list[dict[str, Any]] = [
            {
                "id": number * size + place,
                "client_id": client_id,
                "member_id": place,
                "name": one.name,
                "message_id": one.message_id,
                "properties": one.properties,
                "amount": amount_of(one.properties),
                "occurred_at": one.occurred_at,
                "received_at": now,
            }
            for place, one in enumerate(part)
        ]
        with engine.begin() as connection:
            connection.execute(insert(bare), rows)


def run(url: str, count: int, members: int, size: int) -> None:
    """Measure one database and size of set; runs in a process of its own."""
    engine = open_engine(url)
    sessions, client_id = prepare(engine, members)
    events = make_events(count, members)
    told = {"new": 0, "duplicates": 0}

    def tell() -> None:
        for part in sets(events, size):
            with write(sessions) as session:
                result = track(session, CLOCK, HASHER, client_id=client_id, events=part)
            told["new"] += result.new
            told["duplicates"] += result.duplicates

    plain, plain_cpu = measured(count, lambda: plain_insert(engine, client_id, events, size))
    first, first_cpu = measured(count, tell)
    again, again_cpu = measured(count, tell)
    if told != {"new": count, "duplicates": count}:
        raise SystemExit(f"events were lost or doubled: {told}")
    print(
        f"  sets of {size:>4}: tracked {first:>7,.0f}/s ({first_cpu:.0f} µs CPU here), "
        f"again {again:>7,.0f}/s ({again_cpu:.0f} µs), "
        f"plain INSERT {plain:>7,.0f}/s ({plain_cpu:.0f} µs): {plain / first:.1f} times",
        flush=True,
    )


def fresh_database() -> str:
    """Make an empty database; return its URL."""
    admin = open_engine(SERVER)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {DATABASE}"))
    admin.dispose()
    return str(make_url(SERVER).set(database=DATABASE))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--members", type=int, default=20_000)
    parser.add_argument("--batches", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.url:
        run(given.url, given.events, given.members, given.batches[0])
        return
    sizes = ["--events", str(given.events), "--members", str(given.members)]
    for name in ("PostgreSQL", "SQLite"):
        print(f"{name}: {given.events:,} events of {given.members:,} members")
        for size in given.batches:
            with tempfile.TemporaryDirectory() as folder:
                url = fresh_database() if name == "PostgreSQL" else f"sqlite:///{folder}/bench.db"
                own = [sys.executable, "-m", "bench.events", "--url", url, *sizes]
                subprocess.run([*own, "--batches", str(size)], check=True)


if __name__ == "__main__":
    main()
