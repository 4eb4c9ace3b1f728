"""Segments at a million members: counts, samples, pages, searches, and a change that is seen.

`python -m bench.segments [--members 1000000] [--sqlite 100000] [--tries 7] [--explain]`

Makes the databases of bench/million.py where they are missing. Each line is the least of `tries`
measurements, in milliseconds, beside what it should be on PostgreSQL at a million.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, delete, event, text
from sqlalchemy.orm import Session, sessionmaker

from bench.million import NOW, postgresql, sqlite
from campaigns.reach import reach
from campaigns.sample import sample
from channels.channel import Channel
from core.clock import ManualClock
from core.condition.text import parse
from core.db import Sessions, read, write
from members.membership import refresh, refresh_touched, track, untrack
from members.queries import count_rule, members_page
from members.search import search
from members.segment import Segment, create_segment
from members.touch import touch

TWO = 'tier = "premium" and attributes.city = "Lisbon"'
SIX = (
    'tier in ("premium", "elite") and has tag "newsletter" and consent email '
    "and did purchase at least 2 times in the last 90 days "
    'and not clicked any campaign within 30 days and attributes.plan = "pro"'
)
ABOVE = "attributes.visits > 50"
EITHER = "did purchase within 30 days or did viewed within 30 days"
EVER = "did purchase or did viewed"
RARE = 'tier = "executive" and has tag "vip" and attributes.city = "Vienna" and total_spend > 490'


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to measure; `target` is in milliseconds, 0 for none."""

    name: str
    target: int
    work: Callable[[Session], Any]


def lines(members: int) -> list[Line]:
    """Return what is measured by reading alone."""
    clock = ManualClock(NOW)
    client = {"client_id": 1}

    def counted(rule: str) -> Callable[[Session], Any]:
        return lambda session: count_rule(session, 1, parse(rule), NOW)

    def sampled(rule: str) -> Callable[[Session], Any]:
        return lambda session: len(
            sample(
                session, clock, **client, condition=parse(rule), channels=[Channel.EMAIL], limit=20
            )
        )

    def paged(rule: str, after: int) -> Callable[[Session], Any]:
        return lambda session: len(
            members_page(session, 1, condition=parse(rule), now=NOW, after=after)
        )

    def reached(session: Session) -> Any:
        found = reach(session, clock, **client, condition=parse(TWO), channels=[Channel.EMAIL])
        return found.channels[0].will_receive

    return [
        Line("count, two attributes", 90, counted(TWO)),
        Line("count, six mixed conditions", 1500, counted(SIX)),
        Line("count, an attribute above a number", 0, counted(ABOVE)),
        Line("count, one of two events in 30 days", 0, counted(EITHER)),
        Line("count, one of two events", 0, counted(EVER)),
        Line("count, everyone", 0, counted("everyone")),
        Line("reach by email, two attributes", 0, reached),
        Line("sample of 20, two attributes", 200, sampled(TWO)),
        Line("sample of 20, six mixed", 0, sampled(SIX)),
        Line("sample of a rare rule", 0, sampled(RARE)),
        Line("page of 50 in the middle", 30, paged(TWO, members // 2)),
        Line("search “ana gar”", 100, lambda session: len(search(session, 1, "ana gar"))),
    ]


def seen(sessions: Sessions, member_id: int) -> Callable[[], int]:
    """Return what reads one member's note and decides for it in a tracked segment."""
    clock = ManualClock(NOW)

    def work() -> int:
        with write(sessions) as session:
            touch(session, client_id=1, member_ids=[member_id])
        with write(sessions) as session:
            moves = refresh_touched(session, clock, client_id=1)
        return int(moves is not None)

    return work


def main() -> None:
    """Measure both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--sqlite", type=int, default=100_000)
    parser.add_argument("--tries", type=int, default=7)
    parser.add_argument("--explain", action="store_true")
    given = parser.parse_args()
    large = postgresql(given.members)
    small = sqlite(large, given.sqlite)
    for engine, members in ((large, given.members), (small, given.sqlite)):
        print(f"\n{engine.dialect.name}, {members:,} members", flush=True)
        measure(engine, members, given.tries, explain=given.explain)
        engine.dispose()


def measure(engine: Engine, members: int, tries: int, *, explain: bool) -> None:
    """Print a line for each thing measured."""
    sessions = sessionmaker(engine, expire_on_commit=False)
    if explain and engine.dialect.name == "postgresql":
        event.listen(engine, "before_cursor_execute", _explain)
    for line in lines(members):
        with read(sessions) as session:
            best, answer = least(lambda line=line, session=session: line.work(session), tries)
        show(line.name, best, line.target, answer)
    for name, rule in (("two attributes", TWO), ("six mixed", SIX)):
        track_and_measure(sessions, members, tries, name, rule)


def track_and_measure(sessions: Sessions, members: int, tries: int, name: str, rule: str) -> None:
    """Track a segment, look at everybody, then see one member's change."""
    clock = ManualClock(NOW)
    with write(sessions) as session:
        segment = create_segment(session, clock, client_id=1, name=f"bench {name}", rule=rule)
        track(session, clock, segment)
    started = perf_counter()
    with write(sessions) as session:
        moves = refresh(session, clock, segment_id=segment.id)
    show(f"first look at everybody, {name}", perf_counter() - started, 0, moves)
    started = perf_counter()
    with write(sessions) as session:
        refresh(session, clock, segment_id=segment.id)
    show(f"next look at everybody, {name}", perf_counter() - started, 0, "")
    best, answer = least(seen(sessions, members // 3), tries)
    show(f"one member's change, {name}", best, 600, answer)
    with write(sessions) as session:
        found = session.get_one(Segment, segment.id)
        untrack(session, clock, found)
        session.execute(text("DELETE FROM segment_memberships"))
        session.execute(delete(Segment).where(Segment.id == segment.id))


def least(work: Callable[[], Any], tries: int) -> tuple[float, Any]:
    """Return the least seconds of several tries, and what the last one answered."""
    best, answer = float("inf"), None
    for _ in range(tries):
        started = perf_counter()
        answer = work()
        best = min(best, perf_counter() - started)
    return best, answer


def show(name: str, seconds: float, target: int, answer: Any) -> None:
    """Print one line."""
    wanted = f"≤ {target:,}" if target else ""
    late = "  LATE" if target and seconds * 1000 > target else ""
    print(f"  {name:<44} {seconds * 1000:>9.1f} ms {wanted:>8}{late}  {answer}", flush=True)


def _explain(
    connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
) -> None:
    del connection, context, many
    if statement.lstrip().startswith(("SELECT", "WITH")):
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", parameters)
        print("\n".join(row[0] for row in cursor.fetchall()))


if __name__ == "__main__":
    main()
