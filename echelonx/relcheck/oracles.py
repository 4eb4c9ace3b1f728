"""The ten oracles (docs/reference/relcheck.md): each looks at the evidence and says yes or no.

An oracle that the caller has not told what it needs says so in its note, and passes.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from communications.status import ACCEPTED, STATUS_OF, Fact, Rank, Status, learn
from echelonx.relcheck.evidence import Evidence, Row
from echelonx.relcheck.providerlog import examples

GRACE_SECONDS = 30.0
"""How long past its lease a row may stand before the reaper must have seen it."""
IN_FLIGHT_SECONDS = 2.0
"""How long after an opt-out a message may arrive whose intent was committed before it."""
EDGE_SECONDS = 60.0
"""What is noted as sent in a file's first minute may have been taken before the file begins."""
SHUFFLES = 20
SHUFFLED = 2_000
"""Messages whose facts are folded in other orders."""
TOLERANCE = 0.10
FACT_OF = {fact.value: fact for fact in Fact}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one oracle says."""

    name: str
    promise: str
    checked: int = 0
    wrong: int = 0
    examples: list[int] = field(default_factory=list)
    """Ids of communications (or runs, for O5)."""
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the promise held."""
        return self.wrong == 0


Oracle = Callable[[Evidence], Verdict]


def _verdict(
    name: str, promise: str, checked: int, wrong: Iterable[int], note: str = ""
) -> Verdict:
    found = list(wrong)
    return Verdict(name, promise, checked, len(found), examples(found), note)


def once(evidence: Evidence) -> Verdict:
    """O1: nobody got a second copy that no operator asked for."""
    rows, twice = evidence.rows, []
    people: Counter[tuple[int, str, str]] = Counter()
    for taken in evidence.log.taken:
        row = rows.get(taken.communication_id or 0)
        if row is not None and row.run_id is not None:
            people[row.run_id, row.channel, taken.to] += 1
    for communication_id, times in evidence.accepts.items():
        row = rows.get(communication_id)
        if len(times) > 1 + (row.resends if row else 0):
            twice.append(communication_id)
    allowed = sum(row.resends for row in rows.values())
    extra = sum(count - 1 for count in people.values()) - allowed
    note = f"{extra} second copies to one address in one run" if extra > 0 else ""
    found = _verdict("O1", "accepted at most once", len(evidence.accepts), twice, note)
    if extra > 0 and not twice:
        return Verdict(found.name, found.promise, found.checked, extra, [], note)
    return found


def truthful(evidence: Evidence) -> Verdict:
    """O2: sent means accepted; failed by refusal and skipped mean not accepted."""
    accepts, spans = evidence.accepts, evidence.log.spans
    complete = bool(evidence.expected.get("complete"))
    shown = [
        row
        for row in evidence.rows.values()
        if row.status in ACCEPTED and row.id not in accepts and row.id not in evidence.vouched
    ]
    unproven = [row.id for row in shown if complete or _covered(row, spans)]
    wrong = [
        row.id
        for row in evidence.rows.values()
        if (_refused(row) and row.id in accepts)
        or (row.rank is Rank.OPEN and row.status is Status.QUEUED and _lost(evidence, row))
    ]
    outside = len(shown) - len(unproven)
    note = f"{outside} sent outside of what the file tells of" if outside else ""
    name, promise = "O2", "what is shown is what happened"
    return _verdict(name, promise, len(evidence.rows) - outside, unproven + wrong, note)


def _covered(row: Row, spans: Mapping[str, tuple[float, float]]) -> bool:
    """Say whether the file would name this message, had its provider taken it."""
    if row.adapter is None or row.adapter not in spans or row.sent_at is None:
        return False
    begun, ended = spans[row.adapter]
    return begun + EDGE_SECONDS <= row.sent_at <= ended


def _refused(row: Row) -> bool:
    unproven = row.rank is Rank.OPEN and row.open_attempts == 0
    return unproven and row.status in (Status.FAILED, Status.SKIPPED)


def _lost(evidence: Evidence, row: Row) -> bool:
    """Say whether a queued row would be sent although a provider has it."""
    return row.id in evidence.accepts and row.resends == 0


def unstuck(evidence: Evidence) -> Verdict:
    """O3: no row is on its way for longer than its lease."""
    limit = evidence.now - timedelta(seconds=GRACE_SECONDS)
    stuck = [
        row.id
        for row in evidence.rows.values()
        if row.status is Status.SENDING and row.lease_until is not None and row.lease_until < limit
    ]
    return _verdict("O3", "nothing is stuck", len(evidence.rows), stuck)


def bounded(evidence: Evidence) -> Verdict:
    """O4: unknown is no more than kills times window and ambiguous answers explain."""
    unknown = [row.id for row in evidence.rows.values() if row.status is Status.UNKNOWN]
    told = evidence.expected
    if "ambiguous" not in told and "kills" not in told:
        note = f"{len(unknown)} unknown; give kills, window and ambiguous to judge"
        return Verdict("O4", "unknown is bounded", len(evidence.rows), 0, [], note)
    bound = int(told.get("kills", 0)) * int(told.get("window", 0)) + int(told.get("ambiguous", 0))
    note = f"{len(unknown)} unknown, bound {bound}"
    over = unknown if len(unknown) > bound else []
    return _verdict("O4", "unknown is bounded", len(evidence.rows), over, note)


def complete(evidence: Evidence) -> Verdict:
    """O5: every run's parts add up to its audience, for every channel."""
    parts: dict[int, Counter[str]] = {run.id: Counter() for run in evidence.runs}
    seen: set[tuple[int, int | None, str]] = set()
    double: set[int] = set()
    for row in evidence.rows.values():
        if row.run_id in parts:
            parts[row.run_id]["open" if row.is_open else "closed"] += 1
            key = (row.run_id, row.member_id, row.channel)
            if key in seen and row.member_id is not None:
                double.add(row.run_id)
            seen.add(key)
    wrong = [
        run.id
        for run in evidence.runs
        if run.complete
        and (
            parts[run.id].total() != run.audience * run.channels
            or run.expanded != run.audience
            or run.id in double
            or (parts[run.id]["open"] and (run.over or evidence.at_rest))
        )
    ]
    wanted = evidence.expected.get("audience")
    if wanted is not None and sum(run.audience for run in evidence.runs) != int(wanted):
        wrong.append(0)
    poison = sum(row.poison for row in evidence.rows.values())
    notes = [f"run {run_id} is not finished" for run_id in examples(evidence.early)]
    if poison:
        notes.append(f"{poison} held for an operator")
    note = ", ".join(notes)
    return _verdict("O5", "every member is accounted for", len(evidence.runs), wrong, note)


def kept(evidence: Evidence) -> Verdict:
    """O6: every receipt we acknowledged is in the log."""
    by_provider = {t.provider_id: t.communication_id for t in evidence.log.taken}
    missing: list[int] = []
    checked = 0
    for provider_id, word in evidence.log.acknowledged:
        communication_id = by_provider.get(provider_id)
        if communication_id is None or word in OTHER_DOORS:
            continue
        checked += 1
        words = {stored for _, _, stored in evidence.events.get(communication_id, ())}
        if WORDS.get(word, word) not in words:
            missing.append(communication_id)
    lost = evidence.expected.get("acknowledged")
    stored = evidence.inbox.get("total", 0)
    if lost is not None and stored < int(lost):
        missing += [0] * (int(lost) - stored)
    note = "" if checked or lost is not None else "the file says nothing of receipts"
    return _verdict("O6", "what was acknowledged is kept", checked, missing, note)


OTHER_DOORS = frozenset({"reply", "open", "machine_open", "click", "unsubscribe"})
"""What comes as a message or as a visit of a link, not as a receipt."""
WORDS = {"blocked": "bounce"}
"""Where the file has another name for it than the receipt."""


def folded(evidence: Evidence) -> Verdict:
    """O7: the status is the fold of all facts, in whatever order they are told."""
    wrong = []
    shuffled = 0
    dice = random.Random(7)  # noqa: S311  (orders to try, no secret)
    for row in evidence.rows.values():
        facts = [
            FACT_OF[kind]
            for kind, machine, _ in evidence.events.get(row.id, ())
            if not machine and kind in FACT_OF
        ]
        known = _fold(facts)
        if shuffled < SHUFFLED and len(facts) > 1:
            shuffled += 1
            orders = (dice.sample(facts, len(facts)) for _ in range(SHUFFLES))
            if any(_fold(order) is not known for order in orders):
                wrong.append(row.id)
        if not _shows(row, known):
            wrong.append(row.id)
    return _verdict("O7", "status is the fold of all facts", len(evidence.rows), wrong)


def _fold(facts: Iterable[Fact]) -> Rank:
    rank = Rank.OPEN
    for fact in facts:
        rank = learn(rank, fact)
    return rank


def _shows(row: Row, known: Rank) -> bool:
    """Say whether a row shows what its facts tell; that it was sent, it may know by itself."""
    if row.rank is not known and not (row.rank is Rank.SENT and known < Rank.SENT):
        return False
    return row.rank is Rank.OPEN or row.status is STATUS_OF[row.rank]


def resting(evidence: Evidence) -> Verdict:
    """O8: at rest nothing is claimed, sending, parked or waiting in the inbox."""
    if not evidence.at_rest:
        return Verdict("O8", "at rest nothing is open", note="not judged: not at rest")
    open_rows = [
        row.id
        for row in evidence.rows.values()
        if row.lease_until is not None or row.status is Status.SENDING
    ]
    waiting = evidence.inbox.get("new", 0)
    note = f"{evidence.parked} parked, {waiting} in the inbox"
    return _verdict(
        "O8", "at rest nothing is open", len(evidence.rows), open_rows + [0] * waiting, note
    )


def obedient(evidence: Evidence) -> Verdict:
    """O9: nothing is taken for an address later than its opt-out, but what was in flight."""
    grace = float(evidence.expected.get("in_flight_seconds", IN_FLIGHT_SECONDS))
    late: list[int] = []
    in_flight = 0
    for communication_id, times in evidence.accepts.items():
        row = evidence.rows.get(communication_id)
        since = _opted_out(evidence, row) if row else None
        if since is None:
            continue
        if max(times) > since + grace:
            late.append(communication_id)
        elif max(times) > since:
            in_flight += 1
    bound = evidence.expected.get("in_flight")
    if bound is not None and in_flight > int(bound):
        late += [0] * (in_flight - int(bound))
    note = f"{in_flight} were in flight"
    return _verdict("O9", "opt-out wins", len(evidence.suppressed), late, note)


def _opted_out(evidence: Evidence, row: Row) -> float | None:
    found = evidence.suppressed.get((row.client_id, row.kind, row.address_hash or ""))
    if found is None or (found[0] and not row.marketing):
        return None
    return found[1]


def calm(evidence: Evidence) -> Verdict:
    """O10: processes are back at their memory and open files, within a tenth."""
    told = evidence.expected.get("processes")
    if not told:
        return Verdict("O10", "nothing leaks", note="give processes to judge")
    grown = [
        one["name"]
        for one in told
        if any(
            one[f"{what}_after"] > one[f"{what}_before"] * (1 + TOLERANCE)
            for what in ("rss", "files")
        )
    ]
    return Verdict("O10", "nothing leaks", len(told), len(grown), [], ", ".join(grown))


ORACLES: tuple[Oracle, ...] = (
    once, truthful, unstuck, bounded, complete, kept, folded, resting, obedient, calm,
)  # fmt: skip
