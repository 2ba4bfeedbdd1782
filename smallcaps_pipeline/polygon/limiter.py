"""One call budget for all who share it: processes of a machine, or of several.

Belongs here: when the next call may go out.
Keep out: where the budget is kept (ledgers), retries (transport), what a call is for.

How it holds. Each call is entered in a shared ledger *before* it goes out, at the earliest moment
at which every sliding window still has room: not before the n-th latest entry plus the window, for
each limit of n calls. The wait for that moment is slept outside the ledger, so nobody waits for a
sleeper, and calls go out in the order of their entries. Awake, the caller confirms its entry, which
moves to the moment at which the call really goes; so does who finds on the open connection that
time has passed since (a handshake, a busy processor), or has passed while it sent. An entry that is
late can move without harm while nobody was promised a place after its old moment, which holds as
long as fewer callers wait than the limit has calls. Else, or in a pause, the caller queues again.
So an entry is as old as its call but for the `patience`, and a killed process costs the few entries
that it had ahead, never a limit.

What is left is the way to the provider: a call may take longer than the one a window later. Windows
are counted longer than the provider's by a margin for that, and the patience is part of it: of a
second 35 ms, of a minute 1.2 s. At the limit, 96.6 % of 80 calls a second go out.

Why not pyrate-limiter, of which version 4.5.1 was read. Its `Limiter` stamps a call with the time
at which its wait was planned, its SQLite lock is polled every 50 ms, its Postgres bucket refuses
whoever meets a held lock and stamps before it asks for that, its Redis bucket counts by each
machine's own clock; none gives a call back, shares a pause, or queues: waiters wake together and
one of them wins. What was left to use of it was one SELECT.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from smallcaps_pipeline.polygon.ledgers.ledger import Ledger, Limit, Slot

SECOND_S, MINUTE_S = 1.0, 60.0
SECOND_MARGIN_S, MINUTE_MARGIN_S = 0.035, 1.2
# A second's calls go out in so many parts: 80 at once would queue up on their way, each a little
# later than the one before, and the second 80 could come too early after them.
SMOOTHED: Final = 10
CATCH_UP: Final = 1.5  # faster than the pace, so that places which were given back are made up for
PATIENCE: Final = 0.4  # the part of the margin that a call may go out later than it was entered
MAX_PAUSE_S: Final = 900.0  # a pause beyond it comes from a clock that was wrong


@dataclass(frozen=True)
class Permit:
    """A call that may go out now, and that is counted."""

    slot: Slot
    given: float  # on the caller's clock


class CallBudget:
    """Calls per second and per minute, over any sliding window, shared by a ledger.

    Threads may share an instance; a process started by fork opens its own.

    Args:
        ledger: Where calls are entered; those who share it share the budget.
        calls_per_minute: None is no limit.
        calls_per_second: None is no limit.
        clock: Seconds that never go back.
        sleep: Waits for so many seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        calls_per_minute: int | None,
        calls_per_second: int | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ledger = ledger
        self._limits = binding_limits(calls_per_minute, calls_per_second)
        self._hard = hard_limits(self._limits)
        self._patience_s = patience_s(self._limits)
        self._clock = clock
        self._sleep = sleep

    def acquire(self) -> Permit:
        """Wait until a call may go out, and count it.

        Raises:
            BudgetUnavailable: The ledger cannot be read or written.
        """
        while True:
            slot = self._ledger.reserve(self._limits)
            if slot.wait_s <= 0:
                return Permit(slot, self._clock())
            self._sleep(slot.wait_s)
            if self._ledger.confirm(slot, self._hard, self._patience_s):
                return Permit(slot, self._clock())

    def renew(self, permit: Permit) -> Permit:
        """Return a permit that is fresh: the same one, moved to now if it can be, or another.

        To be called when nothing is left to do but to send.

        Raises:
            BudgetUnavailable: The ledger cannot be read or written.
        """
        while self._clock() - permit.given > self._patience_s:
            if self._ledger.confirm(permit.slot, self._hard, self._patience_s):
                return Permit(permit.slot, self._clock())
            permit = self.acquire()
        return permit

    def sent(self, permit: Permit) -> None:
        """Take note that a call has gone out; a late one counts from now.

        Raises:
            BudgetUnavailable: The ledger cannot be read or written.
        """
        if self._clock() - permit.given > self._patience_s:
            self._ledger.delay(permit.slot)

    def pause(self, seconds: float) -> None:
        """Let nobody call for `seconds` from now; a longer pause under way stays.

        Raises:
            BudgetUnavailable: The ledger cannot be read or written.
        """
        self._ledger.pause(min(seconds, MAX_PAUSE_S))

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()


def binding_limits(calls_per_minute: int | None, calls_per_second: int | None) -> tuple[Limit, ...]:
    """Return the limits that can bind, shortest first, their windows with the margin.

    Many calls a second have a limit of their own for a tenth of them, at 1.5 times the pace.
    """
    second, minute = calls_per_second, calls_per_minute
    if second and minute and minute <= second:
        second = None
    elif second and minute and minute >= 60 * second:
        minute = None
    second_s, minute_s = SECOND_S + SECOND_MARGIN_S, MINUTE_S + MINUTE_MARGIN_S
    smooth = second // SMOOTHED if second and second >= 2 * SMOOTHED else None
    windows = (
        (smooth, second_s * (smooth or 0) / (second or 1) / CATCH_UP),
        (second, second_s),
        (minute, minute_s),
    )
    return tuple(Limit(calls, window_s) for calls, window_s in windows if calls)


def hard_limits(limits: tuple[Limit, ...]) -> tuple[Limit, ...]:
    """Return the limits that are the provider's own."""
    return tuple(limit for limit in limits if limit.window_s >= SECOND_S)


def patience_s(limits: tuple[Limit, ...]) -> float:
    """Return the seconds that a call may go out later than it was entered."""
    margins = [
        SECOND_MARGIN_S if limit.window_s < MINUTE_S else MINUTE_MARGIN_S for limit in limits
    ]
    return PATIENCE * min(margins, default=MINUTE_MARGIN_S)
