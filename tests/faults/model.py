"""A model of sending one message through a provider without an idempotency key.

Every interleaving of two workers, crashes, lost replies, requests still on the wire, workers that
freeze, leases, the reaper, receipts, a search at the provider and an operator is visited, breadth
first. It shows which rule of the protocol carries which promise: take one away, and it finds the
shortest story that breaks a promise.

    S1  accepted at most once, plus once for each time an operator asked
    S2  shown as sent means accepted
    S3  shown as failed means not accepted
    L1  from everywhere a state of rest can be reached
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

MAX_TRIES = 3
IDLE = ("idle", 0)
Worker = tuple[str, int]
"""What it is doing, and the token it holds."""


class State(NamedTuple):
    """Everything that matters about one message."""

    row: str = "queued"
    token: int = 0
    lease_over: bool = False
    quarantined: bool = False
    """Long enough unknown to believe a provider that does not know it."""
    wire: int = 0
    """Requests on their way."""
    accepted: int = 0
    reported: bool = False
    """The provider owes a receipt."""
    asked: int = 0
    """Resends an operator asked for."""
    workers: tuple[Worker, ...] = (IDLE, IDLE)
    tries: int = 0
    open: bool = False
    """An earlier attempt ended without a definite answer."""
    past: int = 0
    """Deadlines of tokens up to this one are over."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a variant does; the defaults are variant E."""

    claim: bool = True
    """A worker takes the row with a compare-and-set before it works on it."""
    intent: bool = True
    """It writes its intent down before the first byte."""
    retry_ambiguous: bool = False
    requeue_lost: bool = False
    """A row whose worker died while sending is queued again."""
    requeue_absent: bool = False
    """A row the provider does not know is queued again."""
    quarantine: bool = True
    deadline: bool = True
    """A worker that wakes too late does not write."""
    keyed: bool = False
    """The provider honours an idempotency key."""
    remember_open: bool = True
    """A refusal does not close a row while an earlier attempt is open."""
    stale_search: bool = False
    """The provider's search can be behind."""


Move = tuple[str, State]


def moves(s: State, rules: Rules) -> Iterator[Move]:
    """Return everything that can happen next."""
    for number in range(len(s.workers)):
        yield from worker(s, rules, number)
    yield from wire(s, rules)
    yield from passing_time(s, rules)
    yield from evidence(s, rules)
    yield from operator(s, rules)


def set_worker(s: State, number: int, worker: Worker, **changes: object) -> State:
    workers = list(s.workers)
    workers[number] = worker
    return s._replace(workers=tuple(workers), **changes)  # type: ignore[arg-type]


def worker(s: State, rules: Rules, number: int) -> Iterator[Move]:
    doing, token = s.workers[number]
    if doing != "idle":
        yield "crash", set_worker(s, number, IDLE)
    if doing == "idle":
        yield from take(s, rules, number)
    elif doing == "claimed":
        if s.row == "claimed" and s.token == token and not s.lease_over:
            yield "intent", set_worker(s, number, ("intended", token), row="sending")
        else:
            yield "intent refused", set_worker(s, number, IDLE)
    elif doing == "intended":
        if token <= s.past and rules.deadline:
            yield "too late to write", set_worker(s, number, IDLE)
        else:
            yield "write", set_worker(s, number, ("waiting", token), wire=s.wire + 1)
        yield "cannot connect", set_worker(s, number, ("told not sent", token))
    elif doing == "waiting":
        yield "times out", set_worker(s, number, ("told nothing", token))
    else:
        yield settle(s, rules, number)


def take(s: State, rules: Rules, number: int) -> Iterator[Move]:
    if s.row != "queued" or s.tries >= MAX_TRIES:
        return
    tries = s.tries + 1
    if not rules.claim:
        yield "looks", set_worker(s, number, ("intended", 1), tries=tries)
        return
    token = s.token + 1
    fresh = {"token": token, "lease_over": False, "quarantined": False, "tries": tries}
    if rules.intent:
        yield "claim", set_worker(s, number, ("claimed", token), row="claimed", **fresh)
    else:
        yield "claim", set_worker(s, number, ("intended", token), row="sending", **fresh)


def settle(s: State, rules: Rules, number: int) -> Move:
    told, token = s.workers[number]
    mine = not rules.claim or s.token == token
    on_its_way = s.row == "sending" or (not rules.claim and s.row == "queued")
    changes: dict[str, object] = {}
    if told == "told accepted":
        if s.row in ("sending", "unknown", "queued", "claimed"):
            changes = {"row": "sent"}
    elif told == "told refused" and mine and on_its_way:
        closed = not (s.open and rules.remember_open)
        changes = {"row": "failed" if closed else "unknown"}
    elif told == "told not sent" and rules.claim and mine and s.row == "sending":
        changes = {"row": "queued"}
    elif told == "told nothing" and rules.retry_ambiguous and s.row in ("sending", "queued"):
        changes = {"row": "queued", "open": True}
    elif told == "told nothing" and not rules.retry_ambiguous and mine and s.row == "sending":
        changes = {"row": "unknown", "open": True}
    return told, set_worker(s, number, IDLE, **changes)


def wire(s: State, rules: Rules) -> Iterator[Move]:
    """What becomes of a request on its way, and who hears of it."""
    if not s.wire:
        return
    known = rules.keyed and s.accepted >= 1
    waiting = [number for number, (doing, _) in enumerate(s.workers) if doing == "waiting"]
    for fate, taken in (("accepted", 1), ("not sent", 0), ("refused", 0), ("lost", 0), ("cut", 1)):
        base = s._replace(
            wire=s.wire - 1,
            accepted=s.accepted + (taken if not known else 0),
            reported=s.reported or bool(taken),
        )
        answered = fate in ("accepted", "not sent", "refused")
        if answered and known and fate != "accepted":
            continue
        answer = f"told {fate}" if answered else "told nothing"
        for number in waiting:
            yield f"provider: {fate}", set_worker(base, number, (answer, s.workers[number][1]))
        if s.wire > len(waiting):
            yield f"provider: {fate}, nobody waits", base


def passing_time(s: State, rules: Rules) -> Iterator[Move]:
    if s.row in ("claimed", "sending") and not s.lease_over and rules.claim:
        yield "the lease ends", s._replace(lease_over=True)
    if s.row == "unknown" and not s.quarantined and (not s.wire or not rules.quarantine):
        yield "the quarantine ends", s._replace(quarantined=True, past=s.token)
    if s.lease_over and s.row == "claimed":
        yield "reaper: free", s._replace(row="queued", lease_over=False)
    if s.lease_over and s.row == "sending":
        target = "queued" if rules.requeue_lost else "unknown"
        yield f"reaper: {target}", s._replace(row=target, lease_over=False, open=True)


def evidence(s: State, rules: Rules) -> Iterator[Move]:
    if s.reported and s.row in ("queued", "claimed", "sending", "unknown"):
        yield "receipt", s._replace(row="sent")
    if s.row != "unknown" or not (s.quarantined or not rules.quarantine):
        return
    if s.accepted:
        yield "search finds it", s._replace(row="sent")
    absent = not s.accepted or rules.stale_search
    if absent and rules.requeue_absent and s.tries < MAX_TRIES:
        still_open = s.open and rules.stale_search
        yield "search: absent", s._replace(row="queued", quarantined=False, open=still_open)


def operator(s: State, rules: Rules) -> Iterator[Move]:
    if s.row == "unknown" and s.asked < 1 and s.tries < MAX_TRIES:
        yield "OPERATOR resends", s._replace(row="queued", asked=s.asked + 1, quarantined=False)
    idle = all(worker == IDLE for worker in s.workers)
    if s.row == "queued" and s.tries >= MAX_TRIES and idle and not s.wire and rules.claim:
        unsure = s.open and rules.remember_open
        yield "tries used up", s._replace(row="unknown" if unsure else "failed")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a search through all states came to."""

    states: int
    broken: dict[str, list[str]]
    """The shortest story to each broken promise."""
    stuck: int
    """States from which nobody ever comes to rest."""


def explore(rules: Rules) -> Finding:
    """Visit every state that can be reached; a state that breaks a promise is not left again."""
    start = State()
    came: dict[State, tuple[State, str] | None] = {start: None}
    edges: dict[State, list[State]] = {}
    broken: dict[str, list[str]] = {}
    waiting = deque([start])
    while waiting:
        s = waiting.popleft()
        following = list(moves(s, rules))
        edges[s] = [then for _, then in following]
        wrong = violated(s)
        for promise in wrong:
            broken.setdefault(promise, story(came, s))
        if wrong:
            continue
        for name, then in following:
            if then not in came:
                came[then] = (s, name)
                waiting.append(then)
    return Finding(len(came), broken, stuck(edges) if rules.claim else 0)


def violated(s: State) -> list[str]:
    return [
        promise
        for promise, kept in (
            ("S1", s.accepted <= 1 + s.asked),
            ("S2", s.row != "sent" or s.accepted > 0),
            ("S3", s.row != "failed" or s.accepted == 0),
        )
        if not kept
    ]


def story(came: dict[State, tuple[State, str] | None], s: State) -> list[str]:
    told: list[str] = []
    while (before := came[s]) is not None:
        s, name = before
        told.append(name)
    return told[::-1]


def stuck(edges: dict[State, list[State]]) -> int:
    """Count the states from which no state of rest can be reached."""
    before: dict[State, list[State]] = {}
    for s, following in edges.items():
        for then in following:
            before.setdefault(then, []).append(s)
    good = {s for s in edges if s.row in ("sent", "failed", "unknown")}
    waiting = deque(good)
    while waiting:
        for s in before.get(waiting.popleft(), ()):
            if s not in good:
                good.add(s)
                waiting.append(s)
    return sum(s not in good and not violated(s) for s in edges)
