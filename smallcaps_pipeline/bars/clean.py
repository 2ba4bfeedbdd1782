"""Cleaning of 1-minute bars: every bar that is not used has a reason.

Belongs here: what makes a single bar impossible, and which of several copies of a minute stays.
Keep out: sessions (a sound bar at 02:00 is a good bar that takes no part in detection), files.
"""

from __future__ import annotations

from enum import StrEnum
from functools import reduce

import polars as pl

from smallcaps_pipeline.schemas import BARS, SET_ASIDE, UTC_US, SchemaError
from smallcaps_pipeline.sessions import require_aware
from smallcaps_pipeline.thresholds import at_most, between

OPTIONAL = ("vwap", "transactions")  # flat files carry no vwap, some vendors no trade counts
PRICES = ("open", "high", "low", "close")
# Of several good bars of one minute, the greatest in this order stays: late prints only add.
PREFERENCE = ("volume", "transactions", "high", "low", "close", "open", "vwap")


class Reason(StrEnum):
    """Why a bar was set aside."""

    NO_SYMBOL = "no symbol"
    NO_TIMESTAMP = "no timestamp"
    NOT_A_WHOLE_MINUTE = "timestamp is not a whole minute"
    NOT_FINITE = "a price or the volume is missing or not finite"
    PRICE_NOT_POSITIVE = "a price is not above zero"
    OUT_OF_ORDER = "low <= open, close <= high does not hold"
    VOLUME_NEGATIVE = "volume is below zero"
    DUPLICATE = "equal copy of another bar of the minute"
    CONFLICT = "differs from the bar of the minute that was kept"


def clean_bars(bars: pl.DataFrame | pl.LazyFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split bars into good ones and those set aside, each with its reason.

    Args:
        bars: One row per symbol and minute (`schemas.BARS`), any symbols, days and row order.
            `timestamp` is the start of the minute in any time zone; `vwap` and `transactions` may
            be absent or null; integer volumes are accepted.

    Returns:
        The good bars in the schema of `BARS`, sorted by symbol and timestamp, which are a key; and
        the others in the schema of `SET_ASIDE`, sorted by all columns. Every row of the input is
        in one of the two. A vwap that is not finite is null in both; one outside [low, high] is
        kept (its users do not trust it).

    Raises:
        NaiveTimestampError: `timestamp` has no time zone.
        SchemaError: A column is missing, or has a type that cannot be cast.
    """
    frame = _typed(bars.lazy().collect())
    checked = frame.with_columns(reason=_reason())
    bad = checked.filter(pl.col("reason").is_not_null())
    good = checked.filter(pl.col("reason").is_null()).drop("whole_minute", "reason")
    good = good.sort("symbol", "timestamp")
    good, copies = _one_per_minute(good)
    aside = pl.concat([SET_ASIDE.conform(bad), SET_ASIDE.conform(copies)])
    return BARS.conform(good), aside.sort(SET_ASIDE.schema.names(), nulls_last=True)


def trusted_vwap() -> pl.Expr:
    """Return the bar's vwap where it is given and lies within [low, high], else null."""
    vwap = pl.col("vwap")
    return pl.when(between(vwap, pl.col("low"), pl.col("high"))).then(vwap)


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the bars in the types of `BARS`, with `whole_minute` judged before any rounding."""
    absent = [name for name in OPTIONAL if name not in frame.columns]
    frame = frame.with_columns(pl.lit(None).alias(name) for name in absent)
    if missing := [name for name in BARS.columns if name not in frame.columns]:
        raise SchemaError(f"bars: lack the columns {missing}; they have {frame.columns}")
    require_aware(frame.schema, ["timestamp"], "bars")
    time = pl.col("timestamp")
    try:
        return frame.select(
            pl.col("symbol").cast(pl.String),
            time.dt.convert_time_zone("UTC").cast(UTC_US),
            *(
                # NaN is never stored: it says "not known", as null does.
                pl.col(name).cast(pl.Float64).fill_nan(None)
                for name in (*PRICES, "volume", "vwap")
            ),
            pl.col("transactions").cast(pl.Int64),
            whole_minute=time == time.dt.truncate("1m"),
        ).with_columns(vwap=pl.when(pl.col("vwap").is_finite()).then(pl.col("vwap")))
    except pl.exceptions.PolarsError as error:
        types = {name: str(frame.schema[name]) for name in BARS.columns}
        raise SchemaError(
            f"bars: the column types {types} are not those of bars: {error}"
        ) from None


def _reason() -> pl.Expr:
    """Return the first reason (String) that makes a bar bad input, else null."""
    numbers = [pl.col(name) for name in (*PRICES, "volume")]
    opened, high, low, close = (pl.col(name) for name in PRICES)
    in_order = (
        at_most(low, pl.min_horizontal(opened, close))
        & at_most(pl.max_horizontal(opened, close), high)
        & at_most(low, high)
    )
    finite = pl.all_horizontal(number.is_finite().fill_null(False) for number in numbers)
    broken = {
        Reason.NO_SYMBOL: pl.col("symbol").is_null(),
        Reason.NO_TIMESTAMP: pl.col("timestamp").is_null(),
        Reason.NOT_A_WHOLE_MINUTE: ~pl.col("whole_minute"),
        Reason.NOT_FINITE: ~finite,
        Reason.PRICE_NOT_POSITIVE: pl.min_horizontal(*PRICES) <= 0,
        Reason.OUT_OF_ORDER: ~in_order,
        Reason.VOLUME_NEGATIVE: pl.col("volume") < 0,
    }
    return pl.coalesce(
        pl.when(condition).then(pl.lit(reason.value)) for reason, condition in broken.items()
    )


def _one_per_minute(good: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep one bar per symbol and minute; return the others with their reason."""
    key = ("symbol", "timestamp")
    same_as_before = reduce(
        lambda both, name: both & (pl.col(name) == pl.col(name).shift(1)), key, pl.lit(True)
    )
    if not good.select(same_as_before.any()).item():
        return good, good.head(0).with_columns(reason=pl.lit(None, pl.String))
    # A vwap that is not trusted decides nothing; among copies alike in all else, order by it last.
    preference: list[pl.Expr | str] = [*PREFERENCE[:-1], trusted_vwap(), PREFERENCE[-1]]
    ranked = good.sort(
        *key,
        *preference,
        descending=[False, False, *[True] * len(preference)],
        nulls_last=True,
    )
    equal_to_before = pl.all_horizontal(
        pl.col(name).eq_missing(pl.col(name).shift(1)) for name in (*key, *PREFERENCE)
    )
    reason = (
        pl.when(~same_as_before.fill_null(False))
        .then(None)
        .when(equal_to_before)
        .then(pl.lit(Reason.DUPLICATE.value))
        .otherwise(pl.lit(Reason.CONFLICT.value))
    )
    judged = ranked.with_columns(reason=reason)
    kept = pl.col("reason").is_null()
    return judged.filter(kept).drop("reason"), judged.filter(~kept)
