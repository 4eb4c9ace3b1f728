"""RedisBuckets: buckets that every process sees. Without Redis each process counts by itself."""

import importlib
from typing import Any

from core.bucket import MemoryBuckets, Rate, Taken, spent
from core.clock import ticking
from core.log import get

log = get(__name__)

PREFIX = "echelonx:bucket:"
PATIENCE = 0.1
"""Seconds that a request waits for Redis."""
PAUSE = 5.0
"""Seconds for which one that did not answer is not asked."""

TAKE = """
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1e6
local full_at = tonumber(redis.call('GET', KEYS[1]) or now)
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local owed = math.max(full_at - now, 0)
if owed + interval <= burst * interval + 1e-6 then
  local after = owed + interval
  redis.call('SET', KEYS[1], string.format('%.6f', now + after), 'PX', math.ceil(after * 1000))
end
return string.format('%.6f', owed)
"""
"""core.bucket.spent, done in one step; answers with what was owed before."""


class RedisBuckets:
    """Buckets in Redis, by its clock."""

    def __init__(self, url: str, own: MemoryBuckets, *, patience: float = PATIENCE) -> None:
        redis: Any = importlib.import_module("redis")  # only those who scale out have it
        self._away: type[Exception] = redis.RedisError
        self._redis = redis.Redis.from_url(
            url, socket_timeout=patience, socket_connect_timeout=patience
        )
        self._take = self._redis.register_script(TAKE)
        self._own = own
        self._silent_until = 0.0
        self.unheard = 0

    def take(self, name: str, rate: Rate) -> Taken:
        """Take a token of the shared bucket; of this process's while Redis is away."""
        if ticking() < self._silent_until:
            return self._own.take(name, rate)
        try:
            owed = float(self._take(keys=[PREFIX + name], args=[rate.interval, rate.burst]))
        except self._away as error:
            self.unheard += 1
            self._silent_until = ticking() + PAUSE
            log.warning("rate limits are counted by each process", error=type(error).__name__)
            return self._own.take(name, rate)
        return spent(0.0, owed, rate)

    def close(self) -> None:
        """Drop connections."""
        self._redis.close()
