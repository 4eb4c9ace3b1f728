"""Calling: steps that ask somebody else: a webhook, or another journey.

A webhook is not called inside the transaction that takes the step: the step only asks for it
(`held = webhook`). `claim_call` leases what is asked for, the edge posts it (echelonx/journeys.py),
`answered` keeps the answer, and the step is taken again. A process that dies in between calls
again, with the same Idempotency-Key.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from accounts.client import usable
from campaigns.journeys.ast import Call, Webhook
from campaigns.journeys.changing import applied
from campaigns.journeys.enrolment import Enrolment, EnrolmentStatus, Held, Walker
from campaigns.journeys.enter import EVENT, JOURNEY, Candidate, Entry, admit
from campaigns.journeys.journey import ADVANCING, Journey, journey_named
from campaigns.journeys.machine import Batch, Go, Outcome, Stay, machine
from campaigns.journeys.program import Node
from core.clock import Clock
from core.rows import among
from members.member import Member

LEASE = timedelta(minutes=2)
"""So long another worker leaves a call alone."""
CALLS = 6
"""Tries of one call; then the journey goes on without an answer."""
AGAIN = timedelta(seconds=30)
MAX_SET = 20
"""Fields that one answer sets."""
MAX_ANSWER = 8_192
"""Bytes of an answer that are kept."""
ANSWERS = "answers"
"""In the context: the answer of each visit, by its number."""


@dataclass(frozen=True, slots=True)
class Request:
    """One call to make."""

    enrolment_id: int
    url: str
    key: str
    """The Idempotency-Key: the same at every try of one visit."""
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `status` 0 where nothing did."""

    status: int
    body: Any = None
    problem: str | None = None
    final: bool = False
    """Another try is of no use."""


def webhook(batch: Batch, node: Node[Webhook], people: Sequence[Walker]) -> Mapping[int, Outcome]:
    """Ask for the call; go on when its answer is there, or will not come."""
    outcomes: dict[int, Outcome] = {}
    for one in people:
        answers = dict(one.context.get(ANSWERS, {}))
        answer = answers.pop(str(one.visit), None)
        if answer is None:
            outcomes[one.id] = Stay(Held.WEBHOOK, None, one.until or batch.now)
            continue
        why = {"status": answer["status"], "problem": answer["problem"]}
        why |= _applied(batch, one, answer["body"])
        kept = one.context.get(JOURNEY, {}) | {node.key: answer["body"]}
        one.context = one.context | {ANSWERS: answers, JOURNEY: kept}
        outcomes[one.id] = Go(why=why, at=batch.now)
    return outcomes


def call(batch: Batch, node: Node[Call], people: Sequence[Walker]) -> Mapping[int, Outcome]:
    """Let people into another journey, and wait for its end where the step says so.

    They enter with the key they have here, as often as the other journey lets them.
    """
    step = node.step
    told = journey_named(batch.session, batch.machine.client_id, step.journey)
    before = _called(batch, told, people)
    new = [one for one in people if _cause(one) not in before]
    if new and told is not None and told.version_id is not None:
        candidates = [
            Candidate(
                Entry(one.member_id, batch.now, one.entry_key, one.context.get(EVENT, {})),
                _cause(one),
                caller_id=one.id if step.wait else None,
            )
            for one in new
        ]
        admit(batch.session, batch.clock, machine(batch.session, told.version_id), candidates)
        before |= _called(batch, told, new)
    return {one.id: _after(step, before.get(_cause(one))) for one in people}


def claim_call(session: Session, clock: Clock) -> Request | None:
    """Lease one call that is asked for and due; None where there is none."""
    query = (
        select(Enrolment)
        .join(Journey, Journey.id == Enrolment.journey_id)
        .where(
            Journey.status.in_(ADVANCING),
            usable(Journey.client_id),
            Enrolment.held == Held.WEBHOOK,
            Enrolment.until <= clock.now(),
            Enrolment.status == EnrolmentStatus.ACTIVE,
        )
        .order_by(Enrolment.until)
        .limit(1)
        .with_for_update(skip_locked=True, of=Enrolment)
        .execution_options(populate_existing=True)
    )
    one = session.scalar(query)
    if one is None:
        return None
    one.until = clock.now() + LEASE
    session.flush()
    node = machine(session, one.version_id).program.nodes.get(one.step or "")
    member = session.get_one(Member, one.member_id)
    if node is None or not isinstance(node.step, Webhook) or member.deleted_at is not None:
        # Nobody is called about who is not here; advancing says what becomes of them.
        one.held, one.due_at = None, clock.now()
        return None
    return Request(one.id, node.step.url, f"{one.id}-{one.visit}", _body(one, node, member))


def answered(session: Session, clock: Clock, *, request: Request, answer: Answer) -> None:
    """Keep an answer; what failed for the moment (5xx, 429, no answer) is tried again."""
    one = session.get_one(Enrolment, request.enrolment_id, with_for_update=True)
    if f"{one.id}-{one.visit}" != request.key or one.held is not Held.WEBHOOK:
        return  # moved or ended meanwhile
    passing = answer.status in (0, 408, 425, 429) or answer.status >= 500
    one.tries += 1
    if passing and not answer.final and one.tries < CALLS:
        one.error = answer.problem
        one.until = clock.now() + AGAIN * 2 ** (one.tries - 1)
        return
    kept = {"status": answer.status, "body": answer.body, "problem": answer.problem}
    answers = one.context.get(ANSWERS, {}) | {str(one.visit): kept}
    one.context = one.context | {ANSWERS: answers}
    one.held, one.until, one.due_at = None, None, clock.now()


def _body(one: Enrolment, node: Node[Any], member: Member) -> dict[str, Any]:
    return {
        "journey_id": one.journey_id,
        "enrolment_id": one.id,
        "step": node.key,
        "member": {
            "id": member.id, "member_id": member.member_id, "first_name": member.first_name,
            "last_name": member.last_name, "email": member.email, "phone": member.phone,
            "tier": member.tier, "language": member.language, "attributes": member.attributes,
        },
        "event": one.context.get(EVENT, {}),
    }  # fmt: skip


def _applied(batch: Batch, one: Walker, body: Any) -> dict[str, Any]:
    """Set what an answer says: `{"set": {"attributes.score": 7}}`; conditions see it later."""
    wanted = body.get("set") if isinstance(body, Mapping) else None
    if not isinstance(wanted, Mapping):
        return {}
    fields = list(wanted)[:MAX_SET]
    found = [applied(batch, one, field, wanted[field]) for field in fields]
    return {"set": sorted(fields), "problems": [problem for problem in found if problem]}


def _cause(one: Walker) -> str:
    return f"call:{one.id}:{one.visit}"


def _called(
    batch: Batch, told: Journey | None, people: Sequence[Walker]
) -> dict[str, EnrolmentStatus]:
    """Return how the entries fare that these people's calls have made, by their cause."""
    if told is None:
        return {}
    query = select(Enrolment.cause, Enrolment.status).where(
        Enrolment.journey_id == told.id,
        among(batch.session, Enrolment.member_id, sorted({one.member_id for one in people})),
        among(batch.session, Enrolment.cause, [_cause(one) for one in people]),
    )
    return {row.cause: row.status for row in batch.session.execute(query)}


def _after(step: Call, called: EnrolmentStatus | None) -> Outcome:
    """Go on when the called journey has ended, or at once. Whoever is stuck there is inside."""
    if called is None:
        return Go(why={"problem": f"“{step.journey}” does not take them"})
    if step.wait and called in (EnrolmentStatus.ACTIVE, EnrolmentStatus.STUCK):
        return Stay(Held.CALL, None)
    return Go(why={"ended": called.value} if step.wait else {"entered": True})
