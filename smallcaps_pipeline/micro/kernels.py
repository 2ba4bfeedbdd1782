"""Compiled loops over trades and quotes: the merge, the tick rule, integer prices, condition codes.

Belongs here: what is inherently one pass in order, and what costs most on tens of millions of rows.
Keep out: what a code means (`conditions`), which method takes which rule (`aggressor`).

Prices are integers in units of $0.000001; `NONE` stands for a price that is not there. `group`
numbers the stretch (symbol, event) that a row belongs to; arrays are sorted by group, then time.
Callers hand in read-only views (`compiled.read_only`), or each mixture would be compiled anew.

Plain numba here, not `compiled.compiled`: these loops make the arrays that they return.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

Array = np.ndarray[Any, Any]

NONE: Final = -(2**63)
LEE_READY, QUOTE, TICK, EMO, CLNV = range(5)  # methods
BY_NOTHING, BY_QUOTE, BY_TICK = range(3)  # which rule decided
CLNV_TENTHS: Final = 3  # of the spread, from either quote
MICRO_PER_DOLLAR: Final = 1e6
LARGEST: Final = 9e18  # what no longer fits in 64 bits is no price


@njit(cache=True)
def micro_of(dollars: Array) -> Array:
    """Return prices in USD as integers, halves away from zero; NONE for NaN and infinity."""
    found = np.empty(dollars.size, np.int64)
    for i in range(dollars.size):
        scaled = abs(dollars[i]) * MICRO_PER_DOLLAR
        if not scaled < LARGEST:  # NaN and infinity too
            found[i] = NONE
            continue
        whole = np.int64(scaled)
        if scaled - whole >= 0.5:
            whole += 1
        found[i] = whole if dollars[i] >= 0 else -whole
    return found


@njit(cache=True)
def flags_of_lists(offsets: Array, codes: Array, flags: Array, unknown: int) -> Array:
    """Return for each list of codes the flags of all its codes together.

    Args:
        offsets: List i is codes[offsets[i]:offsets[i + 1]].
        codes: Condition codes of all lists.
        flags: Flags of each code; `unknown` for codes beyond.
        unknown: Flag of a code that the table does not hold.
    """
    found = np.zeros(offsets.size - 1, np.uint8)
    for i in range(offsets.size - 1):
        together = 0
        for j in range(offsets[i], offsets[i + 1]):
            code = codes[j]
            together |= flags[code] if 0 <= code < flags.size else unknown
        found[i] = together
    return found


@njit(cache=True)
def last_valid_before(
    asked: Array, asked_group: Array, at: Array, group: Array, bid: Array, ask: Array
) -> Array:
    """Return for each instant the last valid quote strictly before it, -1 where there is none.

    A quote is valid with bid > 0 and ask >= bid. Both sides walk on together: one pass.
    """
    found = np.empty(asked.size, np.int64)
    quote, last = 0, -1
    for i in range(asked.size):
        if i == 0 or asked_group[i] != asked_group[i - 1]:
            last = -1
            while quote < at.size and group[quote] < asked_group[i]:
                quote += 1
        while quote < at.size and group[quote] == asked_group[i] and at[quote] < asked[i]:
            if bid[quote] > 0 and ask[quote] >= bid[quote]:
                last = quote
            quote += 1
        found[i] = last
    return found


@njit(cache=True)
def tick_sides(price: Array, counts: Array, group: Array) -> Array:
    """Return the tick rule's side of each trade: +1, -1, 0 where nothing differs before it.

    Only trades that count move the reference; `carried` is the sign of its last change.
    """
    sides = np.zeros(price.size, np.int8)
    reference, carried = NONE, 0
    for i in range(price.size):
        if i == 0 or group[i] != group[i - 1]:
            reference, carried = NONE, 0
        if price[i] == NONE:
            continue
        side = carried
        if reference != NONE and price[i] != reference:
            side = 1 if price[i] > reference else -1
        sides[i] = side
        if counts[i]:
            reference, carried = price[i], side
    return sides


@njit(cache=True)
def quote_side(method: int, price: int, bid: int, ask: int) -> int:
    """Return what the quote in force says of a trade: +1, -1, 0 where it leaves it open.

    lee_ready, quote: above or below the midpoint. emo: at the ask or the bid. clnv: within 30 % of
    the spread of the ask or the bid, ends included. At both at once (locked) nothing is said.
    """
    if method in (LEE_READY, QUOTE):
        twice = 2 * price - bid - ask
        return (twice > 0) - (twice < 0)
    if method == EMO:
        return (price == ask) - (price == bid)
    if method == CLNV:
        near = CLNV_TENTHS * (ask - bid)
        at_ask = price <= ask and 10 * (ask - price) <= near
        at_bid = price >= bid and 10 * (price - bid) <= near
        return at_ask - at_bid
    return 0


@njit(cache=True)
def decide(
    method: int, price: Array, tick: Array, quote: Array, bid: Array, ask: Array
) -> tuple[Array, Array]:
    """Return side and deciding rule of each trade.

    Args:
        method: One of the methods above.
        price: Trade prices.
        tick: What the tick rule says, as of `tick_sides`.
        quote: Row of the quote in force in `bid`, `ask`; -1 where there is none.
        bid: Prices of the quotes.
        ask: Prices of the quotes.
    """
    sides = np.zeros(price.size, np.int8)
    rules = np.zeros(price.size, np.uint8)
    for i in range(price.size):
        if price[i] == NONE:
            continue
        side = 0
        if quote[i] >= 0:
            side = quote_side(method, price[i], bid[quote[i]], ask[quote[i]])
        if side != 0:
            sides[i], rules[i] = side, BY_QUOTE
        elif method != QUOTE and tick[i] != 0:
            sides[i], rules[i] = tick[i], BY_TICK
    return sides, rules


@njit(cache=True)
def is_in_order(at: Array, number: Array) -> bool:
    """Say whether rows are sorted by instant, then number."""
    for i in range(1, at.size):
        if at[i] < at[i - 1] or (at[i] == at[i - 1] and number[i] < number[i - 1]):
            return False
    return True
