"""Cleaning of 1-minute bars: every bar that is not used has a reason.

Belongs here: types, reasons, and which of several copies of a minute stays.
Keep out: what makes a single bar impossible (`soundness`); sessions (a sound bar at 02:00 is a good
bar that takes no part in detection); files.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from smallcaps_pipeline.bars.soundness import JUDGED, SOUND, Reason, judge
from smallcaps_pipeline.compiled import read_only
from smallcaps_pipeline.schemas import BARS, SET_ASIDE, UTC_US, SchemaError
from smallcaps_pipeline.sessions import require_aware
from smallcaps_pipeline.thresholds import between

OPTIONAL = ("vwap", "transactions")  # flat files carry no vwap, some vendors no trade counts
PRICES = ("open", "high", "low", "close")
NUMBERS = (*PRICES, "volume", "vwap")
PER_MINUTE = {"ns": 60_000_000_000, "us": 60_000_000, "ms": 60_000}  # of each time unit
VERDICTS = {SOUND: None, **{place: reason.value for place, reason in enumerate(JUDGED, 1)}}
# Of several good bars of one minute, the greatest in this order stays: late prints only add.
PREFERENCE = ("volume", "transactions", "high", "low", "close", "open", "vwap")


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
    frame, instants = _typed(bars.lazy().collect().rechunk())
    good, bad, is_rising = _sound(frame, instants)
    good, copies = _one_per_minute(good, is_rising=is_rising)
    aside = pl.concat([SET_ASIDE.conform(bad), SET_ASIDE.conform(copies)])
    return BARS.conform(good), aside.sort(SET_ASIDE.schema.names(), nulls_last=True)


def trusted_vwap() -> pl.Expr:
    """Return the bar's vwap where it is given and lies within [low, high], else null."""
    vwap = pl.col("vwap")
    return pl.when(between(vwap, pl.col("low"), pl.col("high"))).then(vwap)


def _typed(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """Return the bars in the types of `BARS`, and their timestamps as they came, not rounded."""
    absent = [name for name in OPTIONAL if name not in frame.columns]
    frame = frame.with_columns(pl.lit(None).alias(name) for name in absent)
    if missing := [name for name in BARS.columns if name not in frame.columns]:
        raise SchemaError(f"bars: lack the columns {missing}; they have {frame.columns}")
    require_aware(frame.schema, ["timestamp"], "bars")
    try:
        typed = frame.select(
            pl.col("symbol").cast(pl.String),
            pl.col("timestamp").dt.convert_time_zone("UTC").cast(UTC_US),
            *(pl.col(name).cast(pl.Float64) for name in NUMBERS),
            pl.col("transactions").cast(pl.Int64),
        )
    except pl.exceptions.PolarsError as error:
        types = {name: str(frame.schema[name]) for name in BARS.columns}
        raise SchemaError(
            f"bars: the column types {types} are not those of bars: {error}"
        ) from None
    return typed, frame["timestamp"]


def _sound(frame: pl.DataFrame, instants: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame, bool]:
    """Return the bars that can be, those that cannot with their reason, and if minutes rise."""
    verdicts = np.empty(len(frame), np.int8)
    opened, high, low, close, volume = (
        read_only(frame[name].to_numpy()) for name in (*PRICES, "volume")
    )
    all_sound, is_rising = judge(
        read_only(instants.to_physical().fill_null(0).to_numpy()),
        PER_MINUTE[instants.dtype.time_unit],  # type: ignore[attr-defined]
        opened,
        high,
        low,
        close,
        volume,
        verdicts,
    )
    if not np.isfinite(frame["vwap"].to_numpy()).all():
        vwap = pl.col("vwap")
        frame = frame.with_columns(vwap=pl.when(vwap.is_finite()).then(vwap))
    unnamed = frame["symbol"].null_count() + frame["timestamp"].null_count()
    if all_sound and not unnamed:
        return frame, frame.clear().with_columns(reason=pl.lit(None, pl.String)), is_rising
    reason = (
        pl.when(pl.col("symbol").is_null())
        .then(pl.lit(Reason.NO_SYMBOL.value))
        .when(pl.col("timestamp").is_null())
        .then(pl.lit(Reason.NO_TIMESTAMP.value))
        .otherwise(pl.Series(verdicts).replace_strict(VERDICTS, return_dtype=pl.String))
    )
    # NaN is never stored: it says "not known", as null does.
    judged = frame.with_columns(pl.col(NUMBERS).fill_nan(None), reason=reason)
    is_bad = pl.col("reason").is_not_null()
    return judged.filter(~is_bad).drop("reason"), judged.filter(is_bad), is_rising


def _one_per_minute(bars: pl.DataFrame, *, is_rising: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Sort bars, keep one per symbol and minute, and return the others with their reason."""
    key = ("symbol", "timestamp")
    none = bars.clear().with_columns(reason=pl.lit(None, pl.String))
    symbol, time = (pl.col(name) for name in key)
    if is_rising and bars.select((symbol == symbol.first()).all()).item():
        return bars, none  # as in the lake: one symbol, each minute once, in order
    good = bars.sort(key)
    same_as_before = (symbol == symbol.shift(1)) & (time == time.shift(1))
    if not good.select(same_as_before.any()).item():
        return good, none
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
