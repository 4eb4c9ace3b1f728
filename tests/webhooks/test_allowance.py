"""Mirrors webhooks/allowance.py: what one key may tell takes nothing from another."""

import pytest

from webhooks import allowance
from webhooks.allowance import Allowance
from webhooks.write_key import WriteKey


def key(id_: int, *, trusted: bool = True, rate: int | None = None) -> WriteKey:
    return WriteKey(id_, 1, None, trusted, rate)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that have passed; tests set them."""
    seconds = [0.0]
    monkeypatch.setattr(allowance, "ticking", lambda: seconds[0])
    return seconds


@pytest.mark.parametrize(
    ("one", "events", "size", "fits"),
    [
        (key(1), 100, 0, 10),
        (key(1), 1, 102_400, 10),
        (key(1), 0, 0, 1000),
        (key(1, trusted=False), 100, 0, 3),
        (key(1, rate=5), 1, 0, 5),
    ],
)
def test_a_key_has_a_share_of_its_own(
    one: WriteKey, events: int, size: int, fits: int, now: list[float]
) -> None:
    desk = Allowance()
    taken = [desk.take(one, events=events, size=size) for _ in range(fits + 1)]

    assert taken == [0] * fits + [1]
    assert desk.take(key(2), events=2500, size=0) == 0
    now[0] = 1
    assert desk.take(one, events=events, size=size) == 0
