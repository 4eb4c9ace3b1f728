"""Writes docs/reference/statuses.md: `python -m tests.communications.status_page`."""

from pathlib import Path

from communications.communication import Reason
from communications.status import FACTS, OPERATOR_STEPS, STATUS_OF, STEPS, Fact, Status, Step

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "statuses.md"
MEANING = {
    Status.QUEUED: "waits for its time, its run or a free worker; nothing has left",
    Status.SENDING: "the intent to send is on disk; bytes may be on the wire",
    Status.UNKNOWN: "nobody can tell whether it was sent; never sent again unasked",
    Status.SKIPPED: "we decided not to send; `reason` says why",
    Status.FAILED: "the provider refused it, or gave up before delivery",
    Status.SENT: "the provider took it",
    Status.BOUNCED: "the receiving side refused it",
    Status.DELIVERED: "the receiving side took it",
    Status.READ: "a person opened it",
    Status.CLICKED: "a person followed a link",
    Status.REPLIED: "a person answered",
}


def page() -> str:
    """Return the page."""
    lines = [
        "# Statuses of a communication",
        "",
        "Made from `communications/status.py`; a test compares them.",
        "",
        "| status | meaning |",
        "| - | - |",
        *[f"| `{status}` | {MEANING[status]} |" for status in Status],
        "",
        "## Steps: what the engine does",
        "",
        "A step is legal from some statuses only; the database checks that in the same UPDATE.",
        "",
        "| step | from | to | who |",
        "| - | - | - | - |",
        *[_step(step) for step in Step],
        "",
        "## Facts: what receipts tell",
        "",
        "A fact is never refused and only ever raises the rank, so receipts may come late, twice",
        "and in any order.",
        "",
        "| fact | rank | shown as | fills |",
        "| - | - | - | - |",
        *[_fact(fact) for fact in Fact],
        "",
        "## Reasons",
        "",
        ", ".join(f"`{reason}`" for reason in Reason) + ".",
    ]
    return "\n".join(lines) + "\n"


def _step(step: Step) -> str:
    allowed, target = STEPS[step]
    before = ", ".join(f"`{status}`" for status in sorted(allowed))
    who = "an operator" if step in OPERATOR_STEPS else "a worker"
    return f"| `{step}` | {before} | `{target}` | {who} |"


def _fact(fact: Fact) -> str:
    rank, _, stage = FACTS[fact]
    return f"| `{fact}` | {int(rank)} | `{STATUS_OF[rank]}` | `{stage}` |"


if __name__ == "__main__":
    PAGE.write_text(page())
