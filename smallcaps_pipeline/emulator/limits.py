"""Calls per minute, as a plan allows them.

Belongs here: the bucket that decides whether a request of a key is answered.
Keep out: how a refusal looks on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic


class RateLimit:
    """A bucket of calls per key, refilled evenly over the minute.

    Args:
        per_minute: Calls that a fresh key has at once, and gets back within a minute.
        clock: Seconds that never go back; passed in by tests.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = monotonic) -> None:
        if per_minute < 1:
            raise ValueError(f"per_minute is {per_minute}, expected at least 1")
        self._per_minute = per_minute
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}  # key → calls left, and when
        self._lock = Lock()

    def take(self, key: str) -> float:
        """Take one call of a key.

        Returns:
            0 where it is granted, else the seconds until one would be.
        """
        with self._lock:
            now = self._clock()
            left, since = self._left.get(key, (float(self._per_minute), now))
            left = min(self._per_minute, left + (now - since) * self._per_minute / 60.0)
            granted = left >= 1.0 - 1e-9
            self._left[key] = (left - granted, now)
            return 0.0 if granted else (1.0 - left) * 60.0 / self._per_minute
