"""What a ledger of calls does, and how those that speak SQL do it.

Belongs here: the interface, the rules of one transaction.
Keep out: SQL (the stores), waiting (limiter).

All times of a ledger are microseconds on the one clock of its store, so machines whose clocks
differ agree; callers are told how long to wait, never until when.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

US: Final = 1_000_000
KEPT_US: Final = 180 * US  # entries older than this are forgotten; no window reaches so far
FORGET_EVERY: Final = 64  # entries
NOT_COUNTED: Final = 0  # number of a call that no limit is concerned with, but a pause is
CLOCK_SLACK_US: Final = US  # a clock that went back by less is merely being adjusted


@dataclass(frozen=True)
class Limit:
    """At most `calls` in any window of `window_s` seconds."""

    calls: int
    window_s: float

    @property
    def window_us(self) -> int:
        """The window in microseconds."""
        return round(self.window_s * US)


@dataclass(frozen=True)
class Slot:
    """An entry of the ledger, and the seconds from its making to its moment."""

    number: int
    wait_s: float


class Ledger(Protocol):
    """The shared list of calls; each method is one step that no other comes between.

    Every method raises `BudgetUnavailable` where the store cannot be used.
    """

    def reserve(self, limits: Sequence[Limit]) -> Slot:
        """Enter a call at the first moment at which every limit and the pause allow it."""

    def confirm(self, slot: Slot, patience_s: float) -> bool:
        """Move an entry whose moment has come to now, and say that its call may go.

        Returns:
            False where a pause holds or the moment is over by more than the patience; the entry is
            gone then.
        """

    def delay(self, slot: Slot) -> None:
        """Move an entry to now: its call has gone out only now."""

    def release(self, slot: Slot) -> None:
        """Take back the entry of a call that did not go out."""

    def pause(self, seconds: float) -> None:
        """Let no call be confirmed for so long; a longer pause stays."""

    def close(self) -> None:
        """Close the connection."""


class Entries(Protocol):
    """What a transaction of an SQL store can do; `now_us` is the time at which it began."""

    now_us: int

    def paused_until(self) -> int: ...

    def pause_until(self, at_us: int) -> None: ...

    def latest(self, nth: int) -> int | None:
        """Return the moment of the n-th latest entry, from 1."""

    def enter(self, at_us: int) -> int: ...

    def moment_of(self, number: int) -> int | None: ...

    def move(self, number: int, at_us: int) -> None: ...

    def remove(self, number: int) -> None: ...

    def forget(self, before_us: int) -> None: ...

    def mend_clock(self) -> None:
        """Count entries that were made in the future as of now: the clock was set back."""


class SqlLedger(ABC):
    """The rules, over the transactions of a store."""

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[Entries]:
        """Hold the ledger alone, over all threads, processes and machines."""

    def reserve(self, limits: Sequence[Limit]) -> Slot:
        with self._transaction() as entries:
            now = entries.now_us
            entries.mend_clock()
            at = max(now, entries.paused_until())
            for limit in limits:
                nth = entries.latest(limit.calls)
                at = at if nth is None else max(at, nth + limit.window_us)
            number = entries.enter(at) if limits else NOT_COUNTED
            if number % FORGET_EVERY == 0 and limits:
                entries.forget(now - KEPT_US)
        return Slot(number, (at - now) / US)

    def confirm(self, slot: Slot, patience_s: float) -> bool:
        with self._transaction() as entries:
            now = entries.now_us
            at = entries.moment_of(slot.number)
            if at is None or now < entries.paused_until() or now - at > patience_s * US:
                entries.remove(slot.number)
                return False
            entries.move(slot.number, max(at, now))
        return True

    def delay(self, slot: Slot) -> None:
        with self._transaction() as entries:
            entries.move(slot.number, entries.now_us)

    def release(self, slot: Slot) -> None:
        with self._transaction() as entries:
            entries.remove(slot.number)

    def pause(self, seconds: float) -> None:
        with self._transaction() as entries:
            until = entries.now_us + round(seconds * US)
            entries.pause_until(max(until, entries.paused_until()))
