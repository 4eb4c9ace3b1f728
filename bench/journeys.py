"""Journeys: how fast members move through them, on PostgreSQL.

`python -m bench.journeys [--due 100000] [--waiting 1000000] [--seconds 20] [--workers 2]`

Four numbers: enrolments due at once, by processes that each do what a worker's journey thread does;
events at a steady pace with fifty journeys that listen for them, and how far the workers are behind
at the most; one look when a million wait and nobody is due; and one member's rehearsed year.
"""

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from time import perf_counter, process_time, sleep
from typing import Any

from sqlalchemy import func, make_url, select, text
from sqlalchemy.orm import sessionmaker

from accounts.client import create_client
from bench.segments import least
from campaigns.journeys.acts import invented
from campaigns.journeys.advance import advance, due_journeys
from campaigns.journeys.enrolment import Enrolment, EnrolmentStep
from campaigns.journeys.hear import hear
from campaigns.journeys.journey import JourneyVersion
from campaigns.journeys.publish import create_journey, publish
from campaigns.journeys.rehearsal import rehearse
from campaigns.journeys.text import parse
from campaigns.template import create_template
from channels.channel import Channel
from communications.account import ProviderAccount
from communications.communication import Communication
from core.address import AddressHasher
from core.clock import SystemClock
from core.db import Sessions, open_engine, read, write
from echelonx.tables import METADATA
from members.partition import make_months
from members.signal import Signal, signalled
from members.tracking import ToldEvent, track

SERVER = "postgresql://postgres@127.0.0.1:5432/postgres"
DATABASE = "echelonx_bench_journeys"
HASHER = AddressHasher(b"h" * 32)
CLOCK = SystemClock()
JOURNEYS, KINDS = 50, 25
"""Journeys that listen, and kinds of events: each kind is the trigger, the goal and the wait of two
journeys. One event in ten lets somebody into two."""
TOLD = 500
"""Events of one set, as a source sends them that has many: measured, 160 µs of CPU each instead of
the 440 of a set of 100."""
NURTURE = """
journey "Nurture"
  when asked
  goal event purchase
  wait 1d
  branch
    if has tag "vip"
      tag "seen"
    else
      send email "hello"
  wait 7d
"""
LISTENING = """
journey "Listening {number}"
  when event e{kind} where n > 8
  again always
  goal event e{other} within 1h
  wait until event e{kind} or 30d
"""
YEAR = """
journey "Year"
  when asked
  limit 3 per 24h
  send email "hello" as weekly
  wait 7d
  go to weekly at most 52 times
"""
MEMBERS = """
INSERT INTO members (client_id, member_id, first_name, attributes, tier, status, version,
                     created_at, updated_at)
SELECT 1, 'c-' || n, 'Ana', '{}', 'basic', 'active', 1, now(), now()
FROM generate_series(1, :count) n
"""
ADDRESSES = """
INSERT INTO addresses (client_id, member_id, channel, value, hash, is_primary, state,
                              created_at, updated_at)
SELECT 1, id, 'email', member_id || '@example.com', md5(member_id), true, 'active', now(), now()
FROM members
"""
CONSENTS = """
INSERT INTO consent_states (client_id, member_id, channel, topic, state, occurred_at)
SELECT 1, id, 'email', 'marketing', 'granted', now() FROM members
"""
ENROLLED = """
INSERT INTO enrolments (client_id, journey_id, version_id, member_id, entry_key, ordinal, cause,
                        status, step, visit, since, due_at, held, tries, context, entered_at)
SELECT 1, :journey, :version, id, '', :ordinal, 'asked', 'active', 'wait-1d', 0, :since, :due,
       'wait', 0, '{}', :since
FROM members ORDER BY id LIMIT :count
"""


def fresh_database() -> str:
    """Make an empty database; return its URL."""
    admin = open_engine(SERVER)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {DATABASE}"))
    admin.dispose()
    return str(make_url(SERVER).set(database=DATABASE))


def prepare(sessions: Sessions, members: int) -> None:
    """Make a client, its members who may be written to, an account and a template."""
    with write(sessions) as session:
        client_id = create_client(session, CLOCK, name="Bench", country="US").id
        make_months(session, CLOCK)
        session.execute(text(MEMBERS), {"count": members})
        session.execute(text(ADDRESSES))
        session.execute(text(CONSENTS))
        session.add(
            ProviderAccount(
                client_id=client_id, name="none", adapter="smtp", channel=Channel.EMAIL,
                config=b"", token=DATABASE, created_at=CLOCK.now(), updated_at=CLOCK.now(),
            )
        )  # fmt: skip
        create_template(
            session, CLOCK, client_id=client_id, name="hello", channel=Channel.EMAIL,
            subject="Hello {{ first_name }}", html="<p>{{ unsubscribe_url }}</p>",
        )  # fmt: skip


def published(sessions: Sessions, words: str) -> JourneyVersion:
    """Publish a journey."""
    with write(sessions) as session:
        made = create_journey(session, CLOCK, client_id=1, text=words)
        return publish(session, CLOCK, client_id=1, journey_id=made.id)


def enrolled(
    sessions: Sessions, version: JourneyVersion, count: int, ordinal: int, due: timedelta
) -> None:
    """Put members at the wait; they are due so long from now."""
    due_at = CLOCK.now() + due
    told: dict[str, Any] = {"journey": version.journey_id, "version": version.id}
    told |= {"ordinal": ordinal, "count": count}
    told |= {"due": due_at, "since": due_at - timedelta(days=1)}
    with write(sessions) as session:
        session.execute(text(ENROLLED), told)


def vacuum(sessions: Sessions) -> None:
    """Let the planner know what is there, as autovacuum does after a while."""
    engine = sessions.kw["bind"]
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


def work(sessions: Sessions, *, until_idle: bool) -> None:
    """Do what a worker's journey thread does (echelonx/journeys.py)."""
    while True:
        done = 0
        with read(sessions) as session:
            clients = signalled(session)
        for client_id in clients:
            with write(sessions) as session:
                done += hear(session, CLOCK, client_id=client_id)
        with read(sessions) as session:
            journeys = due_journeys(session, CLOCK)
        for journey_id in journeys:
            with write(sessions) as session:
                done += advance(session, CLOCK, HASHER, journey_id=journey_id)
        if not done and until_idle:
            return
        if not done:
            sleep(0.3)


@contextmanager
def workers(url: str, count: int, *words: str) -> Iterator[Sequence[subprocess.Popen[bytes]]]:
    """Run so many processes; those that do not end by themselves are ended."""
    own = [sys.executable, "-m", "bench.journeys", "--url", url, *words]
    started = [subprocess.Popen(own) for _ in range(count)]
    try:
        yield started
    finally:
        for one in started:
            one.terminate()
            one.wait()


def due_at_once(sessions: Sessions, url: str, count: int, processes: int) -> None:
    """Measure how long everybody takes who is due at once."""
    enrolled(sessions, published(sessions, NURTURE), count, 0, timedelta(0))
    vacuum(sessions)
    started = perf_counter()
    with workers(url, processes, "--until-idle") as running:
        for one in running:
            one.wait()
    took = perf_counter() - started
    with read(sessions) as session:
        sent = session.scalar(select(func.count()).select_from(Communication))
        steps = session.scalar(select(func.count()).select_from(EnrolmentStep))
    if sent != count or steps != 3 * count:
        raise SystemExit(f"{count} were due, {sent} messages and {steps} steps were written")
    show(f"{count:,} due at once, {processes} processes, 3 steps each", f"{took:.1f} s", "≤ 60 s")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    each = (spent.ru_utime + spent.ru_stime) / count * 1e6
    print(f"    {each:,.0f} µs of the processes' CPU for each member")


def idle(sessions: Sessions, version: JourneyVersion, count: int, waiting: int) -> None:
    """Measure one look when many wait and nobody is due."""
    for ordinal in range(1, 1 + waiting // count):
        enrolled(sessions, version, count, ordinal, timedelta(days=3))
    vacuum(sessions)

    def look() -> tuple[list[int], list[int]]:
        with read(sessions) as session:
            return signalled(session), due_journeys(session, CLOCK)

    seconds, found = least(look, 20)
    if found != ([], []):
        raise SystemExit(f"nobody was due, and {found} was found")
    with read(sessions) as session:
        inside = session.scalar(select(func.count()).where(Enrolment.due_at.is_not(None)))
    show(f"one look, {inside:,} wait", f"{seconds * 1000:.1f} ms", "nothing")


def paced(sessions: Sessions, url: str, seconds: int, members: int, processes: int) -> None:
    """Measure how far workers are behind a thousand events a second."""
    ids = []
    for number in range(JOURNEYS):
        kind = number % KINDS
        text = LISTENING.format(number=number, kind=kind, other=(kind + 1) % KINDS)
        ids.append(published(sessions, text).journey_id)
    behind, told = [], 0
    with workers(url, processes):
        sleep(3)
        started, spent = perf_counter(), process_time()
        while perf_counter() - started < seconds:
            events = [
                ToldEvent(
                    f"e{number % KINDS}", f"m{number}",
                    {"member_id": f"c-{number * 7919 % members + 1}"}, {"n": number % 10},
                )
                for number in range(told, told + TOLD)
            ]  # fmt: skip
            with write(sessions) as session:
                track(session, CLOCK, HASHER, client_id=1, events=events)
            told += len(events)
            behind.append(lag(sessions, ids))
            sleep(max(0.0, started + told / 1000 - perf_counter()))
        took, spent = perf_counter() - started, process_time() - spent
        while lag(sessions, ids):
            sleep(0.1)
    with read(sessions) as session:
        entered = session.scalar(select(func.count()).where(Enrolment.cause.like("event:%")))
    show(
        f"{told / took:,.0f} events/s, {JOURNEYS} journeys", f"{max(behind):.2f} s behind", "≤ 2 s"
    )
    print(
        f"    {entered:,} entered; {spent / told * 1e6:,.0f} µs of the source's CPU for each event"
    )


def lag(sessions: Sessions, ids: Sequence[int]) -> float:
    """Return the age of the oldest thing that was not heard, or that nobody went on by, in s."""
    with read(sessions) as session:
        now = CLOCK.now()
        heard = session.scalar(select(func.min(Signal.at)))
        of_these = Enrolment.journey_id.in_(ids), Enrolment.due_at <= now
        due = session.scalar(select(func.min(Enrolment.due_at)).where(*of_these))
    return max((now - (one or now)).total_seconds() for one in (heard, due))


def year(sessions: Sessions) -> None:
    """Measure a rehearsed year of one member with a message a week."""
    who = {"email": "ana@example.com", "first_name": "Ana"}

    def play() -> int:
        return len(
            rehearse(
                sessions, HASHER, client_id=1, journey=parse(YEAR), cast=invented(who),
                start=CLOCK.now(),
            ).sends
        )  # fmt: skip

    seconds, sends = least(play, 3)
    before = process_time()
    play()
    print(f"    {process_time() - before:.2f} s of this process's CPU for a year")
    show(f"a member's year, {sends} messages", f"{seconds:.2f} s", "≤ 1 s")


def show(what: str, measured: str, wanted: str) -> None:
    """Print a line, with how busy the machine is."""
    load = os.getloadavg()[0]
    print(f"  {what:<52} {measured:>14} {wanted:>10}   load {load:.1f}", flush=True)


def main() -> None:
    """Measure all four."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--due", type=int, default=100_000)
    parser.add_argument("--waiting", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--until-idle", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    url = given.url or fresh_database()
    engine = open_engine(url)
    sessions: Sessions = sessionmaker(engine, expire_on_commit=False)
    if given.url:
        work(sessions, until_idle=given.until_idle)
        return
    METADATA.create_all(engine)
    prepare(sessions, given.due)
    due_at_once(sessions, url, given.due, given.workers)
    year(sessions)
    with read(sessions) as session:
        version = session.scalars(select(JourneyVersion)).one()
    idle(sessions, version, given.due, given.waiting)
    paced(sessions, url, given.seconds, given.due, given.workers)
    engine.dispose()


if __name__ == "__main__":
    main()
