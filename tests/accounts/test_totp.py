"""Mirrors accounts/totp.py: the test vectors of RFC 6238, appendix B, at six digits."""

from datetime import UTC, datetime

import pytest

from accounts.totp import code, step_of

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (20000000000, "353130")],
)
def test_codes_are_those_of_the_standard(seconds: int, shown: str) -> None:
    assert code(SECRET, seconds // 30) == shown
    for drift, known in ((-60, False), (-30, True), (30, True), (60, False)):
        now = datetime.fromtimestamp(seconds + drift, UTC)
        assert (step_of(SECRET, shown, now) == seconds // 30) is known
