"""Flow: the ways that lead through a program, and what they come to.

Waits count the least they can take: one that is answered takes no time. A jump back counts as a
way like any other; how often it is taken is bounded.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import time, timedelta

from campaigns.journeys.ast import (
    Call,
    Digest,
    GoTo,
    Send,
    Step,
    Wait,
    WaitFor,
    WaitTime,
)
from campaigns.journeys.program import BACK, TIMEOUT, Node, Program

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
NONE = timedelta(0)
WAITS = (Wait, WaitTime, WaitFor, Digest)


def ways(node: Node[Step]) -> list[str]:
    """Return the keys that may come after a step, each once; a wait for ever has no timeout."""
    endless = isinstance(node.step, WaitFor) and node.step.timeout is None
    keys = (key for way, key in node.ways.items() if key and not (endless and way == TIMEOUT))
    return list(dict.fromkeys(keys))


def reachable(program: Program) -> set[str]:
    """Return the keys of the steps that somebody may come to."""
    return set() if program.first is None else _from(program, [program.first])


def loops_without_wait(program: Program) -> list[str]:
    """Return the jumps that lead back to themselves by a way on which nobody waits."""
    still = {key for key, node in program.nodes.items() if not _waits(node)}
    return [
        key
        for key, node in program.nodes.items()
        if isinstance(node.step, GoTo) and key in _from(program, _back(node), still)
    ]


def _back(node: Node[Step]) -> list[str]:
    target = node.ways.get(BACK)
    return [target] if target else []


def _waits(node: Node[Step]) -> bool:
    step = node.step
    return isinstance(step, WAITS) or (isinstance(step, Call) and step.wait)


def _from(program: Program, starts: Iterable[str], through: set[str] | None = None) -> set[str]:
    """Return what can be reached from some steps, themselves among it; only `through` these."""
    seen: set[str] = set()
    waiting = list(starts)
    while waiting:
        key = waiting.pop()
        if key in seen or (through is not None and key not in through):
            continue
        seen.add(key)
        waiting += ways(program.nodes[key])
    return seen


# ---- messages close to each other


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """Where somebody may be: so long after the first message, with so many sent."""

    after: timedelta
    key: str
    sent: int
    jumps: int
    clock: tuple[int, str] | None
    """The minute of the day and its zone, where a wait until a time came before."""


def crowded(program: Program, most: int) -> str | None:
    """Return a step by which more than `most` messages went out within 24 hours, if any does."""
    sends = [key for key, node in program.nodes.items() if isinstance(node.step, Send)]
    known = reachable(program)
    found = (_crowd(program, key, most) for key in sends if key in known)
    return next((key for key in found if key is not None), None)


def _crowd(program: Program, start: str, most: int) -> str | None:
    """Look for the quickest way from one message to more than `most`, within a day."""
    queue = [_Place(NONE, start, 0, 0, None)]
    seen: set[tuple[str, int, int]] = set()
    while queue:
        place = heapq.heappop(queue)
        if (place.key, place.sent, place.jumps) in seen:
            continue
        seen.add((place.key, place.sent, place.jumps))
        node = program.nodes[place.key]
        sent = place.sent + isinstance(node.step, Send)
        if sent > most:
            return place.key
        for one in _after(node, place, sent, most):
            if one.after < DAY:
                heapq.heappush(queue, one)
    return None


def _after(node: Node[Step], place: _Place, sent: int, most: int) -> Iterator[_Place]:
    taken, clock = _shortest(node, place.clock)
    after = place.after + taken
    for key in ways(node):
        jumps = place.jumps
        if isinstance(node.step, GoTo) and key == node.ways[BACK]:
            if jumps >= node.step.most:
                continue
            # More jumps than messages looked for make no difference.
            jumps = min(jumps + 1, most + 1)
        yield _Place(after, key, sent, jumps, clock)


def _shortest(
    node: Node[Step], clock: tuple[int, str] | None
) -> tuple[timedelta, tuple[int, str] | None]:
    """Return the least that a step takes, and the clock behind it."""
    match node.step:
        case Wait(over=over) | Digest(over=over):
            return over, _later(clock, over)
        case WaitTime(at=at, zone=zone):
            behind = (_minutes(at), zone)
            if clock is None or clock[1] != zone:
                return NONE, behind
            gap = (behind[0] - clock[0] - 1) % 1440 + 1
            return timedelta(minutes=gap), behind
        case _:
            return NONE, clock


def _minutes(at: time) -> int:
    return at.hour * 60 + at.minute


def _later(clock: tuple[int, str] | None, over: timedelta) -> tuple[int, str] | None:
    if clock is None:
        return None
    return (clock[0] + int(over.total_seconds()) // 60) % 1440, clock[1]


# ---- all ways


def paths(program: Program) -> int:
    """Return how many ways lead from the first step to an end; jumps are not taken."""
    known: dict[str | None, int] = {None: 1}
    for key, node in reversed(program.nodes.items()):
        known[key] = sum(known.get(one, 0) for one in _onward(node)) or 1
    return known[program.first]


def longest(program: Program) -> timedelta | None:
    """Return the time of the longest way, each jump taken as often as it may be; None is for ever.

    A wait until a time takes up to a day, or a week where it names a weekday.
    """
    if any(isinstance(node.step, WaitFor) and not node.step.timeout
           for node in program.nodes.values()):  # fmt: skip
        return None
    places = {key: place for place, key in enumerate(program.nodes)}
    extra = dict.fromkeys(program.nodes, NONE)
    for key, node in program.nodes.items():
        target = node.ways.get(BACK)
        if isinstance(node.step, GoTo) and target and places[target] < places[key]:
            round_trip = _longest(program, extra, key)[target] or NONE
            extra[key] = round_trip * node.step.most
    return _longest(program, extra, None)[program.first] or NONE


def _longest(
    program: Program, extra: dict[str, timedelta], end: str | None
) -> dict[str | None, timedelta | None]:
    """Return the longest time from each step to `end`, where that can be reached."""
    known: dict[str | None, timedelta | None] = {None: None if end else NONE}
    for key, node in reversed(program.nodes.items()):
        if key == end:
            known[key] = NONE
            continue
        behind = [one for way in _onward(node) if (one := known.get(way)) is not None]
        if not node.ways and end is None:
            behind = [NONE]
        known[key] = max(behind) + _most(node) + extra[key] if behind else None
    return known


def _onward(node: Node[Step]) -> list[str | None]:
    """Return what may come after a step, without jumps."""
    return list(dict.fromkeys(key for way, key in node.ways.items() if way != BACK))


def _most(node: Node[Step]) -> timedelta:
    match node.step:
        case Wait(over=over) | Digest(over=over):
            return over
        case WaitFor(timeout=timeout):
            return timeout or NONE
        case WaitTime(weekday=weekday):
            return DAY if weekday is None else WEEK
        case _:
            return NONE
