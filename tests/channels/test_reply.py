"""Mirrors channels/reply.py. Each status is tried through every adapter in conformance.py."""

from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime

import pytest

from channels.outcome import Accepted, Ambiguous, NotSent, Rejected
from channels.reply import outcome_of, retry_after
from tests.conftest import NOON


@dataclass
class Answer:
    status: int | None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    sent: bool = True
    error: str | None = None


REJECTED = {400, 401, 403, 404, 413, 422}


@pytest.mark.parametrize("status", range(100, 700))
def test_every_status_has_the_outcome_of_the_table(status: int) -> None:
    found = outcome_of(Answer(status), NOON)
    if 200 <= status < 300:
        assert type(found) is Accepted
    elif status in REJECTED:
        assert type(found) is Rejected
    elif status == 429:
        assert type(found) is NotSent
    else:
        assert type(found) is Ambiguous


def test_only_what_certainly_never_left_may_be_sent_again() -> None:
    assert type(outcome_of(Answer(None, sent=False), NOON)) is NotSent
    assert type(outcome_of(Answer(None, sent=True), NOON)) is Ambiguous


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("999999999", 86_400.0),
        (format_datetime(NOON + timedelta(minutes=2), usegmt=True), 120.0),
        (format_datetime(NOON - timedelta(minutes=2), usegmt=True), 0.0),
        ("Sat, 21 Nov 2026 12:01:00 -0000", 60.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("\uff17", None),
    ],
)
def test_a_wait_is_a_number_or_a_date(value: str, seconds: float | None) -> None:
    assert retry_after(Answer(429, {"retry-after": value}), NOON) == seconds


def test_a_503_that_names_no_readable_time_is_still_a_refusal_before_the_queue() -> None:
    assert outcome_of(Answer(503, {"retry-after": "soon"}), NOON) == NotSent("HTTP 503", None)
