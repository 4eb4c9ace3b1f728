"""Mirrors core/redis_buckets.py."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.bucket import MemoryBuckets, Rate
from core.clock import ManualClock
from core.redis_buckets import RedisBuckets
from echelonx.server import free_port

SLOW = Rate(0.001, 3)
"""Nothing flows in while a test runs."""


@pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server")
def test_all_processes_take_from_one_bucket(redis: str, clock: ManualClock) -> None:
    one, other = (RedisBuckets(redis, MemoryBuckets(clock), patience=60) for _ in range(2))

    taken = [each.take("a", SLOW) for each in (one, other, one, other)]

    assert [each.allowed for each in taken] == [True, True, True, False]
    assert [each.remaining for each in taken] == [2, 1, 0, 0]
    assert 0 < taken[-1].wait <= 1000
    assert (one.unheard, other.unheard) == (0, 0)
    assert one.take("b", SLOW).allowed
    one.close()
    other.close()


def test_without_redis_each_process_counts_by_itself(clock: ManualClock) -> None:
    buckets = RedisBuckets(f"redis://127.0.0.1:{free_port()}/0", MemoryBuckets(clock))

    assert [buckets.take("a", SLOW).allowed for _ in range(4)] == [True, True, True, False]

    assert buckets.unheard >= 1
    buckets.close()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """A Redis of this test's own."""
    path = tmp_path / "redis.sock"
    command = ["redis-server", "--port", "0", "--unixsocket", str(path), "--save", ""]
    with subprocess.Popen(
        [*command, "--dir", str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        while "eady to accept" not in (line := server.stdout.readline()):
            assert line, "redis-server ended"
        yield f"unix://{path}?db=0"
        server.terminate()
        server.stdout.read()
