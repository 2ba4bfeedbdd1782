"""What a ledger of calls does, wherever it is kept.

Belongs here: the interface, and the numbers that all stores share.
Keep out: how a store does it (sqlite, postgres, redis), waiting (limiter).

Each store holds the rules in its own language, Python, PL/pgSQL and Lua, because a step must be one
transaction *and* one trip to the store: at 80 calls a second a lock that is held over several trips
would use up the second. The same tests hold all three.

All times of a ledger are microseconds on the one clock of its store, so machines whose clocks
differ agree; callers are told how long to wait, never until when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

US: Final = 1_000_000
KEPT_US: Final = 180 * US  # entries older than this are forgotten; no window reaches so far
NOT_COUNTED: Final = 0  # number of a call that no limit is concerned with, but a pause is


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
        """Enter a call at the first moment at which every limit and the pause allow it.

        That is the latest of: now, the end of the pause, and for each limit of n calls the moment
        of the n-th latest entry plus the window.
        """

    def confirm(self, slot: Slot, limits: Sequence[Limit], patience_s: float) -> bool:
        """Move an entry whose moment has come to now, and say that its call may go.

        An entry that is late by more than the patience may still move where no other was promised
        its moment by it: where of no limit of n calls the n-th latest entry is later than it.

        Returns:
            False where a pause holds, or the entry is late and may not move; it is gone then.
        """

    def delay(self, slot: Slot) -> None:
        """Move an entry to now: its call has gone out only now."""

    def release(self, slot: Slot) -> None:
        """Take back the entry of a call that did not go out."""

    def pause(self, seconds: float) -> None:
        """Let no call be confirmed for so long; a longer pause stays."""

    def close(self) -> None:
        """Close the connection."""
