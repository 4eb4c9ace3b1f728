"""Mirrors the broker's part of echelonx/health/outside.py, on a Redis of the test's own (F16)."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.settings import Settings, SettingsError
from echelonx.health.outside import require_no_eviction
from tests.e2e.processes import free_port
from tests.echelonx.conftest import Call

PATIENCE = 120.0
Redis = Callable[..., str]

pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """Start a Redis with more options; return its URL."""
    with contextlib.ExitStack() as ends:

        def start(*options: str) -> str:
            port = free_port()
            command = ["redis-server", "--port", str(port), "--save", "", "--dir", str(tmp_path)]
            process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
            ends.callback(process.wait)
            ends.callback(process.terminate)
            asking = ["redis-cli", "-p", str(port), "ping"]
            give_up = time.monotonic() + PATIENCE
            while subprocess.run(asking, capture_output=True, check=False).returncode:
                assert time.monotonic() < give_up, "redis-server did not start"
                time.sleep(0.02)
            return f"redis://127.0.0.1:{port}/0"

        yield start


@pytest.mark.parametrize("command", ["worker", "run", "scheduler"])
def test_with_a_redis_that_evicts_nothing_starts_and_the_setting_is_named(
    redis: Redis, call: Call, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("ECHELONX_BROKER_URL", redis("--maxmemory-policy", "allkeys-lru"))

    done = call(command)

    assert done.code == 2
    assert "maxmemory-policy" in done.err
    assert "noeviction" in done.err


def test_a_redis_that_keeps_everything_is_fine(redis: Redis) -> None:
    require_no_eviction(Settings(broker_url=redis("--maxmemory-policy", "noeviction")))


def test_a_redis_that_forbids_to_ask_is_no_reason_to_refuse(redis: Redis) -> None:
    url = redis("--maxmemory-policy", "allkeys-lru", "--rename-command", "CONFIG", "")

    require_no_eviction(Settings(broker_url=url))


def test_a_redis_that_is_away_is_no_reason_to_refuse() -> None:
    require_no_eviction(Settings(broker_url=f"redis://127.0.0.1:{free_port()}/0"))


def test_the_error_is_one_of_settings(redis: Redis) -> None:
    url = redis("--maxmemory-policy", "volatile-lru")

    with pytest.raises(SettingsError) as raised:
        require_no_eviction(Settings(broker_url=url))
    assert raised.value.field == "maxmemory-policy"
