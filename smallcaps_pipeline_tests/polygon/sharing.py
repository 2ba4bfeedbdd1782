"""Many callers of one budget on a clock of their own, and how full its windows were."""

from __future__ import annotations

import heapq
import random
from bisect import bisect_left
from pathlib import Path

from smallcaps_pipeline.polygon.ledgers.ledger import Slot
from smallcaps_pipeline.polygon.ledgers.sqlite import SqliteLedger
from smallcaps_pipeline.polygon.limiter import binding_limits, hard_limits, patience_s
from smallcaps_pipeline_tests.polygon.server import Clock


def most_within(times: list[float], seconds: float) -> int:
    """Return the most calls in any half-open window of so many seconds."""
    ordered = sorted(times)
    return max(bisect_left(ordered, start + seconds) - i for i, start in enumerate(ordered))


def simulated(
    path: Path,
    seed: int,
    *,
    per_minute: int | None,
    per_second: int | None,
    seconds: float,
    prompt: bool = False,
) -> list[float]:
    """Let a dozen callers share a ledger on a clock of their own; return when calls went out.

    Callers wake late, dawdle and stall before they send, die, and meet pauses, all at random.
    Prompt ones are late by a few milliseconds at most, and nothing happens to them.
    """
    clock, chance = Clock(), random.Random(seed)
    ledger = SqliteLedger(path, clock=clock.time)
    limits = binding_limits(per_minute, per_second)
    hard = hard_limits(limits)
    patience, start = patience_s(limits), clock.now
    worst_late, worst_dawdled = (0.005, 0.002) if prompt else (0.03, 2 * patience)
    sent: list[float] = []
    due: list[tuple[float, int, str, Slot]] = [
        (start, caller, "ask", Slot(0, 0.0)) for caller in range(12)
    ]

    def then(seconds: float, step: str, slot: Slot) -> None:
        heapq.heappush(due, (clock.now + seconds, caller, step, slot))

    while due[0][0] < start + seconds:
        clock.now, caller, step, slot = heapq.heappop(due)
        if step != "ask" and not prompt and chance.random() < 0.001:
            then(1.0, "ask", slot)  # killed, and another one started
        elif step == "ask":
            slot = ledger.reserve(limits)
            late = chance.choice([0.0, 0.0005, 0.002, chance.uniform(0, worst_late)])
            then(slot.wait_s + late * (slot.wait_s > 0), "wake", slot)
        elif step == "wake":
            if slot.wait_s > 0 and not ledger.confirm(slot, hard, patience):
                then(0.0, "ask", slot)
                continue
            dawdled = chance.choice([0.0002, 0.001, chance.uniform(0, worst_dawdled)])
            if dawdled > patience:  # what `renew` does
                then(dawdled, "renew", slot)
            elif not prompt and chance.random() < 0.02:
                then(dawdled + chance.uniform(0, 0.4), "stalled", slot)
            else:
                then(dawdled, "send", slot)
        elif step == "renew" and not ledger.confirm(slot, hard, patience):
            then(0.0, "ask", slot)
        else:
            if step == "stalled":  # what `sent` does
                ledger.delay(slot)
            sent.append(clock.now)
            if not prompt and chance.random() < 0.0005:
                ledger.pause(chance.uniform(0, 3))
            then(chance.uniform(0.005, 0.1), "ask", slot)
    ledger.close()
    return sent
