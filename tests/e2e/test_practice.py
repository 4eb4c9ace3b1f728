"""A student without an account anywhere: one command, and a sequence runs."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from echelonx.demo.practice import CUSTOMERS, by_day
from tests.e2e.processes import PATIENCE, accepts, echelonx, free_port

pytestmark = pytest.mark.e2e


def practise(directory: Path, port: int) -> dict[str, Any]:
    process = echelonx(
        "practice", "nurture", "--dir", str(directory), "--port", str(port), "--json"
    )
    said, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    found: dict[str, Any] = json.loads(said)
    return found


def test_nurture_runs_for_invented_customers_and_a_second_time_sends_nobody_twice(
    tmp_path: Path,
) -> None:
    port = free_port()
    first = practise(tmp_path / "shop", port)
    assert first == {
        "journey": "Nurture",
        "people": len(CUSTOMERS),
        "messages": len(CUSTOMERS),
        "delivered": len(CUSTOMERS),
    }
    sent = accepts(tmp_path / "shop" / "provider-log.jsonl")
    assert set(sent.values()) == {1}

    assert practise(tmp_path / "shop", port) == first
    assert accepts(tmp_path / "shop" / "provider-log.jsonl") == sent


@pytest.mark.parametrize("hour", range(24))
def test_it_is_morning_where_the_shop_is(hour: int) -> None:
    now = datetime(2026, 11, 21, hour, 30, tzinfo=UTC)
    assert now.astimezone(ZoneInfo(by_day(now))).hour == 10
