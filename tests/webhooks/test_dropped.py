"""Mirrors webhooks/dropped.py: a flood of refused events writes rarely, and counts all."""

import pytest

from webhooks import dropped
from webhooks.dropped import Drop, Tally


def test_a_flood_is_counted_and_rarely_written(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(dropped, "ticking", lambda: now[0])
    tally = Tally()
    counts = []
    for second in (0, 1, 2, 11, 12):
        now[0] = second
        told = tally.add(Drop("track", "key_not_in_force", "revoked", key_id=1, count=3))
        counts.append(told.count if told else 0)

    assert counts == [3, 0, 0, 9, 0]
