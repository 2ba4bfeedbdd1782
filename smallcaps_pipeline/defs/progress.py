"""Progress of a long step: lines in the run's log, and whatever display the process has.

`ProgressLog` says every few seconds how much is done, at what rate, and how long it will take.
A `Display` is a resource: the `smallcaps` command hands in one that draws a bar, all other
processes have none.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final, Protocol

EVERY_S: Final = 5.0


class Advance(Protocol):
    """Takes how much more is done, and what else there is to tell of all that is done."""

    def __call__(self, n: int, note: str = "") -> None: ...


class Display(Protocol):
    """Shows the progress of steps to somebody who looks."""

    def start(self, total: int, unit: str) -> Advance:
        """Begin to show a step; return a call that moves it on."""
        ...


class NoDisplay:
    """Shows nothing: nobody looks at a run worker."""

    def start(self, total: int, unit: str) -> Advance:
        """Return a call that does nothing."""
        del total, unit
        return _ignore


def _ignore(n: int, note: str = "") -> None:
    del n, note


class ProgressLog:
    """Counts what is done and says so from time to time.

    Args:
        say: Takes a line of text.
        total: How much there is to do.
        unit: What is counted, in the plural.
        clock: Monotonic seconds.
        display: Shows it besides.
    """

    def __init__(
        self,
        say: Callable[[str], object],
        *,
        total: int,
        unit: str,
        clock: Callable[[], float],
        display: Display,
    ) -> None:
        self._say, self._total, self._unit, self._clock = say, total, unit, clock
        self._done = 0
        self._started = self._said = clock()
        self._show = display.start(total, unit)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count `n` more as done; say so if the last line is some seconds old, or all is done.

        Args:
            n: How many more are done.
            note: What else there is to tell of all that is done.
        """
        self._done += n
        self._show(n, note)
        now = self._clock()
        if now - self._said < EVERY_S and self._done < self._total:
            return
        self._said = now
        self._say(f"{self.line(now)}; {note}" if note else self.line(now))

    def line(self, now: float) -> str:
        """Return where things stand: `120 of 200 cells, 24.0 a second, 0:00:03 left`."""
        rate = self._done / max(now - self._started, 1e-9)
        left = timedelta(seconds=round((self._total - self._done) / rate)) if rate else "unknown"
        return f"{self._done:,} of {self._total:,} {self._unit}, {rate:.1f} a second, {left} left"
