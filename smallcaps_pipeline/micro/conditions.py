"""Which trades exist, count for price and count for volume.

Belongs here: the provider's update rules as data, and the expressions that apply them.
Keep out: the side of a trade (`aggressor`) and regular hours (`tape`, from `sessions`).

A print updates a value only if every one of its condition codes allows it; a print without codes is
regular. The fallback table of the provider's conditions endpoint, consolidated rules:

    high/low  open/close  volume   codes
       -          -         yes    2 7 12* 13 20 21 29 37 52 53
      yes         -         yes    5 10 17 22 32 33
       -          -          -     15 16   messages of the official close and open, not trades
      yes        yes         -     38
      yes        yes        yes    all others, and codes not in the table

A trade counts for *price* where it updates open/close: only then is its price the latest one. The
codes of the second row (sold out of sequence, derivatively priced and the like) report a price of
another moment: they widen a bar but say nothing about where the market is now. (Rejected:
counting whatever updates high/low; a print of minutes ago would turn the tick rule.)

(*) Form T (12) counts for price outside regular hours, where the provider's minute bars take it:
for high and low as for open and close. 13 (extended hours, sold out of sequence) does not. 41 has
no rule and is ignored.

Condition codes that are null are not known: the trade is taken as regular.

Source: provider's `/v3/reference/conditions`, `update_rules.consolidated`, and its article on
Form T trades in minute bars.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from smallcaps_pipeline.compiled import read_only
from smallcaps_pipeline.micro import kernels


class UpdateRule(NamedTuple):
    """What a print with a condition code may update, over the consolidated tape."""

    high_low: bool
    open_close: bool
    volume: bool


FORM_T: Final = 12
NO_RULE: Final = 41  # trade-thru exempt: known, and ignored
REOPENING_PRINTS: Final = (18, 28)
EXISTING_CORRECTIONS: Final = (0, 1)  # as reported; corrected values at the original time

_UNPRICED: Final = (2, 7, FORM_T, 13, 20, 21, 29, 37, 52, 53)
_REGULAR: Final = (
    *(0, 1, 3, 4, 6, 8, 9, 11, 14, 18, 19, 23, 24),
    *(25, 27, 28, 30, 31, 34, 35, 36, 55),
)
_CODES_BY_RULE: Final = {
    UpdateRule(high_low=False, open_close=False, volume=True): _UNPRICED,
    UpdateRule(high_low=True, open_close=False, volume=True): (5, 10, 17, 22, 32, 33),
    UpdateRule(high_low=False, open_close=False, volume=False): (15, 16),
    UpdateRule(high_low=True, open_close=True, volume=False): (38,),
    UpdateRule(high_low=True, open_close=True, volume=True): _REGULAR,
}
UPDATE_RULES: Final = {code: rule for rule, codes in _CODES_BY_RULE.items() for code in codes}


class Flag(IntFlag):
    """What a code, or all codes of a print together, do not allow or tell."""

    NO_RANGE = 1
    NO_PRICE = 2
    NO_VOLUME = 4
    FORM_T = 8  # forbids range and price in regular hours alone
    REOPENS = 16
    UNKNOWN = 32  # a code without a known rule


def exists(correction: pl.Expr) -> pl.Expr:
    """Say whether a trade exists: correction 0, 1 or not given, else cancelled or in error."""
    return correction.is_null() | correction.is_in(EXISTING_CORRECTIONS)


def counts_for_volume(conditions: pl.Expr) -> pl.Expr:
    """Say whether a trade counts for volume (Boolean, never null)."""
    return ~_has(conditions, Flag.NO_VOLUME)


def counts_for_price(conditions: pl.Expr, in_rth: pl.Expr) -> pl.Expr:
    """Say whether a trade sets the latest price (Boolean, never null).

    Args:
        conditions: Condition codes (List); null = not known.
        in_rth: Whether the trade was in regular hours (Boolean, not null).
    """
    return ~_has(conditions, Flag.NO_PRICE) & ~(has_form_t(conditions) & in_rth)


def counts_for_range(conditions: pl.Expr, in_rth: pl.Expr) -> pl.Expr:
    """Say whether a trade can set a bar's high or low (Boolean, never null).

    Args:
        conditions: Condition codes (List); null = not known.
        in_rth: Whether the trade was in regular hours (Boolean, not null).
    """
    return ~_has(conditions, Flag.NO_RANGE) & ~(has_form_t(conditions) & in_rth)


def has_form_t(conditions: pl.Expr) -> pl.Expr:
    """Say whether a trade carries Form T, whose effect depends on the hour."""
    return _has(conditions, Flag.FORM_T)


def is_reopening(conditions: pl.Expr) -> pl.Expr:
    """Say whether a trade is the auction print that reopens a halted stock."""
    return _has(conditions, Flag.REOPENS)


def has_unknown(conditions: pl.Expr) -> pl.Expr:
    """Say whether a trade carries a code that no rule is known for; it is taken as regular."""
    return _has(conditions, Flag.UNKNOWN)


def flags_of(conditions: pl.Expr) -> pl.Expr:
    """Return the flags (UInt8) of all of a trade's codes together; 0 where they are not known.

    Every expression above takes these flags in place of the codes: read once, asked often.
    """
    return conditions.map_batches(_read_flags, return_dtype=pl.UInt8, is_elementwise=True)


def _has(conditions: pl.Expr, flag: Flag) -> pl.Expr:
    return (flags_of(conditions) & int(flag)) != 0


def _read_flags(conditions: pl.Series) -> pl.Series:
    if conditions.dtype == pl.UInt8:
        return conditions
    lists = conditions.cast(pl.List(pl.Int32)).rechunk().to_arrow()
    codes = lists.values.fill_null(-1) if lists.values.null_count else lists.values
    found = kernels.flags_of_lists(
        read_only(lists.offsets.to_numpy()),
        read_only(codes.to_numpy()),
        _FLAGS,
        int(Flag.UNKNOWN),
    )
    if conditions.null_count():  # what lies beneath a null list is not said
        found[conditions.is_null().to_numpy()] = 0
    return pl.Series(conditions.name, found)


def _flags_by_code() -> kernels.Array:
    """Return the flags of each code, as an array by code."""
    table = np.full(max((*UPDATE_RULES, NO_RULE)) + 1, int(Flag.UNKNOWN), np.uint8)
    table[NO_RULE] = 0
    for code, rule in UPDATE_RULES.items():
        flag = Flag(0)
        if not rule.volume:
            flag |= Flag.NO_VOLUME
        if code == FORM_T:
            flag |= Flag.FORM_T
        else:
            flag |= Flag(0) if rule.high_low else Flag.NO_RANGE
            flag |= Flag(0) if rule.open_close else Flag.NO_PRICE
        if code in REOPENING_PRINTS:
            flag |= Flag.REOPENS
        table[code] = int(flag)
    return table


_FLAGS: Final = _flags_by_code()
