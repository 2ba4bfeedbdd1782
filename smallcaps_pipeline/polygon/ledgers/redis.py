"""A ledger in Redis: for workers on several machines; the fastest of the three.

Each step is one script, which Redis runs alone; the clock is the server's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from smallcaps_pipeline.polygon.errors import BudgetUnavailable
from smallcaps_pipeline.polygon.ledgers.address import shown
from smallcaps_pipeline.polygon.ledgers.ledger import KEPT_US, NOT_COUNTED, US, Limit, Slot

try:
    import redis
except ImportError:  # an extra: most users have one machine
    redis = None  # type: ignore[assignment]

TIMEOUT_S: Final = 30.0
# KEYS: entries (number by moment), the last number, until when a pause holds. Numbers are doubles
# in Lua: microseconds since 1970 are below 2^53, and %.0f writes them whole.
_NOW: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local paused = tonumber(redis.call('GET', KEYS[3]) or '0')
local function whole(number) return string.format('%.0f', number) end
"""
_RESERVE: Final = f"""{_NOW}
local at = math.max(now, paused)
for i = 2, #ARGV, 2 do
    local rank = tonumber(ARGV[i]) - 1
    local nth = redis.call('ZREVRANGE', KEYS[1], rank, rank, 'WITHSCORES')[2]
    if nth then at = math.max(at, tonumber(nth) + tonumber(ARGV[i + 1])) end
end
local number = {NOT_COUNTED}
if #ARGV > 1 then
    number = redis.call('INCR', KEYS[2])
    redis.call('ZADD', KEYS[1], whole(at), number)
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. whole(now - tonumber(ARGV[1])))
end
return {{number, whole(at - now)}}
"""
_CONFIRM: Final = f"""{_NOW}
local at = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or '0')
local promised = false
for i = 3, #ARGV do
    local rank = tonumber(ARGV[i]) - 1
    local nth = redis.call('ZREVRANGE', KEYS[1], rank, rank, 'WITHSCORES')[2]
    promised = promised or (nth and tonumber(nth) > at)
end
if at == 0 or now < paused or (promised and now - at > tonumber(ARGV[2])) then
    redis.call('ZREM', KEYS[1], ARGV[1])
    return 0
end
redis.call('ZADD', KEYS[1], whole(math.max(at, now)), ARGV[1])
return 1
"""
_DELAY: Final = f"""{_NOW}
return redis.call('ZADD', KEYS[1], 'XX', whole(now), ARGV[1])
"""
_RELEASE: Final = "return redis.call('ZREM', KEYS[1], ARGV[1])"
_PAUSE: Final = f"""{_NOW}
local until_us = math.max(paused, now + tonumber(ARGV[1]))
redis.call('SET', KEYS[3], whole(until_us), 'PX', whole((until_us - now) / 1000 + 1000))
return 0
"""


class RedisLedger:
    """A ledger in Redis; workers that name the same server and budget share it.

    Args:
        url: `redis://:password@host:6379/0`, or `rediss://`. The password is never shown.
        budget: Name of the budget within the server.

    Raises:
        BudgetUnavailable: The server cannot be reached, or the driver is not installed.
    """

    def __init__(self, url: str, budget: str) -> None:
        self._url = url
        self._where = f"{budget} at {shown(url)}"
        if redis is None:
            hint = "Install smallcaps-pipeline[redis]"
            raise BudgetUnavailable(self._where, "redis is not installed", hint)
        # The braces let a cluster keep the three keys on one node.
        self._keys = [f"smallcaps:{{{budget}}}:{name}" for name in ("calls", "number", "pause")]
        self._client = redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S
        )
        scripts = (_RESERVE, _CONFIRM, _DELAY, _RELEASE, _PAUSE)
        self._reserve, self._confirm, self._delay, self._release, self._pause = (
            self._client.register_script(script) for script in scripts
        )
        self._asked(self._client.ping)

    def reserve(self, limits: Sequence[Limit]) -> Slot:
        windows = [value for limit in limits for value in (limit.calls, limit.window_us)]
        number, wait_us = self._run(self._reserve, KEPT_US, *windows)
        return Slot(number, int(wait_us) / US)

    def confirm(self, slot: Slot, limits: Sequence[Limit], patience_s: float) -> bool:
        calls = [limit.calls for limit in limits]
        return bool(self._run(self._confirm, slot.number, round(patience_s * US), *calls))

    def delay(self, slot: Slot) -> None:
        self._run(self._delay, slot.number)

    def release(self, slot: Slot) -> None:
        self._run(self._release, slot.number)

    def pause(self, seconds: float) -> None:
        self._run(self._pause, round(seconds * US))

    def close(self) -> None:
        self._client.close()

    def _run(self, script: Any, *values: int) -> Any:
        return self._asked(lambda: script(keys=self._keys, args=values))

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except redis.RedisError as error:
            raise BudgetUnavailable(self._where, shown(self._url, str(error))) from None
