"""The compiled loop over quotes: which of them thinning keeps.

Belongs here: what is one pass in order, and in column operations several over temporary arrays.
Keep out: what a changed or a valid quote is (`nbbo`).
"""

from __future__ import annotations

from smallcaps_pipeline.compiled import Array, compiled


@compiled
def bucket_of(time: int, hz: int) -> int:
    """Return floor(ns x hz / 10^9), exact as long as hz <= 10^9.

    Seconds and the rest are multiplied apart, so that nothing leaves 64 bits. Before 1970 too:
    both divisions round down.
    """
    seconds = time // 1_000_000_000
    rest = time - seconds * 1_000_000_000
    return seconds * hz + rest * hz // 1_000_000_000


@compiled
def mark_thinned(
    times: Array, left: Array, valid: Array, trades: Array, hz: int, stays: Array
) -> None:
    """Mark the quotes that thinning keeps of those that `left` marks.

    They are the first, the last of each bucket, and the one in force at each trade: the last valid
    one strictly before it.

    Args:
        times: Of the quotes, ns, ascending.
        left: Which quotes there are.
        valid: Which quotes can be in force.
        trades: Instants of the trades, ns, ascending.
        hz: Buckets a second, 1 to 10^9.
        stays: Filled in; false all over before.
    """
    last, bucket, in_force, trade = -1, 0, -1, 0
    for row in range(times.size):
        if not left[row]:
            continue
        own = bucket_of(times[row], hz)
        if last < 0:
            stays[row] = True
        elif own != bucket:
            stays[last] = True
        while trade < trades.size and trades[trade] <= times[row]:
            if in_force >= 0:
                stays[in_force] = True
            trade += 1
        if valid[row]:
            in_force = row
        last, bucket = row, own
    if last >= 0:
        stays[last] = True
    if trade < trades.size and in_force >= 0:
        stays[in_force] = True
