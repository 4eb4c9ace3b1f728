"""The life of a communication: every status change in the product is a row of this file.

Two things move a communication. A *step* is something we do: it is legal from some statuses only,
and the database checks that in the same UPDATE (ledger.py). A *fact* is something evidence tells
us (a receipt, our own tracking, an operator who looked it up): it is never refused, and it only
ever raises the rank (receipt.py). Why: docs/why/sending.md.

Invariants
    1. A send starts from QUEUED and from nowhere else.
    2. UNKNOWN leaves by a fact, or by a step that only an operator takes.
    3. Facts commute and repeat freely: any order, any number of times, one result.
    4. No path of our own unasked steps has an INTEND after a perhaps-sent.
    5. What a restored database cannot know is doubted: UNKNOWN, whatever the row says (DOUBT).
"""

from enum import IntEnum, StrEnum


class Status(StrEnum):
    """Where a communication stands, as everybody sees it."""

    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    FAILED = "failed"
    SENT = "sent"
    BOUNCED = "bounced"
    DELIVERED = "delivered"
    READ = "read"
    CLICKED = "clicked"
    REPLIED = "replied"


S = Status

OPEN = frozenset({S.QUEUED, S.SENDING})
"""Still to be sent, or on its way: what a run waits for. UNKNOWN ends the run's own work."""

ACCEPTED = frozenset({S.SENT, S.BOUNCED, S.DELIVERED, S.READ, S.CLICKED, S.REPLIED})
"""The provider took it and did not give up before delivery."""

REACHED = frozenset({S.DELIVERED, S.READ, S.CLICKED, S.REPLIED})
"""It arrived."""


class Step(StrEnum):
    """What we do."""

    INTEND = "intend"  # the first byte is about to be written
    ACCEPT = "accept"  # the provider took it
    REFUSE = "refuse"  # the provider refused it for good
    RETRY = "retry"  # certainly not sent
    LOSE = "lose"  # nobody can tell
    DOUBT = "doubt"  # a restored database: it may have been sent in the time that is lost
    SKIP = "skip"  # decided not to send
    RESEND = "resend"  # an operator accepts the risk of a second copy
    GIVE_UP = "give_up"  # an operator says treat as not sent
    AGAIN = "again"  # an operator mended why it was refused, or could not be made


STEPS: dict[Step, tuple[frozenset[Status], Status]] = {
    # step: (allowed from, leads to)
    Step.INTEND: (frozenset({S.QUEUED}), S.SENDING),
    Step.ACCEPT: (frozenset({S.QUEUED, S.SENDING, S.UNKNOWN, S.FAILED}), S.SENT),
    Step.REFUSE: (frozenset({S.SENDING}), S.FAILED),
    Step.RETRY: (frozenset({S.SENDING}), S.QUEUED),
    Step.LOSE: (frozenset({S.SENDING}), S.UNKNOWN),
    Step.DOUBT: (frozenset({S.QUEUED, S.SENDING}), S.UNKNOWN),
    Step.SKIP: (frozenset({S.QUEUED}), S.SKIPPED),
    Step.RESEND: (frozenset({S.UNKNOWN}), S.QUEUED),
    Step.GIVE_UP: (frozenset({S.UNKNOWN}), S.FAILED),
    Step.AGAIN: (frozenset({S.FAILED, S.SKIPPED}), S.QUEUED),
}

OPERATOR_STEPS = frozenset({Step.RESEND, Step.GIVE_UP, Step.AGAIN})
PERHAPS_SENT = frozenset({Step.LOSE, Step.DOUBT, Step.ACCEPT})


class Rank(IntEnum):
    """How much a row knows; a fact replaces what is lower and nothing else.

    A refusal of ours gives way to any evidence of a send; an SMS
    `undelivered` or a soft bounce gives way to `delivered`, a hard bounce does not; a person who
    reads, clicks or replies outranks any bounce.
    """

    OPEN = 0  # queued, sending, unknown, skipped, failed by a refusal: no evidence yet
    SENT = 1
    UNDELIVERED = 2
    BOUNCED_SOFT = 3
    DELIVERED = 4
    BOUNCED_HARD = 5
    READ = 6
    CLICKED = 7
    REPLIED = 8


class Fact(StrEnum):
    """What evidence can tell; the values are those of channels.adapter.EventType."""

    SENT = "sent"
    UNDELIVERED = "undelivered"
    BOUNCED_SOFT = "bounced_soft"
    DELIVERED = "delivered"
    BOUNCED_HARD = "bounced_hard"
    OPENED = "opened"
    CLICKED = "clicked"
    REPLIED = "replied"


FACTS: dict[Fact, tuple[Rank, Status, str]] = {
    # fact: (rank, public status, the stage time it fills)
    Fact.SENT: (Rank.SENT, S.SENT, "sent_at"),
    Fact.UNDELIVERED: (Rank.UNDELIVERED, S.FAILED, "failed_at"),
    Fact.BOUNCED_SOFT: (Rank.BOUNCED_SOFT, S.BOUNCED, "failed_at"),
    Fact.DELIVERED: (Rank.DELIVERED, S.DELIVERED, "delivered_at"),
    Fact.BOUNCED_HARD: (Rank.BOUNCED_HARD, S.BOUNCED, "failed_at"),
    Fact.OPENED: (Rank.READ, S.READ, "read_at"),
    Fact.CLICKED: (Rank.CLICKED, S.CLICKED, "clicked_at"),
    Fact.REPLIED: (Rank.REPLIED, S.REPLIED, "replied_at"),
}

STATUS_OF: dict[Rank, Status] = {rank: status for rank, status, _ in FACTS.values()}


def learn(rank: Rank, fact: Fact) -> Rank:
    """Return the rank once `fact` is known: the higher of the two."""
    return max(rank, FACTS[fact][0])
