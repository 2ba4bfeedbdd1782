"""How the emulator behaves where the provider differs by plan, by day, or is not known.

Belongs here: the switches of a server, and the provider's plans.
Keep out: what a switch does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from smallcaps_pipeline.emulator.faults import FaultRule

VENDOR_URL: Final = "https://api.massive.com"


class Links(Enum):
    """Which host the next links name; they never carry a key."""

    VENDOR = "vendor"
    OWN = "own"


class Plan(Enum):
    """A subscription: calls per minute, years of history, trades, quotes."""

    BASIC = (5, 2, False, False)
    STARTER = (None, 5, False, False)
    DEVELOPER = (None, 10, True, False)
    ADVANCED = (None, None, True, True)

    def __init__(
        self, per_minute: int | None, years: int | None, trades: bool, quotes: bool
    ) -> None:
        self.per_minute = per_minute
        self.years = years
        self.trades = trades
        self.quotes = quotes


@dataclass(frozen=True)
class Options:
    """Switches of a server.

    `rate_limit` is in calls per minute and key; None takes the plan's. `plan` None is open to
    everything. `retry_after` sends that header with a 429 of the rate limit, which the provider is
    not known to do. `stall_s` is how long a stalled answer hangs before its connection ends.
    """

    rate_limit: int | None = None
    retry_after: bool = False
    plan: Plan | None = None
    links: Links = Links.VENDOR
    faults: tuple[FaultRule, ...] = ()
    fault_seed: int = 7
    stall_s: float = 120.0

    @property
    def per_minute(self) -> int | None:
        """Return the calls per minute that hold; None = no limit."""
        if self.rate_limit is not None:
            return self.rate_limit
        return self.plan.per_minute if self.plan else None
