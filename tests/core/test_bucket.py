"""Mirrors core/bucket.py."""

from core import bucket
from core.bucket import MemoryBuckets, Rate
from core.clock import ManualClock

RATE = Rate(2, 3)


def test_a_bucket_gives_what_it_holds_and_then_what_flows_in(clock: ManualClock) -> None:
    buckets = MemoryBuckets(clock)

    assert [buckets.take("a", RATE).remaining for _ in range(3)] == [2, 1, 0]
    refused = buckets.take("a", RATE)
    assert (refused.allowed, refused.remaining, refused.wait) == (False, 0, 0.5)
    assert buckets.take("b", RATE).allowed

    clock.advance(seconds=0.5)
    assert [buckets.take("a", RATE).allowed for _ in range(2)] == [True, False]
    clock.advance(hours=1)
    assert [buckets.take("a", RATE).allowed for _ in range(4)] == [True, True, True, False]


def test_whoever_is_refused_owes_nothing_for_it(clock: ManualClock) -> None:
    buckets = MemoryBuckets(clock)
    for _ in range(50):
        buckets.take("a", RATE)

    clock.advance(seconds=0.5)

    assert buckets.take("a", RATE).allowed


def test_full_buckets_are_forgotten(clock: ManualClock) -> None:
    buckets = MemoryBuckets(clock)
    for number in range(bucket.MANY):
        buckets.take(f"{number}", RATE)
    clock.advance(seconds=1)

    buckets.take("last", RATE)

    assert buckets._full_at.keys() == {"last"}
